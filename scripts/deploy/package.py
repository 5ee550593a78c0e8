"""Builds the Debian package of one host. `make package` builds the program first, in the profile `host`."""

import argparse
import gzip
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from email.utils import formatdate
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
UNITS = (
    "miniprogram.service",
    "miniprogram-backup.service",
    "miniprogram-backup.timer",
    "miniprogram-checkpoints.service",
    "miniprogram-checkpoints.timer",
    "miniprogram-watch.service",
    "miniprogram-watch.timer",
)
MAINTAINER = "The openclaw-miniprogram project <noreply@example.com>"
SCRIPTS = ("postinst", "prerm", "postrm")
# Tests and notes of the plugin are not loaded by the gateway.
NOT_PACKAGED = shutil.ignore_patterns("test", "node_modules", ".*")


def version():
    """The version of the workspace."""
    return re.search(r'^version = "([^"]+)"', (ROOT / "Cargo.toml").read_text(), re.M).group(1)


def oldest_libc(program):
    """The oldest glibc that has every symbol of the program: the package depends on it. None if it needs none."""
    found = {tuple(map(int, numbers.split(b"."))) for numbers in re.findall(rb"GLIBC_(2\.\d+)", program)}
    return ".".join(map(str, max(found))) if found else None


def put(source, target, mode):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def changelog(revision):
    """In Debian's form, of the day on which the package is built, or that SOURCE_DATE_EPOCH names."""
    built = formatdate(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    return f"miniprogram ({revision}) stable; urgency=medium\n\n  * CHANGELOG.md.gz has the changes.\n\n -- {MAINTAINER}  {built}\n"


def fill(tree, program, console, revision):
    """Copies every file to its path. Returns the configuration files, which an upgrade does not overwrite."""
    put(program, tree / "usr/bin/miniprogram", 0o755)
    share = tree / "usr/share/miniprogram"
    # The gateway refuses plugins of other users than root.
    shutil.copytree(ROOT / "openclaw-plugin", share / "openclaw-plugin", ignore=NOT_PACKAGED)
    for snippet in ("Caddyfile", "nginx.conf"):
        put(PACKAGING / snippet, share / snippet, 0o644)
    # For those who have a Prometheus; the service evaluates the same alarms by itself.
    for written in ("prometheus-rules.yaml", "grafana-dashboard.json"):
        put(ROOT / "observe" / written, share / written, 0o644)
    if console:
        shutil.copytree(console, share / "console")
    for unit in UNITS:
        put(PACKAGING / unit, tree / "usr/lib/systemd/system" / unit, 0o644)
    put(PACKAGING / "debian/sysusers.conf", tree / "usr/lib/sysusers.d/miniprogram.conf", 0o644)
    doc = tree / "usr/share/doc/miniprogram"
    put(PACKAGING / "debian/copyright", doc / "copyright", 0o644)
    put(PACKAGING / "debian/lintian-overrides", tree / "usr/share/lintian/overrides/miniprogram", 0o644)
    for page in ("docs/operate/one-host.md", "docs/start/lighthouse.md"):
        put(ROOT / page, doc / Path(page).name, 0o644)
    changes = (ROOT / "CHANGELOG.md").read_bytes()
    (doc / "CHANGELOG.md.gz").write_bytes(gzip.compress(changes, mtime=0))
    (doc / "changelog.gz").write_bytes(gzip.compress(changelog(revision).encode(), mtime=0))
    etc = tree / "etc/miniprogram"
    put(PACKAGING / "config.toml", etc / "config.toml", 0o644)
    shutil.copytree(ROOT / "policy", etc / "policy")
    return sorted(f"/{path.relative_to(tree)}" for path in etc.rglob("*") if path.is_file())


def describe(tree, program, conffiles, revision):
    """Writes the control files."""
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    sums = "".join(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files)
    kib = sum(path.stat().st_size for path in files) // 1024 + 1
    libc = oldest_libc(program.read_bytes())
    control = {
        "Package": "miniprogram",
        "Version": revision,
        "Architecture": ARCHITECTURES[platform.machine()],
        "Maintainer": MAINTAINER,
        "Installed-Size": kib,
        # ca-certificates: WeChat and the webhook of the alarms are called over TLS.
        "Depends": f"libc6 (>= {libc}), libgcc-s1, ca-certificates" if libc else "libc6, libgcc-s1, ca-certificates",
        "Recommends": "caddy | nginx",
        "Section": "net",
        "Priority": "optional",
        "Description": "OpenClaw for WeChat Mini Programs, on one host\n"
        " Stands between Mini Programs and an OpenClaw gateway on the same host:\n"
        " logins, policies, approvals, at most one effect per request, audit chains.",
    }
    debian = tree / "DEBIAN"
    debian.mkdir()
    (debian / "control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
    (debian / "conffiles").write_text("".join(f"{path}\n" for path in conffiles))
    (debian / "md5sums").write_text(sums)
    for script in SCRIPTS:
        put(PACKAGING / "debian" / script, debian / script, 0o755)


def normalise(tree):
    """Every folder is readable, whatever the umask and the modes of the checkout."""
    tree.chmod(0o755)
    for path in tree.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def build(program, out, console=None, revision=None, compression="xz"):
    """Builds the package into the folder `out`, and returns its file."""
    revision = revision or version()
    out.mkdir(parents=True, exist_ok=True)
    deb = out / f"miniprogram_{revision}_{ARCHITECTURES[platform.machine()]}.deb"
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        tree = Path(scratch) / "tree"
        tree.mkdir()
        conffiles = fill(tree, program, console, revision)
        normalise(tree)
        describe(tree, program, conffiles, revision)
        command = ["dpkg-deb", f"-Z{compression}", "--root-owner-group", "--build", tree, deb]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return deb


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, help="a program that is built already, of any profile")
    parser.add_argument("--out", type=Path, default=ROOT / "target/package")
    parser.add_argument("--compression", choices=["xz", "zstd", "none"], default="xz")
    parser.add_argument("--version", help="the package's version [default: that of the workspace]")
    args = parser.parse_args()
    program = args.program
    if program is None:
        build_host = ["cargo", "build", "--workspace", "--locked", "--profile", "host", "--bin", "local"]
        subprocess.run(build_host, cwd=ROOT, check=True)
        program = ROOT / "target/host/local"
    console = ROOT / "console/dist"
    if not (console / "index.html").exists():
        print("package: without the operators' console; `make console` builds it", file=sys.stderr)
        console = None
    print(build(program, args.out, console, args.version, args.compression))


if __name__ == "__main__":
    main()
