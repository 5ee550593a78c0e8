"""What the service costs while nothing happens."""

import time

IDLE_S = 60


def steps(walk):
    yield f"idle for {IDLE_S} s", lambda: idle(walk)


def ticks(walk, pid):
    fields = walk.machine.run(f"cat /proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def idle(walk):
    """CPU time of the service beside a gateway, with its sweeps, watchdog and alarms."""
    machine = walk.machine
    pid, per_second = machine.property("MainPID"), int(machine.run("getconf CLK_TCK"))
    before, began = ticks(walk, pid), time.monotonic()
    time.sleep(IDLE_S)
    share = (ticks(walk, pid) - before) / per_second / (time.monotonic() - began)
    resident = int(machine.run(f"awk '/^VmRSS/ {{print $2}}' /proc/{pid}/status")) / 1024
    walk.transcript.measures("idle CPU", f"{share * 100:.2f} % of a core ({walk.program_is})")
    walk.transcript.measures("resident memory", f"{resident:.0f} MiB ({walk.program_is})")
    walk.transcript.measures("data directory", machine.run("du -sh /var/lib/miniprogram").split()[0])
    return ""
