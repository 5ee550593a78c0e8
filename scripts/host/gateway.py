"""The gateway on the host, as a unit of its user's own systemd, as `openclaw gateway install` makes one: the plugin's stand-in for a
gateway, or OpenClaw itself. Both load the plugin that the package has installed."""

import json
import secrets
import shutil

from rootfs import HOME, USER
from transcript import Failure, claim, until

HERE = "/srv/gateway"
STATE = f"{HOME}/gateway"
JOURNAL = f"{STATE}/journal.sqlite"
LEDGER = f"{STATE}/ledger.jsonl"
ENDS_WITH = f"{STATE}/ends-with"
STARTS = f"{STATE}/starts"
SERVICE = "openclaw-gateway.service"
UNIT = f"{HOME}/.config/systemd/user/openclaw-gateway.service"
RINGS = "http://127.0.0.1:8787/v1/rings"
INSTALLED_PLUGIN = "/usr/share/miniprogram/openclaw-plugin"
START_S = {"mini": 20, "real": 240}
# Counts its starts, and ends at some of them as OpenClaw does when its start was disturbed.
START = f"""#!/bin/sh
echo start >> {STARTS}
if [ -e {ENDS_WITH} ]; then
  read -r code left < {ENDS_WITH}
  if [ "$left" -gt 1 ]; then echo "$code $((left - 1))" > {ENDS_WITH}; else rm {ENDS_WITH}; fi
  exit "$code"
fi
exec PROGRAM
"""


class Gateway:
    def __init__(self, checkout, kind):
        self.checkout, self.kind = checkout, kind
        self.installed = checkout / ".local/openclaw"
        self.token = secrets.token_hex(24)

    def binds(self):
        """What is too large to copy, read-only: Node and, for the real gateway, OpenClaw."""
        node = self.installed / "bin/node"
        if not node.exists():
            raise Failure("Node is not installed; run `make openclaw` first")
        found = [(node.resolve(), f"{HERE}/.local/openclaw/bin/node")]
        if self.kind == "real":
            found.append(((self.installed / "app").resolve(), f"{HERE}/.local/openclaw/app"))
        return found

    def put(self, root):
        """Copies its scripts. They become root's, as a gateway requires of its plugins."""
        target = root / HERE[1:]
        for source, name in (("scripts/openclaw", "scripts/openclaw"), ("local/demo-tools", "local/demo-tools"), ("openclaw-plugin/test", "mini/test")):
            shutil.copytree(self.checkout / source, target / name)
        # The stand-in imports the plugin's files from the folder above it.
        for file in (self.checkout / "openclaw-plugin").glob("*.js"):
            (target / "mini" / file.name).symlink_to(f"{INSTALLED_PLUGIN}/{file.name}")
        (target / "openclaw-plugin").symlink_to(INSTALLED_PLUGIN)

    def install(self, machine):
        """Writes its token and its unit, and lets its user's systemd outlive logins."""
        machine.run(f"loginctl enable-linger {USER} && install -d -o {USER} -g {USER} -m 700 {STATE}")
        machine.run(f"mkfifo -m 600 {STATE}/stdin && chown {USER}: {STATE}/stdin")
        machine.write(f"{STATE}/gateway.token", self.token, f"{USER}:", "600")
        self.configure(machine, {"guard": [], "reads": []})
        uid = machine.run(f"id -u {USER}").strip()
        until("the user's systemd runs", 30, lambda: "running" in machine.user_systemctl("is-system-running", check=False) or None)
        claim("the runtime directory is there", machine.run(f"stat -c %U /run/user/{uid}").strip() == USER)

    def configure(self, machine, lists):
        """Writes the unit with the plugin's configuration. A FIFO that it holds open itself is a standard input without end."""
        guard, reads = ",".join(lists["guard"]), ",".join(lists["reads"])
        common = f"--port 18789 --ledger {LEDGER} --db {JOURNAL} --guard '{guard}' --reads '{reads}' --ring-url {RINGS}"
        script = f"mini/test/mini-gateway.mjs --token {self.token}"
        if self.kind == "real":
            script = f"scripts/openclaw/gateway.mjs --dir {STATE} --model stand-in"
        program = f"{HERE}/.local/openclaw/bin/node {HERE}/{script} {common} 0<> {STATE}/stdin"
        machine.write(f"{STATE}/start", START.replace("PROGRAM", program), f"{USER}:", "700")
        machine.run(f"install -d -o {USER} -g {USER} {HOME}/.config {HOME}/.config/systemd {HOME}/.config/systemd/user")
        unit = f"[Unit]\nDescription=OpenClaw gateway\n\n[Service]\nExecStart={STATE}/start\nRestart=always\nRestartSec=5\n"
        unit += "RestartPreventExitStatus=78\nTimeoutStopSec=330\n\n[Install]\nWantedBy=default.target\n"
        machine.write(UNIT, unit, f"{USER}:")

    def restart(self, machine):
        machine.user_systemctl("daemon-reload")
        machine.user_systemctl("enable", "--quiet", SERVICE)
        machine.user_systemctl("restart", SERVICE)
        return self.until_ready(machine)

    def until_ready(self, machine):
        answers = "curl -sf --max-time 5 http://127.0.0.1:18789/readyz"
        return until("the gateway is ready", START_S[self.kind], lambda: machine.run(f"{answers} >/dev/null && echo yes", check=False) == "yes\n")[1]

    def state(self, machine):
        return machine.user_systemctl("show", "--value", "--property=ActiveState", SERVICE).strip()

    def stop(self, machine):
        machine.user_systemctl("stop", SERVICE)

    def kill(self, machine):
        machine.user_systemctl("kill", "--signal=KILL", SERVICE)

    def end_with(self, machine, code, times):
        """Ends, and ends with this exit code at so many of its next starts."""
        machine.write(ENDS_WITH, f"{code} {times}\n", f"{USER}:")
        self.kill(machine)

    def is_repaired(self, machine):
        """Its next start is a good one."""
        machine.run(f"rm -f {ENDS_WITH}")

    def starts(self, machine):
        """How often its unit was started."""
        return len(machine.run(f"cat {STARTS}").split())

    def effects(self, machine, note, op=None):
        """How many lines with a note the tools have written into the ledger, of any kind or of one."""
        lines = [json.loads(line) for line in machine.run(f"cat {LEDGER} 2>/dev/null", check=False).splitlines()]
        return sum(line.get("note") == note and op in (None, line["op"]) for line in lines)
