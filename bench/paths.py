#!/usr/bin/env python3
"""Counts what the computing parts of a request cost, and holds the counts against bench/paths.json.

    python3 bench/paths.py            # instructions, by valgrind's callgrind
    python3 bench/paths.py --write    # writes the table, allocations included

The paths are functions of shared/domain/tests/path_costs.rs, run as the tests are built, without optimisation: the counts
say that a path has grown, not how long it takes. Allocations are checked by that test itself, everywhere. Instructions need
valgrind, which scripts/dev/valgrind.sh finds or fetches; where it cannot, this script ends with its status, 3. They are those of
x86_64, of the compiler in rust-toolchain.toml and of this profile. `make test` counts them.
"""
import json, pathlib, re, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "bench/paths.json"
PATHS = ("accept", "verify", "decide", "claim", "view")
TOLERANCE = 0.03
VALGRIND = ROOT / "scripts/dev/valgrind.sh"


def test_binary():
    """The test, built as every other test is."""
    command = ["cargo", "test", "--workspace", "--locked", "--test", "path_costs", "--no-run", "--message-format=json"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    artifacts = (json.loads(line) for line in built.stdout.splitlines() if line.startswith("{"))
    return next(one["executable"] for one in artifacts if one.get("executable") and one["target"]["name"] == "path_costs")


def allocations(binary):
    """By path and kind; the test's verdict is not asked for."""
    said = subprocess.run([binary, "--nocapture", "--test-threads=1"], stdout=subprocess.PIPE, text=True).stdout
    return {(path, what): int(count) for path, what, count in re.findall(r"PATH (\w+) (\w+) (\d+)", said)}


def instructions(binary):
    """By path: the last call of each, so that what is done once per process is not in it."""
    # The first pattern is none of ours: of patterns that begin alike, callgrind 3.19 loses the first.
    dumps = [f"--{when}=*measured_{path}*" for path in ("nothing", *PATHS) for when in ("zero-before", "dump-after")]
    with tempfile.TemporaryDirectory() as folder:
        command = [VALGRIND, "--tool=callgrind", f"--callgrind-out-file={folder}/out", "--dump-instr=no", *dumps,
                   binary, "--test-threads=1"]
        # The verdict of the test is not asked for: its counts may be what is written anew.
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        counts = {}
        for dump in sorted(pathlib.Path(folder).glob("out.*"), key=lambda file: int(file.suffix[1:])):
            text = dump.read_text()
            path = re.search(r"^desc: Trigger: .*measured_(\w+)", text, re.MULTILINE)
            if path:
                counts[path[1]] = int(re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)[1])
    if set(counts) != set(PATHS):
        sys.exit(f"callgrind counted {sorted(counts)}, not every path:\n{run.stdout[-2000:]}")
    return counts


def main():
    write = sys.argv[1:] == ["--write"]
    if sys.argv[1:] and not write:
        sys.exit(__doc__)
    found = subprocess.run([VALGRIND, "--version"], stdout=subprocess.DEVNULL)
    if found.returncode:
        sys.exit(found.returncode)
    binary = test_binary()
    counted = instructions(binary)
    if write:
        table = {path: {"instructions": counted[path]} for path in PATHS}
        for (path, what), count in allocations(binary).items():
            table[path][what] = count
        TABLE.write_text(json.dumps(table, indent=2) + "\n")
        return
    table, failed = json.loads(TABLE.read_text()), False
    for path in PATHS:
        known = table[path]["instructions"]
        differs = counted[path] / known - 1
        wrong = abs(differs) > TOLERANCE
        failed = failed or wrong
        print(f"{path}: {counted[path]:,} instructions, {differs:+.1%}{' FAILED' if wrong else ''}")
    if failed:
        sys.exit("A path costs more than 3 % more or less than bench/paths.json says. If it is meant: python3 bench/paths.py --write")


main()
