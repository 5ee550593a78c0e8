"""The parameters that scripts/deploy/deploy.sh passes to the deployment, and the alias that it sets for a rollback."""

import contextlib
import io
import re
import unittest
from unittest import mock

from fake_aws import Account

import deploy
from stack import FUNCTIONS, ROOT


def parameter(name):
    """What template.yaml says of a parameter."""
    section = re.search(rf"^  {name}:\n((?:    .*\n)+)", (ROOT / "template.yaml").read_text(), re.M).group(1)
    return dict(line.strip().split(": ", 1) for line in section.splitlines())


class Deploy(unittest.TestCase):
    def deployed(self, account, given, move=lambda: None, stage="test", region=None):
        """The commands that a deployment runs; `move` is what it does to the account."""
        commands = []

        def run(title, command):
            commands.append(command)
            if title == "deploying":
                move()

        with mock.patch.object(deploy, "run", run), mock.patch.object(deploy.hosting, "publish"), mock.patch.object(deploy.shield, "publish"):
            self.said = io.StringIO()
            with contextlib.redirect_stdout(self.said):
                deploy.deploy(account.stack(stage, region), given, built=False)
        return commands

    def test_each_deployment_has_a_release_that_the_template_takes(self):
        release, said = deploy.release(), parameter("Release")
        self.assertRegex(release, said["AllowedPattern"])
        self.assertLessEqual(len(release), int(said["MaxLength"]))
        self.assertRegex(release, r"^[0-9a-f]{12}(-dirty)?-\d{8}T\d{6}Z$")
        for command in self.deployed(Account(), {}):
            if command[0] == "sam":
                self.assertTrue(any(part.startswith("Release=") for part in command), command)
        sam = [command for command in self.deployed(Account(), {"Release": "mine"}) if command[0] == "sam"]
        self.assertTrue(all("Release=mine" in command for command in sam), sam)

    def test_what_was_live_before_is_noted_for_each_function_that_moved(self):
        account = Account(canary=False)
        account.publish("worker", 1, 2, live=1)

        def move():
            account.aliases["worker"]["live"] = (2, {})

        self.deployed(account, {}, move)
        self.assertEqual(account.aliases["worker"]["before"], (1, {}, "Live before version 2."))
        self.assertTrue(all("before" not in account.aliases[role] for role in FUNCTIONS if role != "worker"))

    def test_a_deployment_that_fails_notes_nothing(self):
        account = Account(canary=False)

        def move():
            account.publish("worker", 1, 2, live=2)
            raise deploy.Failure("deploying failed")

        with self.assertRaises(deploy.Failure):
            self.deployed(account, {}, move)
        self.assertNotIn("before", account.aliases["worker"])

    def test_in_china_the_functions_are_built_for_x86_unless_it_is_said(self):
        for given, kept, region, wanted in [
            ({}, {}, "cn-north-1", "Arch=x86_64"),
            ({"Arch": "arm64"}, {}, "cn-north-1", "Arch=arm64"),
            ({}, {"Arch": "arm64"}, "cn-northwest-1", "Arch=arm64"),
            ({}, {"Arch": "x86_64"}, "eu-west-1", "Arch=x86_64"),
            ({}, {}, "eu-west-1", None),
        ]:
            account = Account()
            account.parameters = kept
            for command in self.deployed(account, dict(given), region=region):
                if command[0] == "sam":
                    self.assertEqual(next((part for part in command if part.startswith("Arch=")), None), wanted)

    def test_prod_alone_cannot_be_deleted_by_mistake(self):
        for stage in ("test", "staging", "prod"):
            account = Account()
            self.deployed(account, {}, stage=stage)
            asked = account.asked("update_termination_protection")
            self.assertEqual([one["EnableTerminationProtection"] for one in asked], [True] if stage == "prod" else [], stage)

    def test_an_account_with_little_concurrency_is_told_what_to_do(self):
        for limit, told in ((10, True), (99, True), (100, False), (1000, False)):
            account = Account()
            account.concurrency = limit
            self.deployed(account, {})
            self.assertEqual("request-service-quota-increase" in self.said.getvalue(), told, limit)


if __name__ == "__main__":
    unittest.main()
