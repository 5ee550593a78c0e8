"""Whether what is deployed works, and if not, what is failing, by its name."""

import time
import urllib.error
from datetime import datetime, timezone

from botocore.exceptions import ClientError

from stack import ALIAS, FUNCTIONS, SECRETS, Failure, fetch

# The sweeper beats once a minute; its first beat may come a minute after the deployment, and a sandbox has to start.
PATIENCE_S = 150
LOOK_AGAIN_S = 2


def check(stack):
    """Ends when the service is ready, or with the one thing that is to be mended."""
    print("  checking what is deployed ...", flush=True)
    aliases(stack)
    secrets(stack)
    readiness(stack)


def aliases(stack):
    for role in FUNCTIONS:
        differing = stack.differs(role)
        if differing:
            raise Failure(
                f"{stack.function(role)}: {ALIAS} still runs version {stack.live(role)}, which differs from what was deployed in "
                f"{', '.join(differing)}; it was rolled back, or a canary was; deploy again"
            )


def secrets(stack):
    outputs = stack.outputs()
    for role, output in SECRETS.items():
        try:
            filled = stack.client("secretsmanager").get_secret_value(SecretId=outputs[output]).get("SecretString")
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            filled = None
        if not filled:
            raise Failure(f"the secret of {role} ({outputs[output]}) is empty; fill it as docs/operate/deploy.md says, then deploy.sh {stack.stage} --check")


def readiness(stack):
    """Follows /readyz. A beat from before this check proves nothing about what is deployed now."""
    url, began = stack.url(), datetime.now(timezone.utc)
    failing = ["nothing has answered"]
    while (datetime.now(timezone.utc) - began).total_seconds() < PATIENCE_S:
        failing, beat = look(url)
        fresh = beat is not None and beat >= began
        if fresh and not failing:
            print(f"  ready: {url}", flush=True)
            return
        if fresh and "gateway_unreachable" in failing:
            break
        time.sleep(LOOK_AGAIN_S)
    raise Failure(f"the service is not ready: {'; '.join(explain(stack, code) for code in failing) or 'the sweeper does not beat'}")


def look(url):
    """What fails, and when the sweeper last beat."""
    try:
        status, _, body = fetch(f"{url}/readyz", timeout=10)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        return [f"{url} does not answer ({getattr(error, 'reason', error)})"], None
    if not isinstance(body, dict) or "ready" not in body:
        return [f"no_answer_{status}"], None
    beat = body.get("heartbeat")
    return body["failing"], beat and datetime.fromisoformat(beat["at"].replace("Z", "+00:00"))


def explain(stack, code):
    given = stack.deployed_parameters()
    if code.startswith("no_answer_"):
        return f"GET /readyz answers {code.removeprefix('no_answer_')}, not from the function; read the log group of {stack.function('status')}"
    return {
        "gateway_unreachable": f"the gateway does not answer at OpenclawBaseUrl ({given.get('OpenclawBaseUrl')})",
        "heartbeat_missing": f"the sweeper has never run; read the log group of {stack.function('sweep')}",
        "heartbeat_stale": f"the sweeper has stopped; read the log group of {stack.function('sweep')}",
        "fence_broken": "the gateway lets guarded tools be called around its journal (fence_broken); see docs/design/security.md",
        "table": f"the table {stack.outputs().get('TableName')} does not answer to status; read the log group of {stack.function('status')}",
    }.get(code, code)
