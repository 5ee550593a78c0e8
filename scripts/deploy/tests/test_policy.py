"""The rights that docs/operate/deployer-policy-*.json gives, against what scripts/deploy asks AWS for."""

import ast
import fnmatch
import json
import unittest

from fake_aws import Account  # noqa: F401, it puts scripts/deploy on the path

import boto3
from stack import ROOT

# Reading or changing what the service keeps is no part of deploying it.
KEPT = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PutItem", "dynamodb:DeleteItem", "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue", "sqs:ReceiveMessage", "sqs:SendMessage", "iam:CreateUser", "iam:CreateAccessKey"]  # fmt: skip


# A property that a template sets, and the action that it takes.
TAKEN = {
    "ReservedConcurrentExecutions": "lambda:PutFunctionConcurrency",
    "LifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "RecursiveLoop": "lambda:PutFunctionRecursionConfig",
    "ObjectLockConfiguration": "s3:PutBucketObjectLockConfiguration",
    "PointInTimeRecoverySpecification": "dynamodb:UpdateContinuousBackups",
    "DomainName": "iam:CreateServiceLinkedRole",
}


def policies():
    return [json.loads(file.read_text()) for file in sorted((ROOT / "docs/operate").glob("deployer-policy-*.json"))]


def granted():
    return [action for policy in policies() for one in policy["Statement"] for action in one["Action"]]


def asked():
    """Every call of AWS in scripts/deploy, as the action that it takes."""
    found = set()
    for file in (ROOT / "scripts/deploy").glob("*.py"):
        names, services = set(), set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                text = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
                if node.func.attr == "client":
                    services |= set(text)
                names |= {node.func.attr, *(text if node.func.attr == "get_paginator" else [])}
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
        for service in services:
            known = boto3.client(service, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="y").meta.method_to_api_mapping
            found |= {f"{service}:{known[name]}" for name in names if name in known}
    # Invoking is called otherwise.
    return {{"lambda:Invoke": "lambda:InvokeFunction"}.get(action, action) for action in found}


class Policy(unittest.TestCase):
    def test_it_has_what_the_scripts_ask_for(self):
        self.assertIn("codedeploy:StopDeployment", asked())
        self.assertIn("secretsmanager:DescribeSecret", asked())
        for action in asked():
            self.assertTrue(any(fnmatch.fnmatchcase(action, right) for right in granted()), action)

    def test_it_has_what_the_properties_of_the_templates_take(self):
        """Actions that the schemas name for many types are withheld only where no template sets what they are for."""
        templates = "".join((ROOT / name).read_text() for name in ("template.yaml", "console/template.yaml", "observe/template.yaml", "shield/template.yaml"))
        for property, action in TAKEN.items():
            self.assertIn(f"{property}:", templates, f"{property} is in no template: withhold {action}")
            self.assertIn(action, granted())

    def test_it_has_what_the_access_log_of_an_http_api_takes(self):
        for name in ("CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery", "ListLogDeliveries", "PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups"):
            self.assertTrue(any(fnmatch.fnmatchcase(f"logs:{name}", right) for right in granted()), name)

    def test_it_has_the_workers_recursion(self):
        self.assertIn("lambda:PutFunctionRecursionConfig", granted())

    def test_it_reads_and_changes_nothing_that_the_service_keeps(self):
        for action in KEPT:
            self.assertFalse(any(fnmatch.fnmatchcase(action, right) for right in granted()), action)

    def test_roles_are_made_and_passed_under_the_stacks_name_alone_beside_that_of_custom_domains(self):
        for policy in policies():
            for one in policy["Statement"]:
                if one["Action"] == ["iam:CreateServiceLinkedRole"]:
                    self.assertEqual(one["Condition"], {"StringEquals": {"iam:AWSServiceName": "ops.apigateway.amazonaws.com"}})
                    self.assertTrue(one["Resource"].endswith(":role/aws-service-role/ops.apigateway.amazonaws.com/*"), one)
                elif any(action.startswith("iam:") for action in one["Action"]):
                    self.assertEqual(one["Resource"], "arn:PARTITION:iam::ACCOUNT:role/STACK-*", one)


if __name__ == "__main__":
    unittest.main()
