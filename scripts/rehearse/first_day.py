"""The first deployment, with what newcomers get wrong."""

import time

import emulator
from client import request_id
from stack import SECRETS, Failure, fetch

DEPLOY_LOG = ".local/deploy/deploy.log"
RUN = ".local/rehearse/run"
# Who is who among the operators: a name and the roles in the token.
VIEWER, APPROVER, ADMIN = ("vera", "viewer"), ("anna", "approver"), ("adam", "admin")
# Longer than anything here takes on a slow machine; nothing is claimed of how long it takes.
PATIENCE_S = 120
# Nothing listens there.
UNREACHABLE = "http://127.0.0.1:9"


def until(claim, holds, console, seconds=PATIENCE_S):
    """Something that holds after a while: caches are five seconds old at most, the sweeper comes once a minute."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise Failure(f"not so after {seconds} s: {claim}")
        time.sleep(0.5)
    console.shows(f"ok: {claim}")


def operator(rehearsal, who, method, path, body=None):
    """One call of the operators' API, with a token of that operator, or without one."""
    token = who and rehearsal.world.issuer.token(rehearsal.parameters["OperatorAudience"], *who)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    status, _, answer = fetch(f"{rehearsal.stack.url()}/v1/operator{path}", method, headers, body)
    return status, answer


def start(rehearsal):
    world = rehearsal.world
    world.start_emulator()
    rehearsal.console.shows(f"emulator of AWS on {world.endpoint}, loopback only, with the roles' policies in force")
    seconds = world.start_gateway()
    rehearsal.console.shows(f"OpenClaw gateway with journal on {world.gateway_url}, ready after {seconds} s")
    world.start_wechat()
    rehearsal.console.shows(f"stand-in for WeChat's login on {world.wechat_url}")
    rehearsal.console.shows(f"stand-in for the operators' identity provider on {world.issuer.url}")


def wrong_parameters(rehearsal):
    code, said = rehearsal.deploy(OpenclawURL=rehearsal.world.gateway_url)
    rehearsal.refused(code, said, "OpenclawURL")
    code, said = rehearsal.deploy(OpenclawBaseUrl="ftp://gateway")
    rehearsal.refused(code, said, "OpenclawBaseUrl")


def without_secrets(rehearsal):
    emulator.adapt(rehearsal)
    code, said = rehearsal.deploy("--built", OpenclawBaseUrl=UNREACHABLE)
    rehearsal.console.shows("the emulator gives an empty secret a value, an empty text; on AWS it has none, and the check names the secret before it asks for readiness")
    rehearsal.refused(code, said, "-status", "secret")


def with_secrets(rehearsal):
    outputs, documents = rehearsal.stack.outputs(), rehearsal.directory / "secrets"
    given = ["--wechat-app-secret-file", rehearsal.world.app_secret, "--gateway-token-file", rehearsal.world.gateway_token]
    rehearsal.local("secrets", "new", *given, "--out", documents)
    options = [part for role, output in SECRETS.items() for part in (f"--{role}-secret", outputs[output])]
    rehearsal.local("secrets", "put", "--from", documents, *options)
    for document in documents.iterdir():
        document.unlink()
    code, said = rehearsal.command("scripts/deploy.sh", "test", "--check")
    rehearsal.refused(code, said, "OpenclawBaseUrl", UNREACHABLE)


def ready(rehearsal):
    before = rehearsal.versions()
    code, said = rehearsal.deploy("--built")
    rehearsal.console.claims("it is ready, with a heartbeat from after the deployment", code == 0, said)
    after = rehearsal.versions()
    rehearsal.console.claims(f"the same build again, one URL changed: each function has a new version behind `live`, {before} -> {after}", all(after[role] > before[role] for role in after), after)


def open_service(rehearsal):
    console, client = rehearsal.console, rehearsal.client("first")
    status, _, body = client.send(request_id(), "ledger_append", note="too early")
    console.claims("a table without a mode acts as read_only: a write is refused, 403 mode_read_only", (status, body.get("code")) == (403, "mode_read_only"), (status, body))
    read = client.submit("ledger_read")
    rehearsal.succeeds("first", read)
    rehearsal.local("mode", "set", "full", "--reason", "first opening", "--table", rehearsal.stack.outputs()["TableName"])
    until("writes are taken, as soon as edge-auth has read the mode", lambda: client.send(request_id(), "ledger_append", note="open")[0] == 202, console)


STEPS = [
    ("Start the emulator, a real gateway, stand-ins for WeChat's login and for the operators' identity provider", RUN, start),
    ("Build; deploy with a wrong parameter, which is refused by name", DEPLOY_LOG, wrong_parameters),
    ("Deploy without secrets, and with a gateway URL that does not answer", DEPLOY_LOG, without_secrets),
    ("Fill the four secrets; the check names the gateway", DEPLOY_LOG, with_secrets),
    ("Deploy the right gateway URL, and wait until the service is ready", DEPLOY_LOG, ready),
    ("Open the service, which acts as read_only until it is opened", RUN, open_service),
]
