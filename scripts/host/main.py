"""Walks the life of the one-host package in a chroot with its own systemd. See docs/operate/one-host.md, "The walk"."""

import argparse
import fcntl
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "client"))

import clock  # noqa: E402
import faults  # noqa: E402
import first_day  # noqa: E402
import measure  # noqa: E402
import packages  # noqa: E402
import rootfs  # noqa: E402
import set_up  # noqa: E402
import state  # noqa: E402
from gateway import Gateway  # noqa: E402
from machine import CannotBoot, Machine  # noqa: E402
from memory import Memory  # noqa: E402
from page import ELSEWHERE, Page  # noqa: E402
from phone import Phone  # noqa: E402
from rootfs import HOME, USER  # noqa: E402
from transcript import Failure, Transcript, claim  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
FOLDER = (ROOT / ".local").resolve() / "host"
# Of the machine: two chroots would have the same control groups, and a kill in one would hit the other.
LOCK = Path("/run/lock/miniprogram-walk")
UNITS = ("miniprogram.service", "miniprogram-watch.service", "miniprogram-backup.service", "caddy.service")
CANNOT_SHOW = (
    ("a real host", "kernel, disk, power loss, the unit's MemoryMax, arm64 and Ubuntu are not those of a Lighthouse instance"),
    ("WeChat", "the stub of the program answers in its place"),
)


class Walk:
    def __init__(self, args, transcript):
        self.transcript = transcript
        self.page = Page(ROOT / "docs/start/lighthouse.md")
        self.gateway = Gateway(ROOT, "real" if args.setup else args.gateway)
        self.machine = Machine(FOLDER / "root", FOLDER / "console.log", self.gateway.binds(), args.memory and Memory(args.memory))
        self.phone = Phone(self.machine, 1, "walk")
        self.jobs, self.answers, self.load = {}, {}, {}
        self.first_package = self.second_package = self.backup = None
        self.program_is = "profile host" if args.host_profile else "debug program" if "debug" in str(args.program) else str(args.program)

    def put_package(self, deb):
        """Copies a package to where a person has copied it."""
        target = self.machine.root / HOME[1:] / deb.name
        shutil.copyfile(deb, target)
        self.machine.run(f"chown {USER}: {HOME}/{deb.name}")

    def answered(self, name):
        """A job is answered now as it was the first time."""
        job = self.phone.job(self.jobs[name])
        stable = {key: job[key] for key in ("status", "result") if key in job}
        claim(f"the job `{name}` succeeded", stable["status"] == "succeeded", job)
        claim(f"the job `{name}` is answered as before", self.answers.setdefault(name, stable) == stable, job)


def build_packages(args, walk):
    """Two versions of the package of one program, by the command that a person uses."""
    options = ["" if args.host_profile else f"--program {args.program}", f"--out {FOLDER}/packages", f"--compression {args.compression}"]
    built = []
    for version in ([], ["--version 99.0.0"]):
        command = ["make", "--silent", "-C", ROOT, "package", f"ARGS={' '.join(options + version)}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise Failure("`make package` failed")
        built.append(Path(done.stdout.strip().splitlines()[-1]))
    walk.first_package, walk.second_package = built
    return f"{built[0].name} and {built[1].name}, {walk.program_is}"


def steps(args, walk):
    yield "package", lambda: build_packages(args, walk)
    if not args.quick and not args.setup:
        yield "lintian", lambda: packages.lintian(walk, args.compression)
    archive = rootfs.archive(FOLDER, args.suite, args.mirror, walk.transcript.say)
    yield "root file system", lambda: unpack(archive, walk)
    if args.setup:
        yield from set_up.steps(walk)
        return
    yield from first_day.steps(walk)
    yield from faults.steps(walk, args.quick)
    yield from state.policy_steps(walk)
    yield from state.steps(walk)
    if args.measure:
        yield from measure.steps(walk)
    if not args.quick:
        yield from faults.slow_steps(walk)
    yield from clock.steps(walk)
    if args.memory:
        yield from walk.machine.memory.steps(walk)
    yield from packages.steps(walk)
    if not args.quick:
        yield "every command of lighthouse.md was typed", lambda: typed(walk)


def unpack(archive, walk):
    rootfs.unpack(archive, walk.machine.root)
    walk.gateway.put(walk.machine.root)
    return archive.name


def typed(walk):
    for start, why in ELSEWHERE.items():
        walk.transcript.cannot_run(start, why)
    claim("the walk types each command of the page", not walk.page.untyped(), walk.page.untyped())
    return f"{len(walk.page.typed)} commands"


def parse():
    parser = argparse.ArgumentParser(prog="make host", description=__doc__)
    parser.add_argument("--gateway", choices=["mini", "real"], default="mini", help="the plugin's stand-in for a gateway, or OpenClaw (1 GB, a minute more)")
    parser.add_argument("--program", type=Path, default=Path("target/debug/local"), help="the program of the package")
    parser.add_argument("--host-profile", action="store_true", help="build the program in the profile `host` first, which takes long")
    parser.add_argument("--compression", default="zstd", choices=["zstd", "xz"], help="of the package; xz, as in a release, takes minutes more")
    parser.add_argument("--setup", action="store_true", help="walk only `miniprogram setup` beside OpenClaw, to the first job")
    parser.add_argument("--quick", action="store_true", help="leave out what waits a minute or more: lintian, full disk, watchdog, watch")
    parser.add_argument("--measure", action="store_true", help="measure a minute without requests, too")
    parser.add_argument("--memory", type=int, metavar="MIB", help="of the whole host, without swap, as 2000")
    parser.add_argument("--suite", help="release of Debian [default: this machine's]")
    parser.add_argument("--mirror", help="a Debian mirror other than the one that mmdebstrap knows")
    parser.add_argument("--keep", action="store_true", help="keep the root file system when all went well")
    return parser.parse_args()


def main():
    args = parse()
    print(f"host: needs {rootfs.NEEDS}", flush=True)
    try:
        rootfs.check_needs()
        args.suite = args.suite or rootfs.suite_of_this_machine()
    except rootfs.Missing as missing:
        print(f"host: {missing}", file=sys.stderr)
        sys.exit(2)
    if not args.host_profile and not (ROOT / args.program).exists():
        sys.exit(f"host: {args.program} is not built; `cargo build --workspace --locked` builds it")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("host: another walk is running on this machine")
        for sign in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, lambda *_: sys.exit("host: stopped"))
        sys.exit(run(args))


def run(args):
    """Returns the exit code."""
    transcript, began = Transcript(FOLDER / "transcript.txt"), time.monotonic()
    walk, failure = Walk(args, transcript), None
    try:
        for name, step in steps(args, walk):
            transcript.step(name, step)
    except rootfs.Missing as missing:
        print(f"host: {missing}", file=sys.stderr)
        return 2
    except CannotBoot as cannot:
        print(f"host: systemd does not start in a chroot of this machine: {cannot}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        failure = "stopped"
    except Exception as error:  # noqa: BLE001 - whatever it was, the journal is shown and the chroot is ended
        failure = f"{type(error).__name__}: {error}" if not isinstance(error, Failure) else str(error)
        complain(walk)
    finally:
        # Ctrl-C while the chroot ends must not leave it running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        walk.machine.stop()
    for name, why in (*transcript.not_run, *CANNOT_SHOW):
        transcript.say(f"NOT RUN  {name}: {why}")
    if failure:
        transcript.say(f"\nhost: {failure}\nThe root file system is in {walk.machine.root}, the transcript in {transcript.file.name}.")
        return 1
    if not args.keep:
        shutil.rmtree(walk.machine.root)
    transcript.say(f"\nAll {len(transcript.steps)} steps went as claimed in {time.monotonic() - began:.0f} s. Nothing is left running.")
    return 0


def complain(walk):
    """The journals of the units, as far as the chroot runs."""
    for unit in UNITS:
        try:
            lines = walk.machine.journal(unit)
        except Failure:
            return
        walk.transcript.say(f"--- journal of {unit}\n{lines.strip()}")


if __name__ == "__main__":
    main()
