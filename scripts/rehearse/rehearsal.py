"""State that the steps share: the local environment, the stack in it, and the operator's commands."""

import os
import re
import subprocess
import platform

from client import Client
from stack import FUNCTIONS, ROOT, Failure, Stack, fetch
from world import APP_ID, LOCAL, World

STAGE = "test"
ARCH = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


class Rehearsal:
    def __init__(self, console, directory):
        self.console = console
        self.directory = directory
        self.world = World(directory)
        self.environment = self.world.aws_environment()
        # The SDK of this process, too, must know no account but the emulator's.
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(self.environment)
        # Debug builds, made with the compiler's own linker, share what `cargo build` has compiled.
        self.environment |= {"SAM_BUILD_MODE": "debug", "CARGO_LAMBDA_COMPILER": "cargo", "SAM_CLI_TELEMETRY": "0"}
        self.stack = Stack(STAGE)
        self.parameters = {
            "Arch": ARCH[platform.machine()],
            "OpenclawBaseUrl": self.world.gateway_url,
            "WechatAppId": APP_ID,
            "WechatBaseUrl": self.world.wechat_url,
            "OperatorIssuer": self.world.issuer.url,
            "OperatorAudience": "rehearsal-operators",
            "OperatorJwks": self.world.issuer.jwks,
            # The flow suite holds polls, which a deployment does only when it is asked to.
            "LongPollMaxS": "3",
            # The minimum, so that no step waits five minutes for a checkpoint.
            "CheckpointEveryS": "60",
        }
        self.clients = {}

    def command(self, *command, **environment):
        """Runs one of the operator's commands; its output is part of the transcript."""
        shown = " ".join(str(part).replace(f"{ROOT}/", "") for part in command)
        self.console.shows(f"$ {shown}")
        process = subprocess.Popen(
            [str(part) for part in command], cwd=ROOT, env={**self.environment, **environment}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said = []
        for line in process.stdout:
            said.append(line.rstrip())
            self.console.shows(f"  {line.rstrip()}")
        return process.wait(), "\n".join(said)

    def must(self, *command, **environment):
        code, said = self.command(*command, **environment)
        if code:
            raise Failure(f"{command[0]} ended with {code}: {(said.splitlines() or ['it said nothing'])[-1]}")
        return said

    def deploy(self, *options, **changed):
        """The deployment's own script, with the parameters of this rehearsal."""
        given = [f"{name}={value}" for name, value in {**self.parameters, **changed}.items()]
        return self.command("scripts/deploy/deploy.sh", STAGE, *given, *options)

    def refused(self, code, said, *names):
        """A deployment that stops must say why, in its last line."""
        last = (said.splitlines() or [""])[-1]
        self.console.claims("it stops", code != 0, f"exit {code}")
        for name in names:
            self.console.claims(f"its last line names {name}", name in last, last)

    def local(self, *command, **environment):
        return self.must(LOCAL, *command, **environment)

    def client(self, name):
        """One user of that name, logged in once."""
        if name not in self.clients:
            self.clients[name] = Client(self.stack.url(), name)
        return self.clients[name]

    def succeeds(self, name, request, seconds=60):
        job = self.client(name).until_over(request, seconds)
        self.console.claims(f"job {request} succeeded", job["status"] == "succeeded", job)
        return job

    def versions(self):
        return {role: self.stack.live(role) for role in FUNCTIONS}

    def get(self, path):
        return fetch(f"{self.stack.url()}{path}")

    def verify(self, name, request):
        """Saves a chain and verifies it offline with `local audit verify`."""
        file = self.directory / f"audit-{request}.json"
        self.client(name).audit(request, file)
        done = subprocess.run([LOCAL, "audit", "verify", file], text=True, capture_output=True, check=False)
        said = (done.stdout + done.stderr).strip()
        if done.returncode:
            raise Failure(f"the audit chain of {request} does not verify: {said}")
        return int(re.search(r"ok: (\d+) records", said).group(1))
