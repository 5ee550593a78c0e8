"""`miniprogram setup` on a host whose gateway was made by `openclaw gateway install`."""

import json

import certificates
from first_day import APP_ID, APP_SECRET, boot, install, stand_ins
from gateway import HERE, LEDGER, STATE
from rootfs import HOME, USER
from transcript import claim

OPENCLAW = f"""#!/bin/sh
export PATH={HERE}/.local/openclaw/bin:$PATH
exec node {HERE}/.local/openclaw/app/node_modules/openclaw/openclaw.mjs "$@"
"""


def steps(walk):
    yield "boot", lambda: boot(walk)
    yield "install", lambda: install(walk)
    yield "openclaw gateway install", lambda: gateway(walk)
    yield "setup", lambda: setup(walk)
    yield "setup again", lambda: again(walk)
    yield "first job", lambda: first_job(walk)


def gateway(walk):
    """As the template of a cloud instance has it: a configuration without this project's plugin."""
    machine = walk.machine
    machine.write("/usr/local/bin/openclaw", OPENCLAW, mode="755")
    machine.run(f"loginctl enable-linger {USER} && install -d -o {USER} -g {USER} -m 700 {STATE} {HOME}/.openclaw")
    config = {
        "gateway": {"mode": "local", "port": 18789, "bind": "loopback", "auth": {"mode": "token", "token": walk.gateway.token}},
        "discovery": {"mdns": {"mode": "off"}},
        "update": {"checkOnStart": False},
        "models": {"catalogRefresh": {"enabled": False}},
        "plugins": {
            "allow": ["ledger-demo"],
            "load": {"paths": [f"{HERE}/local/demo-tools"]},
            "slots": {"memory": "none"},
            "entries": {"ledger-demo": {"enabled": True, "config": {"file": LEDGER}}},
        },
    }
    machine.write(f"{HOME}/.openclaw/openclaw.json", json.dumps(config, indent=2), f"{USER}:", "600")
    uid = machine.run(f"id -u {USER}").strip()
    machine.person(f"XDG_RUNTIME_DIR=/run/user/{uid} openclaw gateway install")
    return f"ready after {walk.gateway.until_ready(machine):.0f} s"


def run_setup(walk):
    return walk.machine.person(walk.page.command("sudo miniprogram setup"), stdin=f"{APP_SECRET}\n")


def setup(walk):
    machine = walk.machine
    said = run_setup(walk)
    machine.until_ready(120)
    owners = machine.run(f"find {HOME}/.openclaw ! -user {USER}")
    claim("no file of OpenClaw has become root's", not owners.strip(), owners)
    claim("there is no second unit of a gateway", not machine.run("ls /etc/systemd/system | grep -i openclaw", check=False).strip())
    code = machine.run("miniprogram doctor >/srv/doctor; echo $?").strip()
    claim("doctor finds nothing that does not work", code in ("0", "1"), machine.run("cat /srv/doctor"))
    return f"{sum(line.startswith('done') for line in said.splitlines())} changes"


def again(walk):
    said = run_setup(walk)
    claim("the second run changes nothing", "Nothing is to be changed" in said, said)
    return said.splitlines()[0]


def first_job(walk):
    """With the authority and WeChat's stub in the places of those on the internet."""
    machine = walk.machine
    config = machine.run("cat /etc/miniprogram/config.toml").replace("[wechat]\n", '[wechat]\nbase_url = "http://127.0.0.1:8799"\n')
    claim("setup has written the app id", APP_ID in config, config)
    machine.write("/etc/miniprogram/config.toml", config)
    stand_ins(machine)
    certificates.start(machine)
    machine.write("/etc/caddy/Caddyfile", certificates.site(machine.run("cat /etc/caddy/Caddyfile")))
    machine.run("systemctl restart miniprogram caddy")
    machine.until_ready()
    machine.person(walk.page.command("sudo miniprogram mode set full"))
    walk.phone.until_logged_in()
    request = walk.phone.until_open(note="after setup")
    claim("it had one effect", walk.gateway.effects(machine, "after setup") == 1)
    return request
