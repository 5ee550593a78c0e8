"""A limit on the memory of the whole host, without swap: a control group around the chroot."""

from pathlib import Path

from transcript import CannotRun, claim

HIERARCHY = Path("/sys/fs/cgroup/memory")


class Memory:
    def __init__(self, mib):
        self.mib, self.group = mib, HIERARCHY / "miniprogram-walk"

    def around(self, command):
        """The command, in a control group with this limit."""
        if not (HIERARCHY / "memory.limit_in_bytes").exists():
            raise CannotRun("--memory needs the control groups of version 1, which this machine does not have")
        self.group.mkdir(exist_ok=True)
        for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
            (self.group / name).write_text(str(self.mib << 20))
        return ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(self.group), *command]

    def steps(self, walk):
        yield f"within {self.mib} MiB", lambda: self.enough(walk)

    def enough(self, walk):
        """Nothing was killed. What processes hold themselves is measured, without the cache of files."""
        found = dict(line.split() for line in (self.group / "memory.oom_control").read_text().splitlines())
        claim("no process was killed for want of memory", found.get("oom_kill") == "0", found)
        held = dict(line.split() for line in (self.group / "memory.stat").read_text().splitlines())["total_rss"]
        walk.transcript.measures("memory of all processes", f"{int(held) >> 20} MiB, gateway {walk.gateway.kind}")
