"""Rehearses a deployment from the first to the last day. See scripts/rehearse/rehearse.sh and docs/operate/rehearsal.md."""

import argparse
import fcntl
import os
import shutil
import signal
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / name) for name in ("deploy", "client")]

import changes  # noqa: E402
import dead_letters  # noqa: E402
import deletion  # noqa: E402
import first_day  # noqa: E402
import operators  # noqa: E402
import restore  # noqa: E402
from console import Console  # noqa: E402
from rehearsal import Rehearsal  # noqa: E402
from stack import ROOT, Failure  # noqa: E402

HOME = ROOT / ".local/rehearse"
# The copy of the table is taken before the changes: heads are signed some minutes after their last change, which pass meanwhile.
WHOLE = [
    *first_day.STEPS, *operators.STEPS, *restore.STEPS[:1], *dead_letters.STEPS, *changes.STEPS, *restore.STEPS[1:], *deletion.STEPS
]
DRILL = [*first_day.STEPS, *restore.STEPS, *deletion.STEPS]
CANNOT_SHOW = """
What this emulator cannot show, and only a deployment to AWS can:
   - CodeDeploy: the canary, and the rollback that an alarm starts. The emulator has neither; staging and prod use them.
   - Alarms that fire: it takes alarms and never evaluates them. The tests evaluate them, on captured metrics.
   - Object Lock of the checkpoints' bucket, which it does not know, and CloudFront with the operators' page.
   - Contributor Insights rules and metric math in alarms, which it refuses: they are left out of what is deployed here.
   - Throttling of routes, the queue's and the functions' concurrency under load, cold starts and latency as they are on
     Lambda: the functions here are debug builds, run as processes of this machine, for this machine's processor.
   - IAM as AWS evaluates it: the emulator's own evaluation of the roles is in force, and it is an imitation.
   - Point-in-time recovery to a moment of the past: it copies the present, and starts with no copy to wait for.
   - VPC, X-Ray, custom domain, certificates, encryption at rest, KMS, quotas, and the partition aws-cn."""


def main():
    parser = argparse.ArgumentParser(prog="rehearse.sh")
    parser.add_argument("part", nargs="?", choices=["all", "drill"], default="all")
    part = parser.parse_args().part
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("rehearse: another rehearsal is running in this checkout")
        for sign in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, lambda *_: sys.exit("rehearse: stopped"))
        rehearse(part)


def rehearse(part):
    began = time.monotonic()
    run = HOME / "run"
    shutil.rmtree(run, ignore_errors=True)
    console = Console(HOME / ("transcript.txt" if part == "all" else "drill.txt"))
    rehearsal = Rehearsal(console, run)
    failure = None
    try:
        for title, log, step in WHOLE if part == "all" else DRILL:
            with console.step(title, log):
                step(rehearsal)
    except (Failure, KeyboardInterrupt) as error:
        failure = "stopped" if isinstance(error, KeyboardInterrupt) else str(error)
    finally:
        # Ctrl-C while it stops things must not leave the rest of them running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        rehearsal.world.processes.stop()
    if failure:
        for line in rehearsal.world.complaints():
            console.shows(f"emulator: {line}")
        console.say(f"\nrehearse: {failure}")
        sys.exit(1)
    summary(console, time.monotonic() - began, part)


def summary(console, seconds, part):
    console.say("\n== Summary")
    prepared = os.environ.get("REHEARSAL_PREPARED_S")
    if prepared:
        console.say(f"   {prepared:>5} s  installing tools, building `local` (before step 1)")
    for number, (title, took) in enumerate(console.steps, 1):
        console.say(f"   {took:5.0f} s  {number}. {title}")
    console.say(f"   {seconds:5.0f} s  all steps")
    console.say(CANNOT_SHOW)
    done = "Every step of the rehearsal" if part == "all" else "The restore drill"
    console.say(f"\n{done} went as claimed. Nothing is left running. Transcript: {console.file.name}")


if __name__ == "__main__":
    main()
