#!/usr/bin/env python3
"""Checks of everything that is installed, without a network: a part of `make test`.

Fails when a lock file leaves a package unpinned, when a script installs without a lock file, when a licence is not one that we may
use, or when a known vulnerability stands in reviewed.json that no reviewer has accepted. Warns, loudly, about packages that no
advisory database was asked about, and about databases that are old: a change must not need a network to pass.
"""

import datetime
import json
import re
import subprocess
import sys

import locked

OLD_DAYS = 90
REVIEWED = locked.LOCKS / "reviewed.json"
# Refused in any combination that does not offer another licence: software that is served over a network would have to be
# published.
COPYLEFT = re.compile(r"AGPL|SSPL|(?<!L)GPL")
# Only these may install, since only they compare digests.
INSTALLERS = {"scripts/dev/venv.sh", "scripts/openclaw/install.sh", "scripts/dev/npm-project.sh", "scripts/locks/update",
              "scripts/locks/check.py"}
INSTALLS = re.compile(r"\b(pip3?\"? +install|npm[^\n|&;]* (?:install|i|ci)\b|npx |uvx |cargo +install)")


def npm_faults():
    for lock in locked.NPM:
        name = lock.relative_to(locked.ROOT)
        if '"resolved"' in lock.read_text(encoding="utf-8"):
            yield f"{name} names a registry's host"
        for place, entry in locked.npm_entries(lock).items():
            # Bundled packages are part of a package that has a digest.
            if "integrity" not in entry and not entry.get("inBundle"):
                yield f"{name}: {place} has no digest"
            licence = str(entry.get("license", ""))
            if COPYLEFT.search(licence) and " OR " not in licence:
                yield f"{name}: {place} is under {licence}"


def python_faults():
    for lock in locked.PYTHON:
        name, text = lock.relative_to(locked.ROOT), lock.read_text(encoding="utf-8")
        if "://" in text:
            yield f"{name} names a host"
        requirements = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
        for requirement in requirements:
            if not locked.REQUIREMENT.match(requirement) or "--hash=sha256:" not in requirement:
                yield f"{name}: {requirement.splitlines()[0]} is not pinned with a digest"
        for wanted in lock.with_suffix(".in").read_text(encoding="utf-8").split():
            if "==" in wanted and f"\n{wanted} " not in f"\n{text}":
                yield f"{name} is stale: it does not have {wanted}; run scripts/locks/update"


def installer_faults():
    listed = subprocess.run(["git", "ls-files", "-z", "scripts", ".ci", "Makefile"], check=True, capture_output=True, text=True, cwd=locked.ROOT).stdout
    for name in listed.split("\0"):
        if not name or name in INSTALLERS or name.endswith((".txt", ".json", ".md")):
            continue
        text = (locked.ROOT / name).read_text(encoding="utf-8")
        for found in INSTALLS.finditer(text):
            yield f"{name} installs past the lock files: {found[0]}"


def advisory_faults(warnings):
    reviewed = json.loads(REVIEWED.read_text(encoding="utf-8"))
    for ecosystem, packages in locked.ECOSYSTEMS.items():
        have, record = packages(), reviewed.get(ecosystem)
        if record is None:
            warnings.append(f"{ecosystem}: no advisory database was ever asked about these {len(have)} packages")
            continue
        age = (datetime.date.today() - datetime.date.fromisoformat(record["database_of"])).days
        unknown = sorted(have - set(record["packages"]))
        print(f"{ecosystem}: {len(have) - len(unknown)} of {len(have)} packages were held against {record['database']} of "
              f"{record['database_of']} ({record['advisories']} advisories), {age} days old")
        if age > OLD_DAYS:
            warnings.append(f"{ecosystem}: the database is {age} days old")
        if unknown:
            warnings.append(f"{ecosystem}: not looked up: {', '.join(unknown)}")
        for finding in record["findings"]:
            if finding["package"] in have and "accepted_because" not in finding:
                yield f"{ecosystem}: {finding['id']} is about {finding['package']}"


def main():
    warnings = []
    faults = [*npm_faults(), *python_faults(), *installer_faults(), *advisory_faults(warnings)]
    for warning in warnings:
        print(f"WARNING: {warning}. Run scripts/locks/review where a network is.")
    for fault in faults:
        print(f"locks: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
