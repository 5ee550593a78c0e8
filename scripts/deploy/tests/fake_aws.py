"""An AWS account in memory, as far as scripts/deploy uses it. Every call is validated by botocore's service models,
so that an unknown operation or parameter fails here as it would at AWS."""

import io
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import boto3  # noqa: E402
from botocore.exceptions import ClientError, ParamValidationError  # noqa: E402
from botocore.validate import ParamValidator  # noqa: E402

import stack  # noqa: E402


class FakeClient:
    """One service. `answers` has a function for each operation, by its name in Python."""

    def __init__(self, service, answers, calls):
        real = boto3.client(service, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="y")
        self._model, self._names = real.meta.service_model, real.meta.method_to_api_mapping
        self._answers, self._calls = answers, calls

    def __getattr__(self, operation):
        def call(**given):
            report = ParamValidator().validate(given, self._model.operation_model(self._names[operation]).input_shape)
            if report.has_errors():
                raise ParamValidationError(report=report.generate_report())
            self._calls.append((operation, given))
            return self._answers[operation](**given)

        return call

    def get_paginator(self, operation):
        client = self

        class Paginator:
            def paginate(self, **given):
                yield getattr(client, operation)(**given)

        return Paginator()


def missing(operation):
    return ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "there is none"}}, operation)


class Account:
    """A stack with its five functions, each with one version that is live."""

    def __init__(self, canary=True):
        self.status = "UPDATE_COMPLETE"
        self.parameters = {}
        self.outputs = {"TableName": "table", "ApiUrl": "https://api.execute-api.eu-west-1.amazonaws.com"}
        self.concurrency = 1000
        self.secrets = {output: {"v": ["AWSCURRENT"]} for output in stack.SECRETS.values()}
        self.readiness = {"ready": True, "failing": []}
        self.aliases = {role: {"live": (1, {})} for role in stack.FUNCTIONS}
        self.versions = {role: [1] for role in stack.FUNCTIONS}
        self.canary = canary
        self.deployments = []
        self.calls = []

    # ---- what happens in it

    def publish(self, role, *versions, live):
        self.versions[role] = [*versions]
        self.aliases[role]["live"] = (live, {})

    def note(self, role, version, live):
        """What a deployment by the script leaves."""
        self.aliases[role]["before"] = (version, {}, stack.REPLACED_BY.format(live))

    def shift(self, role, current, target, status, form="json"):
        """A deployment of CodeDeploy's."""
        forms = {
            "json": '{"version":0.0,"Resources":[{"F":{"Type":"AWS::Lambda::Function","Properties":{"Alias":"live","CurrentVersion":"%s","TargetVersion":"%s"}}}]}',
            "yaml": "version: 0.0\nResources:\n- F:\n    Properties:\n      Alias: live\n      CurrentVersion: '%s'\n      TargetVersion: %s\n",
        }
        number = len(self.deployments) + 1
        revision = {"revisionType": "String", "string": {"content": forms[form] % (current, target)}}
        self.deployments.append(
            {"deploymentId": f"d-{number}", "group": role, "status": status, "createTime": number, "revision": revision}
        )
        return f"d-{number}"

    def asked(self, operation):
        return [given for name, given in self.calls if name == operation]

    # ---- what it answers

    def described(self, StackName):
        if self.status is None:
            raise ClientError({"Error": {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}}, "DescribeStacks")
        outputs = [{"OutputKey": output, "OutputValue": role} for role, output in stack.FUNCTIONS.items()]
        outputs += [{"OutputKey": output, "OutputValue": output} for output in stack.SECRETS.values()]
        outputs += [{"OutputKey": name, "OutputValue": value} for name, value in self.outputs.items()]
        given = [{"ParameterKey": name, "ParameterValue": value} for name, value in self.parameters.items()]
        return {"Stacks": [{"StackStatus": self.status, "Outputs": outputs, "Parameters": given}]}

    def resources(self, StackName):
        found = []
        if self.canary:
            found.append(("AWS::CodeDeploy::Application", "ServerlessDeploymentApplication", "application"))
            found += [
                ("AWS::CodeDeploy::DeploymentGroup", f"{output.removesuffix('Function')}DeploymentGroup", role)
                for role, output in stack.FUNCTIONS.items()
            ]
        keys = ("ResourceType", "LogicalResourceId", "PhysicalResourceId")
        return {"StackResourceSummaries": [dict(zip(keys, one)) for one in found]}

    def get_alias(self, FunctionName, Name):
        if Name not in self.aliases[FunctionName]:
            raise missing("GetAlias")
        version, weights, *description = self.aliases[FunctionName][Name]
        described = {"Description": description[0]} if description else {}
        routing = {"RoutingConfig": {"AdditionalVersionWeights": weights}} if weights else {}
        return {"FunctionVersion": str(version), **routing, **described}

    def set_alias(self, FunctionName, Name, FunctionVersion, RoutingConfig=None, Description=None):
        described = [Description] if Description else []
        self.aliases[FunctionName][Name] = (int(FunctionVersion), (RoutingConfig or {}).get("AdditionalVersionWeights", {}), *described)

    def list_versions(self, FunctionName):
        return {"Versions": [{"Version": "$LATEST"}, *({"Version": str(one)} for one in self.versions[FunctionName])]}

    def list_deployments(self, applicationName, deploymentGroupName):
        assert applicationName == "application"
        return {"deployments": [one["deploymentId"] for one in self.deployments if one["group"] == deploymentGroupName]}

    def deployments_of(self, deploymentIds):
        return {"deploymentsInfo": [one for one in self.deployments if one["deploymentId"] in deploymentIds]}

    def stop_deployment(self, deploymentId, autoRollbackEnabled):
        (one,) = (one for one in self.deployments if one["deploymentId"] == deploymentId)
        one["status"] = "Stopped"
        return {"status": "Pending"}

    def settings(self):
        return {"AccountLimit": {"ConcurrentExecutions": self.concurrency}}

    def invoke(self, FunctionName, Qualifier, Payload):
        assert Qualifier == "live" and json.loads(Payload)["rawPath"] == "/readyz"
        if self.readiness is None:
            raise ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "full"}}, "Invoke")
        answer = {"statusCode": 200, "body": json.dumps(self.readiness)}
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}

    def stack(self, stage="prod", region=None):
        answers = {
            "cloudformation": {
                "describe_stacks": self.described, "list_stack_resources": self.resources,
                "update_termination_protection": lambda **_: {},
            },
            "lambda": {
                "get_alias": self.get_alias, "update_alias": self.set_alias, "create_alias": self.set_alias,
                "list_versions_by_function": self.list_versions, "get_account_settings": self.settings, "invoke": self.invoke,
                "get_function_configuration": lambda **_: {},
            },
            "secretsmanager": {"describe_secret": lambda SecretId: {"VersionIdsToStages": self.secrets[SecretId]}},
            "codedeploy": {
                "list_deployments": self.list_deployments, "batch_get_deployments": self.deployments_of,
                "stop_deployment": self.stop_deployment,
            },
        }  # fmt: skip
        found = stack.Stack(stage)
        found.session = boto3.Session(region_name=region or "eu-west-1")
        found._clients = {service: FakeClient(service, of, self.calls) for service, of in answers.items()}
        return found
