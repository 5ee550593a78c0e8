"""A clock that is wrong by far, as after a flat battery: nothing of the service may be deleted by it."""

import datetime

from faults import DROP_IN
from transcript import claim

PRELOAD = "/usr/lib/*/faketime/libfaketime.so.1"


def steps(walk):
    yield "clock 40 days ahead", lambda: wrong(walk, 40)
    yield "clock a day behind", lambda: wrong(walk, -1)


def wrong(walk, days):
    """Only the service has the wrong clock. Its users log in again, since sessions go by it."""
    machine, before = walk.machine, verified(walk)
    library = machine.run(f"ls {PRELOAD}").strip()
    machine.write(DROP_IN, f"[Service]\nEnvironment=LD_PRELOAD={library} FAKETIME={days:+}d FAKETIME_DONT_FAKE_MONOTONIC=1\n")
    machine.run("systemctl daemon-reload && systemctl restart miniprogram")
    machine.until_ready()
    by_clock = (walk.phone.log_in() - datetime.datetime.now(datetime.timezone.utc)) / datetime.timedelta(days=1)
    claim("the service has the wrong clock", abs(by_clock - days) < 0.5, by_clock)
    walk.answered("first")
    said = machine.run("miniprogram clock show")
    machine.run(f"rm {DROP_IN} && systemctl daemon-reload && systemctl restart miniprogram")
    machine.until_ready()
    walk.phone.log_in()
    walk.answered("first")
    claim("no record was deleted", verified(walk) == before, f"{before}; {verified(walk)}")
    return f"{before}; {said.strip().splitlines()[-1]}"


def verified(walk):
    return walk.machine.run("miniprogram audit verify --everything").strip().splitlines()[-1]
