"""The first deployment, with typical mistakes."""

import json
import time

import emulator
import nested
from mini_program import request_id
from stack import ALIAS, FUNCTIONS, SECRETS, Failure, fetch
from sweeps import more_sweeps

DEPLOY_LOG = ".local/deploy/deploy.log"
RUN = ".local/rehearse/run"
# The operators: name, and roles in the token.
VIEWER, APPROVER, ADMIN = ("vera", "viewer"), ("anna", "approver"), ("adam", "admin")
# Longer than any wait here takes on a slow machine.
PATIENCE_S = 120
# Nothing listens there.
UNREACHABLE = "http://127.0.0.1:9"


def until(claim, holds, console, seconds=PATIENCE_S):
    """Waits for a claim to hold: caches are five seconds old at most, sweep runs once a minute."""
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


def first_deploy(rehearsal, **changed):
    """Runs `first-deploy` on the build of the step before."""
    given = [f"{name}={value}" for name, value in {**rehearsal.parameters, **changed}.items()]
    files = ["--wechat-app-secret-file", rehearsal.world.app_secret, "--gateway-token-file", rehearsal.world.gateway_token]
    return rehearsal.command("scripts/deploy/first-deploy.sh", "test", *given, "--built", *files)


def stops_at_the_gateway(rehearsal):
    console = rehearsal.console
    emulator.adapt(rehearsal)
    with more_sweeps(rehearsal):
        code, said = first_deploy(rehearsal, OpenclawBaseUrl=UNREACHABLE)
    rehearsal.refused(code, said, "(ready)", "OpenclawBaseUrl", UNREACHABLE, "run the same command again")
    console.claims("the four secrets are filled before that", said.count("is filled.") == len(SECRETS), said)
    status, _, body = rehearsal.client("first").send(request_id(), "ledger_append", note="too early")
    console.claims("a table without a mode acts as read_only: a write is refused, 403 mode_read_only", (status, body.get("code")) == (403, "mode_read_only"), (status, body))


def goes_on(rehearsal):
    console, client = rehearsal.console, rehearsal.client("first")
    before = rehearsal.versions()
    # Its heartbeat is the schedule's own.
    code, said = first_deploy(rehearsal)
    console.claims("the same command with the right URL ends with a first answer", code == 0, said)
    console.claims("it changes no secret", "nothing is changed" in said, said)
    console.claims("a job of a test user succeeded, and its audit chain verifies", ": succeeded" in said and "ok: " in said, said)
    after = rehearsal.versions()
    console.claims(f"the same build again, one URL changed: each function has a new version behind `live`, {before} -> {after}", all(after[role] > before[role] for role in after), after)
    answers_the_events(rehearsal)
    until("writes are taken, as soon as edge-auth has read the mode", lambda: client.send(request_id(), "ledger_append", note="open")[0] == 202, console)


def answers_the_events(rehearsal):
    """What CodeDeploy would ask of a new version before it gets traffic."""
    stack = rehearsal.stack
    for role in FUNCTIONS:
        event = json.dumps({"function": stack.function(role), "version": ALIAS})
        answer = stack.client("lambda").invoke(FunctionName=stack.outputs()["VersionCheckFunction"], Payload=event)
        told = answer["Payload"].read().decode()
        rehearsal.console.claims(f"{stack.function(role)} answers the sample events", told == "[]", told)


STEPS = [
    ("Start the emulator, a real gateway, stand-ins for WeChat's login and for the operators' identity provider", RUN, start),
    ("Package the nested stacks, as `sam deploy` does", RUN, nested.packages),
    ("Build; deploy with a wrong parameter, which is refused by name", DEPLOY_LOG, wrong_parameters),
    ("First deployment by one command: it stops at a gateway URL that does not answer, with the secrets filled", DEPLOY_LOG, stops_at_the_gateway),
    ("The same command with the right URL: ready, opened, a first job with its result and its audit chain", DEPLOY_LOG, goes_on),
]
