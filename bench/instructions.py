#!/usr/bin/env python3
"""Counts the instructions of one accept in user space, and the misses of a simulated instruction cache, of release binaries.

    cargo build --release --package edge-auth             # or another build of it, each copied to a place of its own
    cargo build --workspace --bin local                   # the engines
    python3 bench/instructions.py target/release/edge-auth [ANOTHER...]

Runs each binary as `bench/accept.py` does, under valgrind's callgrind, first with tokens that the process has seen before, then
with tokens that are new to it. The same binary differs by 0.5 % at most between runs, whatever else the machine does. What it
leaves out: the kernel, and how long an instruction waits. And valgrind hides the processor's instructions for SHA-256, so that
signing counts several times what it takes.
"""
import os, pathlib, subprocess, sys, tempfile, time

from runtime_api import Function, cpu_per_event
from service import ROOT, UNLIMITED, Engines, http_event, log_in, request_id

COUNTED, USERS = 100, 50
VALGRIND = ["valgrind", "--tool=callgrind", "--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,16,64"]


def control(function, option):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["callgrind_control", option, str(function.process.pid)], check=True, **quiet)


def totals(dump):
    lines = pathlib.Path(dump).read_text(errors="replace").splitlines()
    names = next(line.split()[1:] for line in lines if line.startswith("events:"))
    counts = next(line.split()[1:] for line in lines if line.startswith(("totals:", "summary:")))
    return dict(zip(names, map(int, counts)))


def counted(binary, env, name):
    with tempfile.TemporaryDirectory() as folder:
        command = [*VALGRIND, f"--callgrind-out-file={folder}/out", binary]
        function = Function("edge-auth", command, env | {"PATH": os.environ["PATH"]})
        tokens = [log_in(function, f"{name}-{n}")["token"] for n in range(USERS + COUNTED)]
        known, new = tokens[:USERS], tokens[USERS:]
        submissions = lambda tokens: [http_event("submit.json", token, request_id()) for token in tokens]
        cpu_per_event(function, submissions(known), 202)
        for tokens in (known * (COUNTED // USERS), new):
            control(function, "-z")
            cpu_per_event(function, submissions(tokens), 202)
            control(function, "-d")
            time.sleep(1)
        function.stop()
        return totals(f"{folder}/out.1"), totals(f"{folder}/out.2")


def main():
    binaries = [pathlib.Path(name).resolve() for name in sys.argv[1:]]
    if not binaries:
        sys.exit(__doc__)
    engines = Engines()
    try:
        print("| binary | token | instructions | instruction cache misses |\n|---|---|---|---|")
        for place, binary in enumerate(binaries):
            for token, of in zip(("seen before", "new"), counted(binary, engines.env | UNLIMITED, f"count-{place}")):
                print(f"| {os.path.relpath(binary, ROOT)} | {token} | {of['Ir'] / COUNTED:,.0f} | {of['I1mr'] / COUNTED:,.0f} |")
    finally:
        engines.stop()


main()
