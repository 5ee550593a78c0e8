"""Moves each function back to the version that was live before the present one. See scripts/deploy/rollback.sh."""

import argparse
from dataclasses import dataclass

import shifts
from stack import ALIAS, FUNCTIONS, Failure, Stack, ending


@dataclass(frozen=True)
class Known:
    """State of one function. `before` is the version that the live one replaced, if that was stored; `shifts` are CodeDeploy's deployments, newest first."""

    live: int
    weighted: list
    versions: list
    before: int | None
    shifts: list

    @property
    def failed(self):
        """Versions that CodeDeploy rolled back, or whose deployment was stopped before they had all traffic."""
        succeeded = {shift.target for shift in self.shifts if shift.status == "Succeeded"}
        return {shift.target for shift in self.shifts if shift.status in shifts.FAILED} - succeeded


@dataclass(frozen=True)
class Step:
    """Action for one function: a running deployment is stopped, or the alias gets a version."""

    role: str
    stops: str | None = None
    version: int | None = None


def main():
    parser = argparse.ArgumentParser(prog="rollback.sh")
    parser.add_argument("stage")
    parser.add_argument("functions", nargs="*", metavar="function[=version]", help=", ".join(FUNCTIONS))
    arguments = parser.parse_args()
    with ending("rollback"):
        roll_back(Stack(arguments.stage), wanted(arguments.functions))


def wanted(arguments):
    """Functions, each with the version that was named for it, if any. All of them when none is named."""
    found = {}
    for argument in arguments or FUNCTIONS:
        role, _, version = argument.partition("=")
        if role not in FUNCTIONS:
            raise Failure(f"there is no function {role}; there are {', '.join(FUNCTIONS)}")
        if version and not version.isdigit():
            raise Failure(f"{version} is no version of {role}; a version is a number")
        found[role] = int(version) if version else None
    return found


def known(stack, role):
    live, weighted = stack.alias(role)
    if live is None:
        raise Failure(f"{stack.function(role)} has no alias {ALIAS}; deploy it first")
    return Known(live, weighted, stack.versions(role), stack.before(role, live), shifts.of(stack, role))


def running(facts):
    return next((shift for shift in facts.shifts if shift.status in shifts.RUNNING), None)


def choose(name, facts, version=None):
    """The target version: one that has been live, never one that was only published."""
    if version is not None:
        return checked(name, facts, version)
    if facts.weighted:
        # No deployment is running, and the alias still splits requests: set by hand, or left by a deployment that was stopped.
        return facts.live
    # The version that the live one replaced, by CodeDeploy's record.
    replaced = [shift.current for shift in facts.shifts if shift.status == "Succeeded" and shift.target == facts.live]
    for candidate in [*replaced, facts.before]:
        if candidate in facts.versions and candidate < facts.live and candidate not in facts.failed:
            return candidate
    if all(one >= facts.live for one in facts.versions):
        raise Failure(f"{name} has no version before {facts.live}; nothing was moved")
    raise Failure(
        f"{name}: it is not known which version was live before {facts.live}; nothing was moved; name one that was: "
        f"FUNCTION=VERSION, of {', '.join(str(one) for one in facts.versions if one < facts.live and one not in facts.failed) or 'none'}"
    )


def checked(name, facts, version):
    if version not in facts.versions:
        raise Failure(f"{name} has no version {version}; nothing was moved; it has {', '.join(map(str, facts.versions))}")
    if version in facts.failed:
        raise Failure(f"{name}: version {version} failed as a canary; nothing was moved")
    return version


def plan(stack, functions):
    """Reads the state of all functions before it acts: a partial rollback would be a combination of versions that was never tested."""
    facts = {role: known(stack, role) for role in functions}
    active = [Step(role, stops=running(one).id) for role, one in facts.items() if running(one)]
    if active:
        # CloudFormation rolls back the rest of its update as soon as one of its deployments is stopped.
        return active
    status = (stack.described() or {}).get("StackStatus", "")
    if status.endswith("_IN_PROGRESS") and "CLEANUP" not in status:
        raise Failure(
            f"{stack.name} is {status}, and moving aliases would race it; nothing was moved; "
            f"aws cloudformation cancel-update-stack --stack-name {stack.name} takes the update back"
        )
    return [Step(role, version=choose(stack.function(role), one, functions[role])) for role, one in facts.items()]


def roll_back(stack, functions):
    steps = plan(stack, functions)
    for step in steps:
        name = stack.function(step.role)
        if step.stops:
            shifts.stop(stack, step.stops)
            print(f"  {name}: the deployment {step.stops} is stopped; CodeDeploy puts {ALIAS} back", flush=True)
        else:
            live = stack.live(step.role)
            stack.move(step.role, step.version)
            print(f"  {name}: {ALIAS} {live} -> {step.version}", flush=True)
    if any(step.stops for step in steps):
        print(f"  CloudFormation takes the update of {stack.name} back; when it rests, scripts/deploy/deploy.sh {stack.stage} --check says what runs", flush=True)


if __name__ == "__main__":
    main()
