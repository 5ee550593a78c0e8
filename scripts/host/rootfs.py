"""The root file system of the chroot: made once from a Debian mirror, kept as an archive, unpacked for each walk."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from transcript import Failure

NEEDS = "root, mmdebstrap, systemd-nspawn (package systemd-container), nsenter, dpkg-deb, and once a Debian mirror"
PROGRAMS = ("mmdebstrap", "systemd-nspawn", "nsenter", "setpriv", "dpkg-deb", "tar", "make")
# systemd and its user managers; what lighthouse.md installs from Debian; Node's libraries; what the walk itself calls.
INCLUDE = (
    "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,sudo,procps,iproute2,"
    "ca-certificates,caddy,curl,pebble,libfaketime,libgcc-s1,libstdc++6,libatomic1"
)
# The user of the OpenClaw template on Lighthouse.
USER, HOME = "ubuntu", "/home/ubuntu"


class Missing(Exception):
    """The machine lacks what the walk needs, in one sentence."""


def check_needs():
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if os.geteuid() != 0:
        missing.insert(0, "root (sudo make host)")
    if not Path("/sys/fs/cgroup").is_dir():
        missing.append("/sys/fs/cgroup")
    if missing:
        raise Missing(f"this machine lacks {', '.join(missing)}; the walk needs {NEEDS}")


def suite_of_this_machine():
    """A program that is built here needs this machine's glibc, so the chroot is of the same release."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    if release.get("ID", "").strip('"') != "debian":
        raise Missing("this machine is not Debian; name a release with the same or a newer glibc: ARGS='--suite trixie'")
    return release["VERSION_CODENAME"].strip('"')


def archive(folder, suite, mirror, say):
    """The archive of a suite, made if it is not there."""
    key = hashlib.sha256(INCLUDE.encode()).hexdigest()[:8]
    file = folder / f"{suite}-{key}.tar"
    if file.exists():
        return file
    say(f"making the root file system of {suite}, once (some minutes) ...")
    part, log = file.with_suffix(".part.tar"), folder / "mmdebstrap.log"
    command = ["mmdebstrap", "--variant=apt", f"--include={INCLUDE}", suite, str(part), *([mirror] if mirror else [])]
    with log.open("wb") as out:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False)
    if done.returncode != 0:
        part.unlink(missing_ok=True)
        last = (log.read_text(errors="replace").strip().splitlines() or ["nothing"])[-1]
        raise Missing(f"mmdebstrap made no root file system ({last}; {log}); the walk needs a Debian mirror")
    part.rename(file)
    return file


def unpack(file, root):
    """A fresh root file system, with the user of the gateway, who may use sudo as on a cloud instance."""
    if root.exists():
        shutil.rmtree(root)
    root.mkdir(parents=True)
    subprocess.run(["tar", "--numeric-owner", "--xattrs", "-xf", file, "-C", root], check=True)
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").write_text("walk\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost walk\n::1 localhost\n")
    # Nothing waits for a network: the walk brings up its own.
    for unit in ("systemd-networkd-wait-online.service", "systemd-networkd.service", "systemd-networkd.socket"):
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    (root / "etc/apt/apt.conf.d/90walk").write_text('APT::Get::Assume-Yes "true";\n')
    useradd = ["chroot", root, "useradd", "--create-home", "--shell", "/bin/bash", USER]
    if subprocess.run(useradd, capture_output=True, check=False).returncode != 0:
        raise Failure("the user of the gateway cannot be made")
    sudoers = root / "etc/sudoers.d/walk"
    sudoers.write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
    sudoers.chmod(0o440)
