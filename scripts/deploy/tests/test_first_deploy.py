"""first_deploy.py: which steps are skipped as done, and the message of each failure."""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from botocore.exceptions import ClientError
from fake_aws import Account

import first_deploy
import first_job
from stack import ROOT, SECRETS, Failure

GIVEN = {"Stage": "test", "OpenclawBaseUrl": "https://gateway.example.com", "WechatAppId": "wx0123456789abcdef"}
VALUES = {"wechat-app-secret": "the-app-secret", "gateway-token": "the-gateway-token"}
TOOLS = [
    {"name": "pay", "effect": "write", "approval": "user", "example": {"amount": 1}},
    {"name": "look", "effect": "read", "approval": "operator", "example": {}},
    {"name": "read", "effect": "read", "approval": "none", "example": {"limit": 10}},
]


class World(Account):
    """An account, the program `local`, and the deployed API."""

    def __init__(self):
        super().__init__(canary=False)
        self.status, self.mode, self.commands, self.deployed = None, None, [], 0
        self.secrets = {output: {} for output in SECRETS.values()}
        self.job = {"status": "succeeded", "result": {"notes": []}}
        self.sent = []
        self.commit, self.published = "0123456789ab", mock.Mock()

    def deploy(self, stack, given, built):
        self.status, self.parameters = "CREATE_COMPLETE", {**given, "Release": f"{self.commit}-20261129T004431Z"}
        self.deployed += 1

    def local(self, *command):
        self.commands.append(command)
        if command[:2] == ("secrets", "fill"):
            self.secrets = {output: {"v": ["AWSCURRENT"]} for output in SECRETS.values()}
            return "The secret of edge-auth is filled."
        if command[:2] == ("mode", "get"):
            return f"service  {self.mode}  since" if self.mode else f"service  read_only: {first_deploy.NO_MODE}"
        if command[:2] == ("mode", "set"):
            self.mode = command[2]
            return f"service  {self.mode}  since"
        return {"session": "the-token", "id": "an-id", "audit": "ok: 2 records"}[command[0]]

    def fetch(self, url, method="GET", headers=None, body=None, timeout=35):
        assert headers["authorization"] == "Bearer the-token"
        path = url.split(".com")[1]
        self.sent.append((method, path, body))
        answers = {
            ("GET", "/v1/tools"): (200, {"tools": TOOLS}),
            ("POST", "/v1/jobs"): (202, {"request_id": "an-id"}),
            ("GET", "/v1/jobs/an-id"): (200, self.job),
            ("GET", "/v1/jobs/an-id/audit"): (200, {"records": [{"seq": 1, "at": "now", "event": "accepted"}]}),
        }
        status, answer = answers[method, path]
        return status, {}, answer

    def go(self, fails=None, tool=None, given=None):
        """One run of the command, and its output. `fails` stops the check with that sentence, or that error of AWS."""
        with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as patches:
            files = {name: Path(directory) / name for name in VALUES}
            for name, file in files.items():
                file.write_text(f"{VALUES[name]}\n")
            check = Failure(fails) if isinstance(fails, str) else fails
            for place, name, value in [
                (first_deploy.deploy, "deploy", self.deploy), (first_deploy.deploy, "run", lambda *_: None),
                (first_deploy.deploy, "release", lambda: f"{self.commit}-20261129T010203Z"),
                (first_deploy.deploy, "published", self.published),
                (first_deploy.ready, "check", mock.Mock(side_effect=check)), (first_job, "fetch", self.fetch),
                (first_job, "CHAIN", str(Path(directory) / "audit.json")),
            ]:  # fmt: skip
                patches.enter_context(mock.patch.object(place, name, value))
            said = io.StringIO()
            patches.enter_context(contextlib.redirect_stdout(said))
            run = first_deploy.FirstDeploy(self.stack("test"), given or GIVEN, built=False, files=files, tool=tool)
            run.local.must = self.local
            first_deploy.go(run)
            return said.getvalue()


class FirstDeploy(unittest.TestCase):
    def test_one_command_ends_with_a_result_and_an_audit_chain(self):
        world = World()
        said = world.go()
        self.assertEqual((world.deployed, world.mode), (1, "full"))
        for part in ("7/7 a first job", "as job an-id: succeeded", 'result: {"notes": []}', "accepted", "ok: 2 records"):
            self.assertIn(part, said)
        self.assertIn(("POST", "/v1/jobs", {"tool": "read", "arguments": {"limit": 10}}), world.sent)

    def test_no_value_of_a_secret_is_on_a_command_line_or_in_what_is_said(self):
        world = World()
        said = world.go()
        for value in [*VALUES.values(), "the-token"]:
            self.assertNotIn(value, said)
            self.assertFalse(any(value == str(part) for command in world.commands for part in command), value)

    def test_a_second_run_goes_on_where_the_first_stopped(self):
        world = World()
        with self.assertRaisesRegex(Failure, r"step 5 of 7 \(ready\) stopped: the gateway .*run the same command again"):
            world.go(fails="the gateway does not answer at OpenclawBaseUrl")
        self.assertIsNone(world.mode)
        said = world.go()
        self.assertEqual(world.deployed, 1, "the stack was deployed by the first run")
        self.assertEqual((said.count("done before"), world.mode), (2, "full"))
        world.published.assert_called_once()  # the first run may have stopped before the console or the shield
        self.assertEqual(world.go().count("done before"), 3, "the files, the stack and the mode")

    def test_a_right_that_is_missing_is_named_with_its_step_and_the_remedy(self):
        denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "not authorized to perform: lambda:InvokeFunction"}}, "Invoke")
        with self.assertRaisesRegex(Failure, r"step 5 of 7 \(ready\) stopped: .*lambda:InvokeFunction.*permissions to deploy.*run the same command again"):
            World().go(fails=denied)

    def test_another_parameter_or_commit_is_deployed(self):
        world = World()
        world.go()
        world.go(given={**GIVEN, "OpenclawBaseUrl": "https://other.example.com"})
        self.assertEqual(world.deployed, 2)
        world.parameters["Release"] = "ba9876543210-20261129T004431Z"
        world.go(given={**GIVEN, "OpenclawBaseUrl": "https://other.example.com"})
        self.assertEqual(world.deployed, 3)

    def test_changed_files_and_a_tree_without_git_are_deployed_each_time(self):
        for commit in ("0123456789ab-dirty", "unknown"):
            world = World()
            world.commit = commit
            world.go()
            world.go()
            self.assertEqual(world.deployed, 2, commit)

    def test_empty_secrets_of_a_stack_are_filled_before_it_is_deployed_again(self):
        world = World()
        world.deploy(None, GIVEN, False)
        world.go(given={**GIVEN, "OpenclawBaseUrl": "https://other.example.com"})
        self.assertEqual((world.commands[0][:2], world.deployed), (("secrets", "fill"), 2))

    def test_a_mode_that_somebody_has_set_stays(self):
        world = World()
        world.mode = "closed"
        self.assertIn("service  closed", world.go())
        self.assertEqual(world.mode, "closed")

    def test_a_missing_file_is_named_before_anything_is_deployed(self):
        world = World()
        run = first_deploy.FirstDeploy(world.stack("test"), GIVEN, False, {"gateway-token": ".local/does/not/exist"})
        with contextlib.redirect_stdout(io.StringIO()), self.assertRaisesRegex(Failure, "step 1 of 7.*does/not/exist has to hold the gateway token"):
            first_deploy.go(run)
        self.assertEqual(world.deployed, 0)

    def test_a_stack_whose_creation_failed_is_to_be_deleted(self):
        world = World()
        world.status = "ROLLBACK_COMPLETE"
        with self.assertRaisesRegex(Failure, "the stack.*sam delete --stack-name openclaw-miniprogram-test"):
            world.go()

    def test_a_job_that_does_not_succeed_says_why_and_what_to_do(self):
        world = World()
        world.job = {"status": "failed", "error": {"code": "tool_not_found"}}
        with self.assertRaisesRegex(Failure, "a first job.*tool_not_found.*--tool"):
            world.go()

    def test_the_tool_can_be_named(self):
        world = World()
        world.go(tool="look")
        self.assertIn(("POST", "/v1/jobs", {"tool": "look", "arguments": {}}), world.sent)
        with self.assertRaisesRegex(Failure, "no tool absent; name one of pay, look, read"):
            World().go(tool="absent")

    def test_words_of_the_program_local_are_those_that_are_looked_for(self):
        self.assertIn(first_deploy.NO_MODE, (ROOT / "local/src/cli/mode.rs").read_text())
        stages = ", ".join(json.dumps(stage) for stage in first_deploy.STAGES)
        self.assertIn(f"= [{stages}];", (ROOT / "local/src/test_session.rs").read_text())


if __name__ == "__main__":
    unittest.main()
