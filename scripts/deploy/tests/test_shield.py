"""The stack in us-east-1 that Shield=on adds."""

import contextlib
import io
import unittest

from botocore.exceptions import ClientError
from fake_aws import Account, FakeClient

import shield
from stack import Failure

ABROAD = "arn:aws:acm:us-east-1:123456789012:certificate/a"


class Waiter:
    def wait(self, StackName):
        pass


class Shield(unittest.TestCase):
    def published(self, parameters, exists=False, unchanged=False, region="eu-west-1", status="CREATE_COMPLETE"):
        """The calls in us-east-1, and the output."""
        account = Account()
        account.parameters = parameters
        state = {"exists": exists}

        def describe(StackName):
            if not state["exists"]:
                raise ClientError({"Error": {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}}, "DescribeStacks")
            return {"Stacks": [{"StackStatus": status, "Outputs": [{"OutputKey": "DomainTarget", "OutputValue": "d1.cloudfront.net"}]}]}

        def change(**_):
            if unchanged:
                raise ClientError({"Error": {"Code": "ValidationError", "Message": "No updates are to be performed."}}, "UpdateStack")
            state["exists"] = True
            return {}

        calls = []
        stack = account.stack(region=region)
        abroad = FakeClient("cloudformation", {"describe_stacks": describe, "create_stack": change, "update_stack": change}, calls)
        abroad.get_waiter = lambda _: Waiter()
        stack._clients["cloudformation", shield.REGION] = abroad
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            shield.publish(stack)
        return [(name, given) for name, given in calls if name != "describe_stacks"], said.getvalue()

    def test_without_a_shield_nothing_is_made(self):
        self.assertEqual(self.published({}), ([], ""))
        self.assertEqual(self.published({"Shield": "off"}), ([], ""))

    def test_one_that_is_left_behind_is_named(self):
        done, said = self.published({"Shield": "off"}, exists=True)
        self.assertEqual(done, [])
        self.assertIn("delete-stack --region us-east-1 --stack-name openclaw-miniprogram-prod-eu-west-1-shield", said)

    def test_it_stands_before_the_api_and_has_the_domain(self):
        (done,), said = self.published({"Shield": "on", "DomainName": "api.example.com", "CertificateArn": ABROAD})
        values = {one["ParameterKey"]: one["ParameterValue"] for one in done[1]["Parameters"]}
        self.assertEqual(done[0], "create_stack")
        self.assertEqual(values["Origin"], "api.execute-api.eu-west-1.amazonaws.com")
        self.assertEqual((values["DomainName"], values["CertificateArn"]), ("api.example.com", ABROAD))
        self.assertIn("https://api.example.com; the domain's record points to d1.cloudfront.net", said)

    def test_a_second_deployment_updates_it_or_finds_nothing_to_do(self):
        for unchanged in (False, True):
            (done,), said = self.published({"Shield": "on"}, exists=True, unchanged=unchanged)
            self.assertEqual(done[0], "update_stack")
            self.assertIn("https://d1.cloudfront.net", said)

    def test_services_of_two_regions_have_a_shield_each(self):
        names = []
        for region in ("eu-west-1", "ap-southeast-1"):
            (done,), _ = self.published({"Shield": "on"}, region=region)
            names.append(done[1]["StackName"])
        self.assertEqual(names, [f"openclaw-miniprogram-prod-{region}-shield" for region in ("eu-west-1", "ap-southeast-1")])

    def test_one_that_was_never_made_whole_is_named_with_its_remedy(self):
        with self.assertRaisesRegex(Failure, "delete-stack --region us-east-1"):
            self.published({"Shield": "on"}, exists=True, status="ROLLBACK_COMPLETE")

    def test_what_it_cannot_have_is_refused_before_the_deployment(self):
        for given, region, named in [
            ({"Shield": "on"}, "cn-north-1", "aws-cn"),
            ({"Shield": "on", "CertificateArn": ABROAD.replace("us-east-1", "eu-west-1")}, "eu-west-1", "us-east-1"),
        ]:
            with self.assertRaisesRegex(Failure, named):
                shield.refuse(Account().stack(region=region), given)
        shield.refuse(Account().stack(), {"Shield": "on", "CertificateArn": ABROAD})
        shield.refuse(Account().stack(region="cn-north-1"), {})


if __name__ == "__main__":
    unittest.main()
