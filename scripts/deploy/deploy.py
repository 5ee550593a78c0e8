"""Checks the template, builds, deploys, and waits until the service is ready. See scripts/deploy/deploy.sh."""

import argparse
import re
import subprocess
import time
from datetime import datetime, timezone

import account
import hosting
import ready
import shield
from stack import FUNCTIONS, ROOT, Failure, Stack, ending, parameters

LOG = ROOT / ".local/deploy/deploy.log"
ERROR = re.compile(r"An error occurred \(\w+\) when calling the \w+ operation: (.*)")
QUOTED_NOTHING = '""'
REASON = re.compile(r"(?:CREATE|UPDATE)_FAILED\s+(\S+)\s+(\S+)\s+(.+)")


def run(title, command):
    """Runs a command; its output goes to the log, and the last lines explain a failure."""
    print(f"  {title} ...", end="", flush=True)
    began = time.monotonic()
    with LOG.open("a") as log:
        log.write(f"\n$ {' '.join(command)}\n")
        log.flush()
        done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        log.write(done.stdout)
    print(f" {time.monotonic() - began:.0f} s", flush=True)
    if done.returncode:
        raise Failure(f"{title} failed: {reason(done.stdout)}; read {LOG.relative_to(ROOT)}")
    return done.stdout


def reason(text):
    """The error of a failed tool, in one line."""
    told = ERROR.findall(text) or [" ".join(found) for found in REASON.findall(text)]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (told or errors[-1:] or lines[-1:] or ["it said nothing"])[0].rstrip(".")


def refuse_unknown(given):
    """Refuses misspelt parameters, which SAM CLI ignores."""
    known = set(re.findall(r"^  (\w+):", (ROOT / "template.yaml").read_text().split("\nParameters:\n")[1].split("\n\n")[0], re.M))
    for name in given:
        if name not in known:
            raise Failure(f"the template has no parameter {name}; it has {', '.join(sorted(known))}")


def release():
    """Commit and time: different for each deployment, so that each publishes a version, also of the same commit."""
    git = ["git", "describe", "--always", "--abbrev=12", "--match=", "--dirty"]
    told = subprocess.run(git, cwd=ROOT, text=True, capture_output=True)
    commit = told.stdout.strip() if told.returncode == 0 else "unknown"
    return f"{commit}-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"


def deploy(stack, given, built):
    refuse_unknown(given)
    hosting.refuse_china(stack, given)
    shield.refuse(stack, given)
    given = {"Release": release(), **given}
    if "Arch" not in given:
        # CloudFormation keeps what a stack was given, and `sam build` would build for the template's default.
        kept = stack.deployed_parameters().get("Arch")
        # It is not confirmed that Lambda supports arm64 in every region of China.
        given |= {"Arch": kept or "x86_64"} if kept or stack.in_china() else {}
    # An empty value resets a parameter; SAM CLI requires quotes around it.
    options = ["--config-env", stack.stage, "--parameter-overrides", *(f"{name}={value or QUOTED_NOTHING}" for name, value in given.items())]
    if not built:
        run("checking the template", ["scripts/deploy/lint-template.sh"])
        run("building the functions", ["sam", "build", *options])
    account.warn_of_concurrency(stack)
    before = live_versions(stack)
    run("deploying", ["sam", "deploy", *options, "--no-confirm-changeset", "--no-fail-on-empty-changeset"])
    for role, version in before.items():
        live = stack.live(role)
        if live != version:
            stack.note_before(role, version, live)
    if stack.stage == "prod":
        account.protect(stack)
    published(stack)


def published(stack):
    """Steps after the stack's own deployment: console, shield, protection. They can be repeated."""
    hosting.publish(stack)
    shield.publish(stack)


def live_versions(stack):
    """The live versions before the deployment, to roll back to; none before the first."""
    outputs = (stack.described() or {}).get("Outputs", [])
    if {output["OutputKey"] for output in outputs}.isdisjoint(FUNCTIONS.values()):
        return {}
    found = {role: stack.alias(role)[0] for role in FUNCTIONS}
    return {role: version for role, version in found.items() if version is not None}


def main():
    parser = argparse.ArgumentParser(prog="deploy.sh")
    parser.add_argument("stage")
    parser.add_argument("parameters", nargs="*", metavar="Name=value")
    parser.add_argument("--built", action="store_true", help="deploy what the last build left")
    parser.add_argument("--check", action="store_true", help="only check what is deployed")
    arguments = parser.parse_args()
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with ending("deploy"):
        stack = Stack(arguments.stage)
        if not arguments.check:
            LOG.write_text("")
            deploy(stack, {**stack.parameters, **parameters(arguments.parameters)}, arguments.built)
        ready.check(stack)


if __name__ == "__main__":
    main()
