"""Output of the rehearsal, on the terminal and in its transcript, with the duration of each step."""

import time
from contextlib import contextmanager

from stack import Failure


class Console:
    def __init__(self, file):
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file.open("w", buffering=1)
        self.steps = []

    def say(self, line=""):
        print(line, flush=True)
        self.file.write(f"{line}\n")

    def shows(self, line):
        """Prints an observation."""
        self.say(f"   {line}")

    def claims(self, claim, holds, found=""):
        """Prints a claim, and fails if it does not hold."""
        if not holds:
            raise Failure(f"not so: {claim}; found {found}")
        self.shows(f"ok: {claim}")

    @contextmanager
    def step(self, title, log):
        """A step with a title, and the log to read when it fails."""
        self.say(f"\n== {len(self.steps) + 1}. {title}")
        began = time.monotonic()
        try:
            yield
        except Exception as error:
            told = error if isinstance(error, Failure) else f"{type(error).__name__}: {error}"
            raise Failure(f"step {len(self.steps) + 1} ({title}) failed: {told}; read {log}") from error
        self.steps.append((title, time.monotonic() - began))
        self.shows(f"{self.steps[-1][1]:.0f} s")
