"""The program `local`, with the credentials of this session: it reads them from the environment alone."""

import os
import subprocess

from stack import ROOT, Failure

LOCAL = ROOT / "target/debug/local"


class Local:
    def __init__(self, stack):
        self.stack = stack

    def environment(self):
        found = self.stack.session.get_credentials()
        if found is None:
            raise Failure("there are no AWS credentials; set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        frozen = found.get_frozen_credentials()
        given = {
            "AWS_REGION": self.stack.session.region_name, "AWS_ACCESS_KEY_ID": frozen.access_key,
            "AWS_SECRET_ACCESS_KEY": frozen.secret_key, "AWS_SESSION_TOKEN": frozen.token,
        }  # fmt: skip
        return {**os.environ, **{name: value or "" for name, value in given.items()}}

    def must(self, *command):
        """Runs it and returns its output. Its errors are one sentence without secrets."""
        done = subprocess.run([LOCAL, *command], cwd=ROOT, env=self.environment(), text=True, capture_output=True)
        if done.returncode:
            raise Failure((done.stderr.strip().splitlines() or ["it said nothing"])[-1].removeprefix("local: ").rstrip("."))
        return done.stdout.strip()
