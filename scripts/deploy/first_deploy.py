"""From a clone to a first answer: deploys, fills the secrets, opens the service, and runs one job. See scripts/deploy/first-deploy.sh.

Each step first checks whether it is done, so a second run continues where the first stopped."""

import argparse
import json
from pathlib import Path

import deploy
import first_job
import ready
from program import Local
from stack import CLOUD_ERRORS, ROOT, SECRETS, Failure, Stack, ending, parameters

APP_SECRET = ".local/first-deploy/app-secret.txt"
GATEWAY_TOKEN = ".local/first-deploy/gateway-token.txt"
# `local session` signs sessions for these only: in prod every user logs in through WeChat.
STAGES = ("test", "staging")
REASON = "first deployment"
# Output of `local mode get` for a table without a mode.
NO_MODE = "no mode was ever set"


class FirstDeploy:
    """State that the steps share."""

    def __init__(self, stack, given, built, files, tool=None):
        self.stack, self.given, self.built, self.files, self.tool = stack, given, built, files, tool
        self.local = Local(stack)

    def secrets(self):
        """The option of `local` for each secret."""
        outputs = self.stack.outputs()
        return [part for role, output in SECRETS.items() for part in (f"--{role}-secret", outputs[output])]

    def values(self):
        """The options that name the files with the two values. A value itself is on no command line."""
        return [part for option, file in self.files.items() for part in (f"--{option}-file", file)]


def files(run):
    """Checks the two files before the steps that take minutes. With filled secrets they are not needed."""
    if run.stack.described() is not None and not ready.empty_secrets(run.stack):
        return "the secrets are filled"
    for what, file in run.files.items():
        path = ROOT / file
        if not path.is_file() or not path.read_text().strip():
            raise Failure(f"{file} has to hold the {what.replace('-', ' ')}: write it there, readable by you alone (umask 077), one line")
    return None


def program(run):
    deploy.run("building the program `local`", ["scripts/dev/prepare.sh", "--without-openclaw"])


def deployed(run):
    """Done when the stack has this commit and these parameters."""
    found = run.stack.described()
    kept = run.stack.deployed_parameters()
    commit, before = (name.rpartition("-")[0] for name in (deploy.release(), kept.get("Release", "")))
    same = all(kept.get(name) == value for name, value in run.given.items())
    # Changed files have no name of their own, nor has a tree without git.
    named = commit != "unknown" and not commit.endswith("-dirty")
    if found and found["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE") and named and commit == before and same:
        deploy.published(run.stack)
        return f"{run.stack.name} has this commit and these parameters"
    if found and found["StackStatus"] == "ROLLBACK_COMPLETE":
        raise Failure(f"the first deployment of {run.stack.name} failed, and such a stack cannot be updated; delete it: .local/deploy/sam/bin/sam delete --stack-name {run.stack.name}")
    if found and ready.empty_secrets(run.stack):
        # In staging the version check invokes the new version, which cannot start without secrets.
        secrets(run)
    deploy.deploy(run.stack, run.given, run.built)
    return None


def secrets(run):
    for line in run.local.must("secrets", "fill", *run.values(), *run.secrets()).splitlines():
        print(f"  {line}", flush=True)


def serving(run):
    ready.check(run.stack)


def opened(run):
    table = ["--table", run.stack.outputs()["TableName"]]
    told = run.local.must("mode", "get", *table)
    if NO_MODE not in told:
        return told.splitlines()[0]
    print(f"  {run.local.must('mode', 'set', 'full', '--reason', REASON, *table).splitlines()[0]}", flush=True)
    return None


def answered(run):
    first_job.run(run)


# Title, step, and what to do when it fails, where the failure does not say so itself.
STEPS = [
    ("the app secret and the gateway's token", files, None),
    ("the program `local`", program, "docs/operate/deploy.md lists what building needs"),
    ("the stack", deployed, "the stack's events name the resource: `sam list stack-outputs` and docs/operate/runbook.md help"),
    ("the secrets", secrets, "the credentials need secretsmanager:GetSecretValue and PutSecretValue for the stack's four secrets"),
    ("ready", serving, None),
    ("open", opened, "the credentials need to read and write the table"),
    ("a first job", answered, None),
]


def go(run):
    for number, (title, step, remedy) in enumerate(STEPS, 1):
        print(f"{number}/{len(STEPS)} {title}", flush=True)
        try:
            done = step(run)
        except (Failure, *CLOUD_ERRORS) as failure:
            # What AWS refuses is most often a right that the credentials lack; its message names it.
            remedy = remedy or (None if isinstance(failure, Failure) else "docs/operate/deploy.md lists the permissions to deploy")
            advice = f"; {remedy}" if remedy else ""
            raise Failure(f"step {number} of {len(STEPS)} ({title}) stopped: {failure}{advice}. Mend that, and run the same command again: it goes on from here") from failure
        if done:
            print(f"  done before: {done}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="first-deploy.sh")
    parser.add_argument("stage")
    parser.add_argument("parameters", nargs="*", metavar="Name=value")
    parser.add_argument("--built", action="store_true", help="deploy what the last build left")
    parser.add_argument("--tool", help="the tool of the first job, called with its example [default: the first that only reads]")
    parser.add_argument("--wechat-app-secret-file", default=APP_SECRET, help=f"file with the Mini Program's app secret [default: {APP_SECRET}]")
    parser.add_argument("--gateway-token-file", default=GATEWAY_TOKEN, help=f"file with the gateway's token [default: {GATEWAY_TOKEN}]")
    given = parser.parse_args()
    deploy.LOG.parent.mkdir(parents=True, exist_ok=True)
    deploy.LOG.write_text("")
    with ending("first-deploy"):
        if given.stage not in STAGES:
            raise Failure(f"this is for {' and '.join(STAGES)}; {given.stage} has no test user: use make deploy STAGE={given.stage}")
        stack = Stack(given.stage)
        files = {"wechat-app-secret": given.wechat_app_secret_file, "gateway-token": given.gateway_token_file}
        go(FirstDeploy(stack, {**stack.parameters, **parameters(given.parameters)}, given.built, files, given.tool))


if __name__ == "__main__":
    main()
