"""Invocations of sweep besides its schedule, whose minute is the shortest that AWS has, and the schedule switched off."""

import contextlib
import threading

from stack import ALIAS, CLOUD_ERRORS, ROOT, Failure

PAUSE_S = 5


@contextlib.contextmanager
def more_sweeps(rehearsal):
    """Invokes the live sweep every few seconds, so that a deployment's check does not wait a minute for the next heartbeat."""
    stack, over = rehearsal.stack, threading.Event()
    event = (ROOT / "events/sweep.json").read_bytes()

    def run():
        while not over.wait(PAUSE_S):
            # Before and in the first deployment there is none, and it is throttled when it runs already.
            with contextlib.suppress(Failure, KeyError, *CLOUD_ERRORS):
                stack.client("lambda").invoke(FunctionName=stack.function("sweep"), Qualifier=ALIAS, Payload=event)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)


@contextlib.contextmanager
def no_sweeps(rehearsal):
    """Disables the schedule, so that no checkpoint is signed meanwhile."""
    events = rehearsal.stack.client("events")
    rules = [rule["Name"] for page in events.get_paginator("list_rules").paginate() for rule in page["Rules"]]
    mine = [name for name in rules if rehearsal.stack.name in name]
    for name in mine:
        events.disable_rule(Name=name)
    try:
        yield
    finally:
        for name in mine:
            events.enable_rule(Name=name)
