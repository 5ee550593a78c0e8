"""Invokes a new version of a function with the sample events of this folder, before the version gets traffic.

CodeDeploy calls this as the hook BeforeAllowTraffic of every gradual shift, and shifts nothing unless the report is success.
By hand: {"function": "STACK-worker", "version": "live"} returns the report."""

import json
import os
import re
from pathlib import Path

import boto3
from botocore.config import Config

# A deployment's revision is an AppSpec as text, in JSON or in YAML.
PROPERTY = re.compile(r"\b(Name|TargetVersion)\"?\s*:\s*[\"']?([A-Za-z0-9_-]+)")
# Longer than the slowest function may take; throttled invocations are repeated.
PATIENCE = Config(read_timeout=60, retries={"mode": "standard", "total_max_attempts": 6})


def refused(code):
    """The answer to a request without a valid token: the function has started, and has read what it verifies tokens with."""
    return lambda answer: answer["statusCode"] == 401 and json.loads(answer["body"])["code"] == code


def reads_the_table(answer):
    """Readiness as status reports it. That the gateway is unreachable is no fault of a version."""
    return answer["statusCode"] in (200, 503) and "table" not in json.loads(answer["body"])["failing"]


# What each function answers to the events that fit every stack. docs/operate/deploy.md says what that shows.
EVENTS = {
    "edge-auth": {"submit.json": refused("no_session")},
    "worker": {"job.sqs.json": lambda answer: answer == {"batchItemFailures": []}},
    "status": {"get-job.json": refused("no_session"), "ready.json": reads_the_table},
    "sweep": {"sweep.json": lambda answer: answer is None},
    "operator": {"operator-approvals.json": refused("no_operator")},
}


def handler(event, _context):
    """Checks one version, and reports to CodeDeploy if that has asked."""
    if "DeploymentId" not in event:
        return faults(event["function"], event["version"])
    codedeploy = boto3.client("codedeploy")
    try:
        found = faults(*target(codedeploy.get_deployment(deploymentId=event["DeploymentId"])["deploymentInfo"]))
    except Exception as error:  # Without a report CodeDeploy would wait an hour.
        found = [f"the check itself failed: {error}"]
    status = "Failed" if found else "Succeeded"
    codedeploy.put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"], lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"], status=status
    )
    return found


def target(deployment):
    """The function and the version that a deployment shifts to."""
    revision = deployment["revision"]
    text = (revision.get("string") or revision.get("appSpecContent"))["content"]
    properties = dict(PROPERTY.findall(text))
    return properties["Name"], properties["TargetVersion"]


def faults(function, version):
    """A sentence for each event whose answer is another one. Answers hold no user's data here, and are not logged all the same."""
    found = []
    client = boto3.client("lambda", config=PATIENCE)
    for name, right in EVENTS[function.removeprefix(f"{os.environ['STACK']}-")].items():
        event = (Path(__file__).parent / name).read_bytes()
        answer = client.invoke(FunctionName=function, Qualifier=version, Payload=event)
        payload = json.loads(answer["Payload"].read() or "null")
        if answer.get("FunctionError") or not fits(right, payload):
            status = payload.get("statusCode", "an error") if isinstance(payload, dict) else "something else"
            found.append(f"{function} version {version} answers {name} with {answer.get('FunctionError', status)}")
    for sentence in found or [f"{function} version {version} answers as it should"]:
        print(sentence)
    return found


def fits(right, payload):
    """Whether the answer is right; one of another shape is not."""
    try:
        return right(payload)
    except (KeyError, TypeError, ValueError):
        return False
