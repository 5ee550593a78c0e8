"""What the Debian package of one host contains."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import package  # noqa: E402

PROGRAM = b"#!/bin/sh\nexit 0\n# GLIBC_2.17 GLIBC_2.34 GLIBC_2.4\n"


def dpkg(*args):
    return subprocess.run(["dpkg-deb", *map(str, args)], check=True, capture_output=True, text=True).stdout


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.scratch.cleanup)
        out = Path(cls.scratch.name)
        program = out / "program"
        program.write_bytes(PROGRAM)
        cls.deb = package.build(program, out, revision="1.2.3", compression="none")
        cls.tree = out / "unpacked"
        dpkg("--raw-extract", cls.deb, cls.tree)

    def test_every_file_is_roots_and_the_plugin_has_no_tests(self):
        lines = dpkg("--contents", self.deb).splitlines()
        self.assertTrue(all(line.split()[1] == "root/root" for line in lines), lines)
        names = [line.split()[5] for line in lines]
        self.assertIn("./usr/share/miniprogram/openclaw-plugin/openclaw.plugin.json", names)
        self.assertFalse([name for name in names if "/openclaw-plugin/test" in name])

    def test_rules_and_dashboard_are_where_the_page_says(self):
        for name in ("prometheus-rules.yaml", "grafana-dashboard.json"):
            self.assertTrue((self.tree / "usr/share/miniprogram" / name).is_file(), name)

    def test_it_depends_on_the_newest_symbol_of_libc(self):
        self.assertIn("libc6 (>= 2.34)", dpkg("--field", self.deb, "Depends"))
        self.assertEqual(dpkg("--field", self.deb, "Version").strip(), "1.2.3")

    def test_it_depends_on_the_certificates_of_the_authorities_that_it_trusts(self):
        self.assertIn("ca-certificates", dpkg("--field", self.deb, "Depends").strip().split(", "))

    def test_the_watch_may_read_what_belongs_to_the_user_of_the_service(self):
        unit = (self.tree / "usr/lib/systemd/system/miniprogram-watch.service").read_text()
        bounding = next(line for line in unit.splitlines() if line.startswith("CapabilityBoundingSet="))
        self.assertIn("CAP_DAC_READ_SEARCH", bounding)

    def test_configuration_and_policy_survive_an_upgrade(self):
        conffiles = (self.tree / "DEBIAN/conffiles").read_text().split()
        self.assertIn("/etc/miniprogram/config.toml", conffiles)
        self.assertIn("/etc/miniprogram/policy/tools.toml", conffiles)
        there = {f"/{path.relative_to(self.tree)}" for path in (self.tree / "etc").rglob("*") if path.is_file()}
        self.assertEqual(there, set(conffiles))

    def test_each_program_that_a_unit_starts_is_in_the_package(self):
        for unit in package.UNITS:
            text = (self.tree / "usr/lib/systemd/system" / unit).read_text()
            starts = [line.split("=", 1)[1].split()[0] for line in text.splitlines() if line.startswith("ExecStart=")]
            for program in starts:
                self.assertTrue((self.tree / program.lstrip("/")).stat().st_mode & 0o111, f"{unit}: {program}")

    def test_the_scripts_of_the_package_are_valid_and_purging_leaves_the_data(self):
        for script in package.SCRIPTS:
            subprocess.run(["sh", "-n", self.tree / "DEBIAN" / script], check=True)
        purge = (self.tree / "DEBIAN/postrm").read_text()
        self.assertNotIn("/var/lib/miniprogram ", purge.replace("\n", " "))
        self.assertNotIn("/var/backups", purge)

    def test_purging_deletes_what_is_no_data(self):
        """What systemd makes for the other units, and what a restore of the configuration has put aside."""
        purge = (self.tree / "DEBIAN/postrm").read_text()
        for unit in set(package.UNITS) - {"miniprogram.service"}:
            text = (self.tree / "usr/lib/systemd/system" / unit).read_text()
            for line in text.splitlines():
                if line.startswith("StateDirectory="):
                    self.assertIn(f"/var/lib/{line.split('=')[1]} ", purge)
        for left in ("/var/lib/systemd/timers/stamp-miniprogram-*.timer", "/etc/miniprogram/*.before-restore-*"):
            self.assertIn(left, purge)


if __name__ == "__main__":
    unittest.main()
