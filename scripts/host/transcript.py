"""One line for each step of the walk: its name, its seconds, and ok or what failed."""

import time


class Failure(Exception):
    """A step did not go as claimed, in one sentence."""


class CannotRun(Exception):
    """This machine cannot run a step, in one sentence."""


class Transcript:
    def __init__(self, file):
        self.file = file.open("w", buffering=1)
        self.steps, self.not_run, self.measured = [], [], []

    def say(self, line):
        print(line, flush=True)
        self.file.write(f"{line}\n")

    def cannot_run(self, name, why):
        """A part that is not run here. All of them are repeated at the end."""
        self.not_run.append((name, why))
        self.say(f"            NOT RUN  {name}: {why}")

    def measures(self, what, value):
        self.measured.append((what, value))
        self.say(f"            {what}: {value}")

    def step(self, name, run):
        """Runs a step. It may return a few words on what was observed."""
        began = time.monotonic()
        try:
            seen = run()
        except CannotRun as why:
            self.cannot_run(name, why)
            return
        except Exception as error:
            self.say(f"{time.monotonic() - began:8.1f} s  FAILED   {name}: {error}")
            raise
        took = time.monotonic() - began
        self.steps.append((name, took))
        self.say(f"{took:8.1f} s  ok       {name}{f': {seen}' if seen else ''}")


def claim(what, holds, found=""):
    """Something that must hold."""
    if not holds:
        raise Failure(f"not so: {what}; found {found}")


def until(what, seconds, holds, pause=0.3):
    """Waits until a condition holds, and returns what it returned and the seconds that it took."""
    began = time.monotonic()
    while True:
        found = holds()
        took = time.monotonic() - began
        if found:
            return found, took
        if took > seconds:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(pause)
