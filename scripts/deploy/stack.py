"""A deployed stack: its name, its URL, the versions of its functions."""

import contextlib
import json
import os
import sys
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parents[2]
ALIAS = "live"
# Names the version that was live before the last deployment: CodeDeploy knows nothing of deployments without a canary. Its
# description says which version took its place, since `sam deploy` by hand does not move it.
BEFORE = "before"
REPLACED_BY = "Live before version {}."
FUNCTIONS = {
    "edge-auth": "EdgeAuthFunction",
    "worker": "WorkerFunction",
    "status": "StatusFunction",
    "sweep": "SweepFunction",
    "operator": "OperatorFunction",
}
SECRETS = {"edge-auth": "EdgeAuthSecretArn", "status": "StatusSecretArn", "worker": "WorkerSecretArn", "sweep": "SweepSecretArn"}
# The SDK's texts of AWS's errors may be shown to the operator; they contain no secret.
CLOUD_ERRORS = (ClientError, BotoCoreError)


class Failure(Exception):
    """One sentence for the operator."""


@contextlib.contextmanager
def ending(command):
    """Ends the command with one line about what it cannot do."""
    try:
        yield
    except Failure as failure:
        sys.exit(f"{command}: {failure}")
    except CLOUD_ERRORS as error:
        sys.exit(f"{command}: AWS did not do as asked: {error}")


def settings(stage):
    """The entry of a stage in samconfig.toml: the stack's name, its region if any, and its parameters."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    if stage not in config or stage == "version":
        stages = ", ".join(name for name in config if name not in ("version", "default"))
        raise Failure(f"samconfig.toml has no stage {stage}; it has {stages}")
    merged = {}
    for section in ("global", "deploy"):
        for base in ("default", stage):
            merged.update(config.get(base, {}).get(section, {}).get("parameters", {}))
    if "stack_name" not in merged:
        raise Failure(f"samconfig.toml names no stack for the stage {stage}")
    given = merged.get("parameter_overrides", [])
    pairs = given.split() if isinstance(given, str) else given
    return merged["stack_name"], merged.get("region"), parameters(pairs)


def parameters(pairs):
    """Name=value, as a dictionary."""
    for pair in pairs:
        if "=" not in pair:
            raise Failure(f"{pair} is no parameter; write Name=value")
    return {name: value.strip("\"'") for name, value in (pair.split("=", 1) for pair in pairs)}


class Stack:
    """One stack, through the SDK's usual environment (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL...)."""

    def __init__(self, stage):
        self.stage = stage
        self.name, region, self.parameters = settings(stage)
        self.session = boto3.Session(region_name=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or region)
        self._clients = {}

    def in_china(self):
        """Whether the region is one of aws-cn."""
        return (self.session.region_name or "").startswith("cn-")

    def client(self, service, region=None):
        """A client of the stack's region, or of another."""
        key = (service, region) if region else service
        if key not in self._clients:
            self._clients[key] = self.session.client(service, region_name=region)
        return self._clients[key]

    def described(self):
        """The stack as CloudFormation has it, if there is one."""
        try:
            return self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise

    def outputs(self):
        stack = self.described()
        if stack is None:
            raise Failure(f"there is no stack {self.name}; deploy it first")
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def deployed_parameters(self):
        """The stack's parameters; none if there is no stack."""
        return {item["ParameterKey"]: item["ParameterValue"] for item in (self.described() or {}).get("Parameters", [])}

    def function(self, role):
        return self.outputs()[FUNCTIONS[role]]

    def url(self):
        """URL of the HTTP API. An emulator has another address."""
        url = self.outputs()["ApiUrl"]
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        return f"{endpoint.rstrip('/')}/_aws/execute-api/{url.split('//')[1].split('.')[0]}/$default" if endpoint else url

    def versions(self, role):
        """The published versions of a function, oldest first."""
        pages = self.client("lambda").get_paginator("list_versions_by_function").paginate(FunctionName=self.function(role))
        found = [int(item["Version"]) for page in pages for item in page["Versions"] if item["Version"] != "$LATEST"]
        return sorted(found)

    def found_alias(self, role, name):
        """An alias as Lambda has it, or None."""
        try:
            return self.client("lambda").get_alias(FunctionName=self.function(role), Name=name)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise

    def alias(self, role, name=ALIAS):
        """The version of an alias, and the versions with a weight in its routing; none without the alias."""
        found = self.found_alias(role, name)
        if found is None:
            return None, []
        weights = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        return int(found["FunctionVersion"]), sorted(int(version) for version in weights)

    def live(self, role):
        """The version that serves."""
        version, _ = self.alias(role)
        if version is None:
            raise Failure(f"{self.function(role)} has no alias {ALIAS}; deploy it first")
        return version

    def note_before(self, role, version, live):
        """Remembers which version was live before `live` took its place."""
        name, client = self.function(role), self.client("lambda")
        change = client.create_alias if self.alias(role, BEFORE)[0] is None else client.update_alias
        change(FunctionName=name, Name=BEFORE, FunctionVersion=str(version), Description=REPLACED_BY.format(live))

    def before(self, role, live):
        """The version whose place `live` took, if a deployment by this script has noted it."""
        found = self.found_alias(role, BEFORE)
        return int(found["FunctionVersion"]) if found and found.get("Description") == REPLACED_BY.format(live) else None

    def resources(self, kind):
        """Physical ids of the stack's resources of a type, by their logical ids."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        found = [item for page in pages for item in page["StackResourceSummaries"] if item["ResourceType"] == kind]
        return {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in found if item.get("PhysicalResourceId")}

    def move(self, role, version):
        """Moves the alias to another version at once, and removes the weights of a canary."""
        self.client("lambda").update_alias(
            FunctionName=self.function(role), Name=ALIAS, FunctionVersion=str(version), RoutingConfig={"AdditionalVersionWeights": {}}
        )

    def differs(self, role):
        """The names of the function's newest settings that the version of the alias lacks; no values."""
        name, client = self.function(role), self.client("lambda")
        newest = client.get_function_configuration(FunctionName=name)
        live = client.get_function_configuration(FunctionName=name, Qualifier=ALIAS)
        new, old = (config.get("Environment", {}).get("Variables", {}) for config in (newest, live))
        found = sorted(key for key in new.keys() | old.keys() if new.get(key) != old.get(key))
        return found + [key for key in ("CodeSha256", "MemorySize", "Timeout") if newest.get(key) != live.get(key)]


def fetch(url, method="GET", headers=None, body=None, timeout=35):
    """Status, headers, and the body as JSON where it is JSON."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({})) if "127.0.0.1" in url else urllib.request.build_opener()
    try:
        with opener.open(request, timeout=timeout) as answer:
            status, found, raw = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as answer:
        status, found, raw = answer.code, answer.headers, answer.read()
    try:
        return status, found, json.loads(raw) if raw else None
    except ValueError:
        return status, found, raw.decode(errors="replace")
