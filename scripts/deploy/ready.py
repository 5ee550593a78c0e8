"""Checks whether the deployed service works, and names the part that fails."""

import json
import time
import urllib.error
from datetime import datetime, timezone

from botocore.exceptions import ClientError

from stack import ALIAS, FUNCTIONS, ROOT, SECRETS, Failure, fetch

# sweep writes its heartbeat once a minute; the first one may come a minute after the deployment, and a sandbox has to start.
PATIENCE_S = 150
LOOK_AGAIN_S = 2


def check(stack):
    """Returns when the service is ready, or fails with the one fault that has to be repaired."""
    print("  checking what is deployed ...", flush=True)
    aliases(stack)
    secrets(stack)
    readiness(stack)
    reachable(stack)


def aliases(stack):
    for role in FUNCTIONS:
        differing = stack.differs(role)
        if differing:
            raise Failure(
                f"{stack.function(role)}: {ALIAS} still runs version {stack.live(role)}, which differs from what was deployed in "
                f"{', '.join(differing)}; it was rolled back, or a canary was; deploy again"
            )


def secrets(stack):
    """Whether each secret has a value. The deploying principal may not read values; the description of a secret shows whether there is one."""
    for role in empty_secrets(stack):
        arn = stack.outputs()[SECRETS[role]]
        raise Failure(f"the secret of {role} ({arn}) is empty; fill it as docs/operate/deploy.md says, then deploy.sh {stack.stage} --check")


def empty_secrets(stack):
    """The functions whose secret has no value, as far as the stack has the secrets already."""
    outputs, manager = stack.outputs(), stack.client("secretsmanager")
    versions = {role: manager.describe_secret(SecretId=outputs[output]).get("VersionIdsToStages", {}) for role, output in SECRETS.items() if output in outputs}
    return [role for role in SECRETS if not any("AWSCURRENT" in stages for stages in versions.get(role, {}).values())]


def readiness(stack):
    """Polls the readiness that status reports. A heartbeat from before this check proves nothing about the deployed version."""
    began = datetime.now(timezone.utc)
    failing = ["nothing has answered"]
    while (datetime.now(timezone.utc) - began).total_seconds() < PATIENCE_S:
        failing, beat = look(stack)
        fresh = beat is not None and beat >= began
        if fresh and not failing:
            print("  ready", flush=True)
            return
        if fresh and "gateway_unreachable" in failing:
            break
        time.sleep(LOOK_AGAIN_S)
    raise Failure(f"the service is not ready: {'; '.join(explain(stack, code) for code in failing) or 'the sweeper does not beat'}")


def look(stack):
    """The failing parts, and the time of sweep's last heartbeat. Readiness has no public route, so the live version is invoked."""
    event = (ROOT / "events/ready.json").read_bytes()
    try:
        answer = stack.client("lambda").invoke(FunctionName=stack.function("status"), Qualifier=ALIAS, Payload=event)
    except ClientError as error:
        if error.response["Error"]["Code"] != "TooManyRequestsException":
            raise
        return ["throttled"], None
    told = json.loads(answer["Payload"].read())
    body = {} if answer.get("FunctionError") else json.loads(told.get("body") or "{}")
    if "ready" not in body:
        return ["no_answer"], None
    beat = body.get("heartbeat")
    return body["failing"], beat and datetime.fromisoformat(beat["at"].replace("Z", "+00:00"))


def reachable(stack):
    """Whether the HTTP API answers from here, as a client would ask it."""
    url = stack.url()
    try:
        status, _, _ = fetch(f"{url}/healthz", timeout=10)
        told = f"answers {status}"
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        status, told = None, f"does not answer ({getattr(error, 'reason', error)})"
    if status == 200:
        print(f"  reachable: {url}", flush=True)
    elif stack.in_china():
        # In aws-cn it accepts requests without its own authorizer only in an account with an ICP licence.
        print(f"  not reachable: {url}/healthz {told}; in China that needs the account's ICP licence, see docs/operate/deploy.md", flush=True)
    else:
        raise Failure(f"the service is ready, and {url}/healthz {told}; read the log group of {stack.function('status')}")


def explain(stack, code):
    given = stack.deployed_parameters()
    return {
        "no_answer": f"{stack.function('status')} fails when it is invoked, for example because its secret is incomplete; read its log group",
        "throttled": f"{stack.function('status')} is throttled: the account's concurrency is used up (docs/operate/deploy.md)",
        "gateway_unreachable": f"the gateway does not answer at OpenclawBaseUrl ({given.get('OpenclawBaseUrl')})",
        "heartbeat_missing": f"the sweeper has never run; read the log group of {stack.function('sweep')}",
        "heartbeat_stale": f"the sweeper has stopped; read the log group of {stack.function('sweep')}",
        "fence_broken": "the gateway lets guarded tools be called around its journal (fence_broken); see docs/design/security.md",
        "table": f"the table {stack.outputs().get('TableName')} does not answer to status; read the log group of {stack.function('status')}",
    }.get(code, code)
