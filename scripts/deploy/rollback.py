"""Moves each function's alias to the version before. See scripts/rollback.sh."""

import argparse
import sys

from stack import ALIAS, CLOUD_ERRORS, FUNCTIONS, Failure, Stack


def main():
    parser = argparse.ArgumentParser(prog="rollback.sh")
    parser.add_argument("stage")
    parser.add_argument("functions", nargs="*", metavar="function", help=", ".join(FUNCTIONS))
    arguments = parser.parse_args()
    try:
        roll_back(Stack(arguments.stage), arguments.functions or list(FUNCTIONS))
    except Failure as failure:
        sys.exit(f"rollback: {failure}")
    except CLOUD_ERRORS as error:
        sys.exit(f"rollback: AWS did not do as asked: {error}")


def roll_back(stack, roles):
    """Looks at all before it moves one: half a rollback is a third release that nobody has tried."""
    moves = []
    for role in roles:
        if role not in FUNCTIONS:
            raise Failure(f"there is no function {role}; there are {', '.join(FUNCTIONS)}")
        live = stack.live(role)
        before = [version for version in stack.versions(role) if version < live]
        if not before:
            raise Failure(f"{stack.function(role)} has no version before {live}; nothing was moved")
        moves.append((role, live, before[-1]))
    for role, live, version in moves:
        stack.move(role, version)
        print(f"  {stack.function(role)}: {ALIAS} {live} -> {version}", flush=True)


if __name__ == "__main__":
    main()
