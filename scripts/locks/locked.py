"""What the lock files name."""

import json
import pathlib
import re
import tomllib

LOCKS = pathlib.Path(__file__).resolve().parent
ROOT = LOCKS.parents[1]
NPM = [*sorted(LOCKS.glob("npm/*/package-lock.json")), *(ROOT / folder / "package-lock.json" for folder in ("console", "miniprogram/client"))]
PYTHON = sorted(LOCKS.glob("python/*.txt"))
# `name==1.2 ; marker \`, a requirement as uv writes it.
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)")


def crates():
    """Every crate that comes from a registry."""
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    return {f"{crate['name']} {crate['version']}" for crate in lock["package"] if "source" in crate}


def npm_entries(lock):
    """Every package of one lock file, by its place in it."""
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    return {place: entry for place, entry in packages.items() if place}


def npm():
    named = ((place.rpartition("node_modules/")[2], entry) for lock in NPM for place, entry in npm_entries(lock).items())
    return {f"{name} {entry['version']}" for name, entry in named}


def python():
    lines = (line for lock in PYTHON for line in lock.read_text(encoding="utf-8").splitlines())
    return {f"{found[1]} {found[2]}" for found in map(REQUIREMENT.match, lines) if found}


ECOSYSTEMS = {"crates": crates, "npm": npm, "python": python}
