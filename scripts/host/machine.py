"""The chroot with its own systemd: boots it, runs commands in it, and turns it off. It has no network but its own."""

import json
import signal
import subprocess
import time
from pathlib import Path

from rootfs import HOME, USER
from transcript import Failure, until

BOOT_S = 120
COMMAND_S = 300
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


class Machine:
    def __init__(self, root, console, binds, memory=None):
        self.root, self.console, self.binds, self.memory = root, console, binds, memory
        self.nspawn = self.leader = None

    def boot(self):
        """Starts systemd, and waits until it has finished. Returns the state of the system."""
        command = [
            "setpriv", "--pdeathsig", "TERM", "systemd-nspawn", "--quiet", "--boot", f"--directory={self.root}",
            "--machine=miniprogram-walk", "--register=no", "--keep-unit", "--private-network",
            *(f"--bind-ro={source}:{target}" for source, target in self.binds),
        ]  # fmt: skip
        if self.memory:
            command = self.memory.around(command)
        with self.console.open("ab") as log:
            self.nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            until("systemd is the init of the chroot", BOOT_S, self._find_leader)
            state, _ = until("the chroot has booted", BOOT_S, self._booted)
        except Failure as failure:
            raise CannotBoot(f"{failure}; {self.console} has its console") from failure
        self.run("ip link set lo up")
        return state

    def _find_leader(self):
        if self.nspawn.poll() is not None:
            raise Failure(f"systemd-nspawn ended with {self.nspawn.returncode}")
        children = Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split()
        self.leader = int(children[0]) if children else None
        return self.leader

    def _booted(self):
        self._find_leader()
        state = self.run("systemctl is-system-running", check=False, seconds=20).strip()
        return state if state in ("running", "degraded") else None

    def run(self, command, check=True, stdin="", seconds=COMMAND_S):
        """Runs a shell command as root, and returns what it printed."""
        return self._enter(["sh", "-c", command], command, check, stdin, seconds)

    def person(self, command, check=True, stdin="", seconds=COMMAND_S):
        """Runs a command as a person types it: as the user of the gateway, in the home directory."""
        argv = ["runuser", "-u", USER, "--", "env", f"--chdir={HOME}", f"HOME={HOME}", "bash", "-c", command]
        return self._enter(argv, command, check, stdin, seconds)

    def user_systemctl(self, *args, check=True):
        """Calls the gateway user's own systemd."""
        uid = self.run(f"id -u {USER}").strip()
        return self.person(f"XDG_RUNTIME_DIR=/run/user/{uid} systemctl --user {' '.join(args)}", check)

    def _enter(self, argv, shown, check, stdin, seconds):
        if self.leader is None or self.nspawn.poll() is not None:
            raise Failure("the chroot is not running")
        command = ["nsenter", f"--target={self.leader}", "--all", "--", *argv]
        try:
            done = subprocess.run(
                command, input=stdin, capture_output=True, text=True, errors="replace", env=ENVIRONMENT, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise Failure(f"`{shown}` did not end within {seconds} s") from None
        if check and done.returncode != 0:
            said = " / ".join((done.stdout + done.stderr).strip().splitlines()[-8:])
            raise Failure(f"`{shown}` ended with {done.returncode}: {said}")
        return done.stdout if check else done.stdout + done.stderr

    def fails(self, command, stdin=""):
        """Runs a command that has to fail. Returns its exit code and what it printed."""
        said = self.run(f"({command}) 2>&1; echo \"exit $?\"", stdin=stdin)
        text, _, code = said.rpartition("exit ")
        if int(code) == 0:
            raise Failure(f"`{command}` succeeded: {text.strip()}")
        return int(code), text.strip()

    def write(self, path, text, owner="root:root", mode="644"):
        self.run(f"mkdir -p \"$(dirname '{path}')\" && cat > '{path}' && chown {owner} '{path}' && chmod {mode} '{path}'", stdin=text)

    def property(self, name, unit="miniprogram.service"):
        return self.run(f"systemctl show --value --property={name} {unit}").strip()

    def ready(self):
        """What the service says about its readiness; None while it does not answer."""
        said = self.run("curl -sS --max-time 5 http://127.0.0.1:8787/readyz 2>/dev/null", check=False)
        try:
            return json.loads(said)
        except json.JSONDecodeError:
            return None

    def until_ready(self, seconds=90):
        """Waits until the service can do everything. Returns the seconds."""
        last = {}

        def is_ready():
            last["said"] = self.ready()
            return last["said"] and last["said"].get("ready")

        try:
            return until("the service is ready", seconds, is_ready)[1]
        except Failure as failure:
            raise Failure(f"{failure}; /readyz says {last['said']}") from None

    def journal(self, unit, lines=25):
        return self.run(f"journalctl --no-pager --output=cat --lines={lines} --unit={unit}", check=False)

    def power_off(self):
        """Turns the chroot off as `poweroff` does."""
        self.run("systemctl poweroff", check=False)
        self._wait(60)

    def _wait(self, seconds):
        deadline = time.monotonic() + seconds
        while self.nspawn.poll() is None:
            if time.monotonic() > deadline:
                raise Failure(f"the chroot does not turn off within {seconds} s")
            time.sleep(0.1)
        self.leader = None

    def stop(self):
        """Ends it, whatever state it is in. nspawn turns its system off on SIGTERM, and all of it dies with nspawn."""
        if self.nspawn is None or self.nspawn.poll() is not None:
            return
        for sign, seconds in ((signal.SIGTERM, 30), (signal.SIGKILL, 10)):
            self.nspawn.send_signal(sign)
            try:
                self._wait(seconds)
                return
            except Failure:
                pass


class CannotBoot(Failure):
    """systemd does not come up in a chroot of this machine."""
