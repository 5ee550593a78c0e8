"""Changes of the built template (never of the source) that the emulator needs, although it is valid on AWS."""

import json
import zipfile

import yaml

from stack import ROOT

BUILT = ROOT / ".aws-sam/build/template.yaml"
# Statements that deny requests without TLS.
TLS_POLICIES = {"AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"}


# AWS authorises SendMessageBatch as sqs:SendMessage; the emulator asks for an action of that name, which IAM does not have.
BATCH = ("sqs:SendMessage", "sqs:SendMessageBatch")


def adapt(rehearsal):
    """Prints each change with its reason."""
    console = rehearsal.console
    template = yaml.safe_load(BUILT.read_text())
    resources = template["Resources"]
    nested = {name: resource.get("Condition") for name, resource in resources.items() if resource["Type"] == "AWS::CloudFormation::Stack"}
    for name in nested:
        del resources[name]
    template["Outputs"] = {name: output for name, output in template["Outputs"].items() if output.get("Condition") not in nested.values()}
    console.claims(f"{sorted(nested)} are left out: SAM CLI finds no nested template under the emulator's address when it deletes", nested == {"ConsoleHosting": "HasConsole", "Observation": "Observed"}, nested)
    plain = [name for name, resource in resources.items() if resource["Type"] in TLS_POLICIES]
    for name in plain:
        statements = resources.pop(name)["Properties"]["PolicyDocument"]["Statement"]
        console.claims(f"{name} is left out: it denies what does not come by TLS, and the emulator speaks plain HTTP", [one["Sid"] for one in statements] == ["TlsOnly"], statements)
    batching = [name for name, resource in resources.items() if resource["Type"] == "AWS::IAM::Role" and allow_batches(resource)]
    console.shows(f"{batching} get {BATCH[1]} with {BATCH[0]}: that is one action on AWS, and two in the emulator")
    checks = [name for name, resource in resources.items() if resource["Type"] == "AWS::IAM::Role" and allow_functions(resource)]
    console.shows(f"{checks} get the functions with their versions: the emulator asks for the right to invoke the function where AWS asks for that of the version")
    secrets = [name for name, resource in resources.items() if resource["Type"] == "AWS::SecretsManager::Secret"]
    console.shows(f"Ref of {secrets} is written as GetAtt Id: both are the ARN on AWS, Ref is the name in the emulator")
    limit = template["Parameters"]["MaximumConcurrency"]["Default"]
    console.shows(f"Ref of MaximumConcurrency is written as {limit}: the emulator takes a number for text there")
    instead = {name: {"Fn::GetAtt": [name, "Id"]} for name in secrets} | {"MaximumConcurrency": limit}
    console.shows(f"{pack(resources)} are packed here, uncompressed: SAM CLI would compress all of them for each deployment")
    BUILT.write_text(json.dumps(replaced(template, instead), indent=1))


def pack(resources):
    """Replaces the folder of each function by an archive of it. Returns the functions' names."""
    functions = [name for name, resource in resources.items() if "CodeUri" in resource["Properties"]]
    for name in functions:
        properties = resources[name]["Properties"]
        folder = BUILT.parent / properties["CodeUri"]
        properties["CodeUri"] = f"{folder.name}.zip"
        with zipfile.ZipFile(BUILT.parent / properties["CodeUri"], "w") as archive:
            for file in folder.iterdir():
                archive.write(file, file.name)
    return functions


def allow_batches(role):
    """Adds the emulator's action where a role may send messages. Returns whether it may."""
    statements = [one for policy in role["Properties"].get("Policies", []) for one in policy["PolicyDocument"]["Statement"]]
    sending = [one for one in statements if BATCH[0] in actions(one)]
    for statement in sending:
        statement["Action"] = sorted({*actions(statement), BATCH[1]})
    return bool(sending)


def allow_functions(role):
    """Adds the functions where a role may invoke their versions. Returns whether it may."""
    statements = [one for policy in role["Properties"].get("Policies", []) for one in policy["PolicyDocument"]["Statement"]]
    versions = [one for one in statements if one.get("Sid") == "Versions"]
    for statement in versions:
        statement["Resource"] += [{"Fn::Sub": one["Fn::Sub"].removesuffix(":*")} for one in statement["Resource"]]
    return bool(versions)


def actions(statement):
    """Of a statement, which may be conditional and is then none of those that send."""
    found = statement.get("Action", [])
    return [found] if isinstance(found, str) else found


def replaced(part, instead):
    """A copy in which some references are something else."""
    if isinstance(part, dict):
        if list(part) == ["Ref"] and part["Ref"] in instead:
            return instead[part["Ref"]]
        return {name: replaced(value, instead) for name, value in part.items()}
    return [replaced(value, instead) for value in part] if isinstance(part, list) else part
