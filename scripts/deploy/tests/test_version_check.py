"""The hook that invokes a new version before it gets traffic, with stubbed answers of Lambda and CodeDeploy."""

import io
import json
import os
import re
import sys
import unittest
from unittest import mock

from fake_aws import FakeClient

from stack import FUNCTIONS, ROOT

sys.path.insert(0, str(ROOT / "events"))
import version_check  # noqa: E402

HOOK = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1"}
FORMS = {
    "string": '{"version":0.0,"Resources":[{"WorkerAliaslive":{"Type":"AWS::Lambda::Function","Properties":{"Name":"stack-%s","Alias":"live","CurrentVersion":"6","TargetVersion":"7"}}}],"Hooks":[{"BeforeAllowTraffic":"stack-version-check"}]}',
    "appSpecContent": "version: 0.0\nResources:\n- F:\n    Type: AWS::Lambda::Function\n    Properties:\n      Name: stack-%s\n      Alias: live\n      CurrentVersion: '6'\n      TargetVersion: '7'\n",
}


def problem(status, code):
    return {"statusCode": status, "body": json.dumps({"code": code})}


RIGHT = {
    "edge-auth": {"submit.json": problem(401, "no_session")},
    "worker": {"job.sqs.json": {"batchItemFailures": []}},
    "status": {
        "get-job.json": problem(401, "no_session"),
        "ready.json": {"statusCode": 503, "body": json.dumps({"ready": False, "failing": ["gateway_unreachable"]})},
    },
    "sweep": {"sweep.json": None},
    "operator": {"operator-approvals.json": problem(401, "no_operator")},
}


class VersionCheck(unittest.TestCase):
    def run_hook(self, role, answers, event=HOOK, form="string", error=None):
        """The report of the hook for a version with these responses, and its calls to AWS."""
        self.calls = []
        by_event = {(ROOT / "events" / name).read_bytes(): answer for name, answer in answers.items()}

        def invoke(FunctionName, Qualifier, Payload):
            assert FunctionName == f"stack-{role}" and Qualifier in ("7", "live")
            return {"Payload": io.BytesIO(json.dumps(by_event[Payload]).encode()), **({"FunctionError": error} if error else {})}

        revision = {"revisionType": "String", form: {"content": FORMS[form] % role}}
        clients = {
            "lambda": FakeClient("lambda", {"invoke": invoke}, self.calls),
            "codedeploy": FakeClient(
                "codedeploy",
                {"get_deployment": lambda deploymentId: {"deploymentInfo": {"revision": revision}}, "put_lifecycle_event_hook_execution_status": lambda **_: {}},
                self.calls,
            ),
        }
        with mock.patch.object(version_check.boto3, "client", lambda service, config=None: clients[service]), mock.patch.dict(os.environ, {"STACK": "stack"}), mock.patch("builtins.print"):
            found = version_check.handler(event, None)
        reported = [given["status"] for name, given in self.calls if name == "put_lifecycle_event_hook_execution_status"]
        return reported, found

    def test_each_function_has_events_and_its_right_answers_let_the_shift_go_on(self):
        self.assertEqual(set(version_check.EVENTS), set(FUNCTIONS))
        for form in FORMS:
            for role, answers in RIGHT.items():
                self.assertEqual(self.run_hook(role, answers, form=form), (["Succeeded"], []), role)
                invoked = [given for name, given in self.calls if name == "invoke"]
                self.assertEqual([given["Qualifier"] for given in invoked], ["7"] * len(answers))

    def test_another_answer_stops_the_shift(self):
        unreadable = {"statusCode": 503, "body": json.dumps({"ready": False, "failing": ["table"]})}
        for role, name, answer in [
            ("edge-auth", "submit.json", problem(500, "internal")),
            ("edge-auth", "submit.json", {"statusCode": 401, "body": "no JSON"}),
            ("worker", "job.sqs.json", {"batchItemFailures": [{"itemIdentifier": "m"}]}),
            ("status", "get-job.json", problem(503, "unavailable")),
            ("status", "ready.json", unreadable),
            ("sweep", "sweep.json", {"errorMessage": "x"}),
            ("operator", "operator-approvals.json", None),
        ]:
            reported, found = self.run_hook(role, {**RIGHT[role], name: answer})
            self.assertEqual((reported, len(found)), (["Failed"], 1), (role, name, found))
            self.assertIn(name, found[0])

    def test_a_version_that_cannot_start_stops_the_shift(self):
        for role, answers in RIGHT.items():
            reported, found = self.run_hook(role, answers, error="Unhandled")
            self.assertEqual((reported, len(found)), (["Failed"], len(answers)), role)

    def test_a_check_that_fails_itself_is_reported_and_does_not_wait_for_an_hour(self):
        reported, found = self.run_hook("nothing", {})
        self.assertEqual((reported, len(found)), (["Failed"], 1))

    def test_by_hand_it_reports_to_its_caller_alone(self):
        event = {"function": "stack-worker", "version": "live"}
        self.assertEqual(self.run_hook("worker", RIGHT["worker"], event), ([], []))
        self.assertEqual({name for name, _ in self.calls}, {"invoke"})

    def test_the_page_of_the_events_names_what_it_sends(self):
        page = (ROOT / "events/README.md").read_text()
        for role, events in version_check.EVENTS.items():
            for name in events:
                self.assertRegex(page, rf"\| `{re.escape(name)}` \| `{role}` \|")


if __name__ == "__main__":
    unittest.main()
