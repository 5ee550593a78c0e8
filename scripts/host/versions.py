"""The version of the package that is installed, and another one."""

from transcript import claim, until


def version(walk):
    return walk.machine.run("dpkg-query -Wf '${Version}' miniprogram").strip()


def changed(walk, command):
    """Installs another version. The service goes on with it, and with the configuration that was changed."""
    machine = walk.machine
    before, config = machine.property("MainPID"), machine.run("sha256sum /etc/miniprogram/config.toml")
    machine.person(command)
    until("the service was restarted", 60, lambda: machine.property("MainPID") not in ("0", before))
    machine.until_ready()
    claim("the configuration stays", machine.run("sha256sum /etc/miniprogram/config.toml") == config)
    walk.answered("first")
    return version(walk)


def version_of(deb):
    return deb.name.split("_")[1]
