"""A second version of the package, back to the first, and the end."""

import re
import shutil
import subprocess
import time

import schema
from gateway import JOURNAL
from state import backups
from transcript import CannotRun, claim
from versions import changed, version, version_of

# What stays when the package is purged.
DATA = ("/var/lib/miniprogram", "/var/backups/miniprogram", "/var/lib/miniprogram-packages")
# A debug program has its symbols.
UNSTRIPPED = "unstripped-binary-or-object"


def lintian(walk, compression):
    """Debian's own check of the package, if this machine has it."""
    if not shutil.which("lintian"):
        raise CannotRun("lintian is not installed here")
    deb = walk.first_package if compression == "xz" else packed_with_xz(walk.first_package)
    command = ["lintian", "--allow-root", "--suppress-tags", UNSTRIPPED, deb]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.findall(r"^[EW]: .*", said.stdout, re.M)
    claim("lintian finds neither an error nor a warning", not found, found)
    claim("lintian has read the package", said.returncode == 0 and not said.stderr, f"{said.returncode} {said.stderr[-300:]}")
    return deb.name


def packed_with_xz(deb):
    """The same package in the compression of a release, as quickly as it goes: lintian of Debian 12 reads no zstd."""
    folder, target = deb.parent / "for-lintian", deb.with_name(f"{deb.stem}.xz.deb")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["dpkg-deb", "--raw-extract", deb, folder], check=True)
    subprocess.run(["dpkg-deb", "-Zxz", "-z0", "--root-owner-group", "--build", folder, target], check=True, capture_output=True)
    shutil.rmtree(folder)
    return target


def steps(walk):
    yield "upgrade by apt", lambda: upgrade_by_apt(walk)
    yield "downgrade by apt", lambda: downgrade_by_apt(walk)
    yield "upgrade", lambda: upgrade(walk)
    yield "rollback", lambda: rollback(walk)
    yield "downgrade across a schema change", lambda: schema.downgrade(walk)
    yield "broken upgrade goes back by itself", lambda: broken_upgrade(walk)
    yield "purge", lambda: purge(walk)
    yield "new host from the backup", lambda: new_host(walk)
    yield "purge after a restore", lambda: purge(walk)


def upgrade_by_apt(walk):
    walk.put_package(walk.second_package)
    return changed(walk, f"sudo apt install ./{walk.second_package.name}")


def downgrade_by_apt(walk):
    walk.machine.person("sudo miniprogram backup create")
    return changed(walk, f"sudo apt install --allow-downgrades ./{walk.first_package.name}")


def upgrade(walk):
    first, second = walk.first_package.name, walk.second_package.name
    before = len(backups(walk))
    said = changed(walk, f"sudo miniprogram upgrade ./{second} --previous ./{first}")
    claim("it is the new version", said == "99.0.0", said)
    claim("a backup was made before it", len(backups(walk)) == before + 1, backups(walk))
    return said


def rollback(walk):
    said = changed(walk, "sudo miniprogram rollback")
    claim("it is the version before", said == version_of(walk.first_package), said)
    return said


def broken_upgrade(walk):
    """A version whose program takes this host's configuration, and whose unit does not start."""
    machine, folder = walk.machine, walk.machine.root.parent / "broken"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["dpkg-deb", "--raw-extract", walk.second_package, folder], check=True)
    for name, old, new in (
        ("usr/lib/systemd/system/miniprogram.service", r"^ExecStart=.*$", "ExecStart=/bin/false"),
        ("DEBIAN/control", r"^Version: .*$", "Version: 99.1.0"),
    ):
        file = folder / name
        file.write_text(re.sub(old, new, file.read_text(), flags=re.M))
    deb = walk.first_package.with_name("miniprogram_99.1.0_broken.deb")
    subprocess.run(["dpkg-deb", "-Zzstd", "--root-owner-group", "--build", folder, deb], check=True, capture_output=True)
    shutil.rmtree(folder)
    walk.put_package(deb)
    before, began = version(walk), time.monotonic()
    said = machine.person(f"sudo miniprogram upgrade ./{deb.name} --previous ./{walk.first_package.name}; echo exit $?")
    claim("the command says that it went back", said.rstrip().endswith("exit 3"), said)
    took = time.monotonic() - began
    claim("the version before is installed", version(walk) == before, version(walk))
    machine.until_ready(10)
    walk.answered("first")
    walk.phone.succeeds("ledger_append", ahead_s=598, note="after a broken upgrade")
    return f"ready with {before} again after {took:.0f} s"


def purge(walk):
    """Removed: nothing runs. Purged: only data is left."""
    machine = walk.machine
    machine.person("sudo apt remove miniprogram")
    claim("nothing runs", machine.property("ActiveState") == "inactive", machine.property("ActiveState"))
    claim("the data stay", machine.run("ls /var/lib/miniprogram/table.db"))
    machine.person("sudo apt purge miniprogram")
    left = machine.run("find / -xdev -path /srv -prune -o -path /proc -prune -o -name '*miniprogram*' -print").split()
    ours = [path for path in left if not path.startswith((*(f"{folder}/" for folder in DATA), "/home/"))]
    claim("only data are left", set(DATA) - {DATA[2]} <= set(ours) <= set(DATA), ours)
    claim("they still belong to their user", machine.run("stat -c %U /var/lib/miniprogram").strip() == "miniprogram")
    return " and ".join(ours)


def new_host(walk):
    """The backup, with its configuration, on a host that has the package and a gateway without its journal."""
    machine = walk.machine
    walk.gateway.stop(machine)
    machine.run(f"rm -rf /var/lib/miniprogram {JOURNAL} {JOURNAL}-wal {JOURNAL}-shm && mv /var/backups/miniprogram /srv/backups")
    machine.person(f"sudo apt install ./{walk.first_package.name}")
    file = machine.run("ls /srv/backups/*.tar").split()[-1]
    said = machine.run(f"miniprogram restore --with-configuration {file}")
    claim("every chain is whole", "every chain is whole" in said, said)
    claim("the journal is the backup's, under a new id", f"{JOURNAL} was restored under a new id" in said, said)
    walk.gateway.restart(machine)
    machine.run("systemctl enable --now miniprogram")
    machine.until_ready()
    walk.answered("first")
    machine.run("miniprogram mode set full --reason 'moved to a new host'")
    walk.jobs["moved"] = walk.phone.until_open(ahead_s=598, note="on the new host")
    status, _, body = walk.phone.send(walk.jobs["after the backup"], "ledger_append", note="after the backup")
    claim("what is not in the backup is refused", (status, body.get("code")) == (410, "request_id_expired"), f"{status} {body}")
    claim("and has one effect", walk.gateway.effects(machine, "after the backup") == 1)
    return said.strip().splitlines()[1]
