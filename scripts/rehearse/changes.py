"""An update under load, the rollback, and the flow suite."""

import threading
import time

from mini_program import request_id
from first_day import DEPLOY_LOG
from stack import ROOT
from sweeps import more_sweeps

FLOWS_LOG = ".local/rehearse/run/emulator.log, and the lines above"
# Longer than the update during which it runs.
NAP_MS = 100_000
NAP = "outlives the update"
PAUSE_S = 0.1
# The emulator has a process for each request that is under way; a burst would start some seventy at the same time.
AT_ONCE = "8"
# The update lowers the limit of a user's open jobs to this number. It changes the log level of every function, too.
FEWER = 2


def flows(rehearsal):
    command = ["cargo", "test", "--workspace", "--locked", "--test", "flows"]
    ledger = str(rehearsal.world.ledger.relative_to(ROOT))
    rehearsal.must(*command, FLOWS_URL=rehearsal.stack.url(), FLOWS_LEDGER=ledger, FLOWS_AT_ONCE=AT_ONCE)


class Poller:
    """A client that keeps asking: reads by status, and a submission again and again by edge-auth."""

    def __init__(self, rehearsal):
        self.client = rehearsal.client("poller")
        self.request = self.client.submit("ledger_append", note="asked again and again")
        self.client.until_over(self.request)
        self.asked, self.failed, self.slowest = 0, [], 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(60)

    def _run(self):
        calls = [
            lambda: self.client.call("GET", f"/v1/jobs/{self.request}"),
            lambda: self.client.send(self.request, "ledger_append", note="asked again and again"),
        ]
        while not self._stop.wait(PAUSE_S):
            for call in calls:
                began = time.monotonic()
                try:
                    status = call()[0]
                except OSError as error:
                    status = str(error)
                self.asked += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
                if status != 200:
                    self.failed.append(status)


def at_once(rehearsal, name):
    """How many of three jobs a user may have open at the same time."""
    client = rehearsal.client(name)
    requests = [(client.send(request, "ledger_sleep", ms=4000, note=f"{name} {number}"), request) for number, request in enumerate(request_id() for _ in range(3))]
    accepted = [request for (status, _, _), request in requests if status == 202]
    refused = [(status, body["code"]) for (status, _, body), _ in requests if status != 202]
    for request in accepted:
        rehearsal.client(name).until_over(request)
    return len(accepted), refused


def update(rehearsal):
    console = rehearsal.console
    console.claims("three jobs of one user may be open", at_once(rehearsal, "before")[0] == 3, "fewer")
    before = rehearsal.versions()
    napper = rehearsal.client("napper")
    nap = napper.submit("ledger_sleep", ms=NAP_MS, note=NAP)
    with Poller(rehearsal) as poller, more_sweeps(rehearsal):
        code, said = rehearsal.deploy("--built", MaxInFlight=FEWER, LogLevel="warn")
    console.claims("the update is deployed and ready", code == 0, said)
    console.claims("the job from before is still under way", napper.job(nap)["status"] == "running", napper.job(nap))
    after = rehearsal.versions()
    console.claims(f"each function has a new version behind `live`: {before} -> {after}", all(after[role] > before[role] for role in after), after)
    console.claims(f"{poller.asked} requests during the update, none failed, slowest {poller.slowest:.1f} s", not poller.failed, poller.failed[:5])
    accepted, refused = at_once(rehearsal, "after")
    console.claims(f"now only {FEWER} may be open, the third is refused: {refused}", accepted == FEWER, accepted)
    rehearsal.before_update, rehearsal.nap = before, nap


def roll_back(rehearsal):
    console = rehearsal.console
    with Poller(rehearsal) as poller:
        rehearsal.must("scripts/deploy/rollback.sh", "test")
        accepted, refused = at_once(rehearsal, "rolled-back")
    console.claims(f"`live` names the versions from before the update: {rehearsal.before_update}", rehearsal.versions() == rehearsal.before_update, rehearsal.versions())
    console.claims("three jobs of one user may be open again", accepted == 3, refused)
    console.claims(f"{poller.asked} requests during the rollback, none failed", not poller.failed, poller.failed[:5])
    code, said = rehearsal.command("scripts/deploy/deploy.sh", "test", "--check")
    rehearsal.refused(code, said, "MAX_IN_FLIGHT", "live")
    # A parameter that is not given keeps its value, so the rollback gives all of them.
    with more_sweeps(rehearsal):
        code, said = rehearsal.deploy("--built", MaxInFlight=16, LogLevel="info")
    console.claims("the next deployment moves `live` forward again", code == 0, said)


def outlived(rehearsal):
    """The job from before the update, after the rollback and the deployment that followed it."""
    rehearsal.succeeds("napper", rehearsal.nap, 240)
    rehearsal.console.claims("it took effect once", rehearsal.world.effects(NAP) == 1, rehearsal.world.effects(NAP))


STEPS = [
    ("Update while requests come and a job is under way", DEPLOY_LOG, update),
    ("Roll back to the version before, by alias, while requests come", DEPLOY_LOG, roll_back),
    ("The flow suite that runs against `local`, through the deployed HTTP API", FLOWS_LOG, flows),
    ("The job from before the update ends", FLOWS_LOG, outlived),
]
