"""Operators: the approval of a payment, the mode that sweep lowers for a lost gateway, a destructive tool unlocked and run."""

import json
import time

from mini_program import request_id
from first_day import ADMIN, APPROVER, VIEWER, operator, until
from stack import Failure
from sweeps import more_sweeps, no_sweeps

LOG = ".local/rehearse/run/emulator.log"
AMOUNT = 700
PAID = "paid after an operator's approval"
NOT_DONE = "explained and not done"
DONE = "done again once the mode is full"
# Checks closer than 50 s are one. Five good ones would raise the mode again, which takes four minutes more:
# tests/operator/modes/fault_watch.rs shows that; here an admin raises it.
CHECKS_PATIENCE_S = 240
# Short enough for one transcript line; operators are told to write no personal data there.
REASON = "rehearsed"


def question(rehearsal, name, request):
    """The approval request of a job, as its user sees it."""
    job = rehearsal.client(name).job(request)
    rehearsal.console.claims(f"{request} waits for an operator", job["status"] == "awaiting_approval" and job["approval"]["approver"] == "operator", job)
    return job["approval"]


def listed(rehearsal, digest):
    """The approval request with that digest in the operators' list."""
    _, found = operator(rehearsal, VIEWER, "GET", "/approvals?limit=100")
    mine = [one for one in found["approvals"] if one["digest"] == digest]
    if len(mine) != 1:
        raise Failure(f"the list of approvals has the digest {len(mine)} times")
    return mine[0]


def approve(rehearsal, job, digest):
    return operator(rehearsal, APPROVER, "POST", f"/jobs/{job}/approval", {"decision": "approve", "digest": digest, "note": REASON})


def payment(rehearsal):
    console, payer = rehearsal.console, rehearsal.client("payer")
    status, body = operator(rehearsal, None, "GET", "/me")
    console.claims("a request without a token gets 401 no_operator", (status, body["code"]) == (401, "no_operator"), (status, body))
    request = payer.submit("ledger_pay", amount=AMOUNT, note=PAID)
    asked = question(rehearsal, "payer", request)
    status, body = payer.approve(request, asked["digest"])
    console.claims("the user's own approval is refused: 403 approval_by_operator", (status, body["code"]) == (403, "approval_by_operator"), (status, body))
    shown = listed(rehearsal, asked["digest"])
    console.shows(f"asked: {shown['summary']!r}, arguments {json.dumps(shown['arguments'])}")
    status, body = operator(rehearsal, VIEWER, "POST", f"/jobs/{shown['job']}/approval", {"decision": "approve", "digest": asked["digest"]})
    console.claims("a viewer may look and not decide: 403 operator_forbidden", (status, body["code"]) == (403, "operator_forbidden"), (status, body))
    status, body = approve(rehearsal, shown["job"], "0" * len(asked["digest"]))
    console.claims("an approval of another call: 409 approval_digest_mismatch", (status, body["code"]) == (409, "approval_digest_mismatch"), (status, body))
    status, body = approve(rehearsal, shown["job"], asked["digest"])
    console.claims("the approver's approval is accepted", status == 200, (status, body))
    status, body = approve(rehearsal, shown["job"], asked["digest"])
    console.claims("the same approval again: 200", status == 200, (status, body))
    rehearsal.succeeds("payer", request)
    console.claims("it was paid once", rehearsal.world.effects(PAID) == 1, rehearsal.world.effects(PAID))
    console.shows(f"its chain verifies, {rehearsal.verify('payer', request)} records")


def mode(rehearsal):
    return operator(rehearsal, VIEWER, "GET", "/controls")[1]["service"]


def checks(rehearsal):
    """Waits until sweep has lowered the mode."""
    console = rehearsal.console
    with more_sweeps(rehearsal):
        until("three failed checks lower the mode to explain_only", lambda: mode(rehearsal)["mode"] == "explain_only", console, CHECKS_PATIENCE_S)
    console.shows(f"says the API: {json.dumps(mode(rehearsal))}")


def lost_gateway(rehearsal):
    """No alarm takes part: sweep counts its own checks."""
    console, client = rehearsal.console, rehearsal.client("explained")
    rehearsal.world.processes.stop_one("gateway")
    console.shows("the gateway is stopped")
    checks(rehearsal)

    def explained():
        request = request_id()
        _, _, body = client.send(request, "ledger_append", note=NOT_DONE)
        return body.get("status") == "explained" and body["effect"] == "not_run"

    until("a write is explained and not done, as soon as edge-auth has read the mode", explained, console)
    done = rehearsal.world.effects(NOT_DONE)
    status, body = operator(rehearsal, APPROVER, "PUT", "/controls/mode", {"mode": "full", "reason": REASON})
    console.claims("an approver may not set the mode: 403 operator_forbidden", (status, body["code"]) == (403, "operator_forbidden"), (status, body))
    seconds = rehearsal.world.start_gateway()
    console.shows(f"the gateway is started again, ready after {seconds} s")
    status, body = operator(rehearsal, ADMIN, "PUT", "/controls/mode", {"mode": "full", "reason": REASON})
    console.claims("an admin raises the mode", status == 200, (status, body))
    _, chain = operator(rehearsal, VIEWER, "GET", "/audit?limit=100")
    made = [(record["actor"].partition(":")[0], record["mode"]) for record in chain["records"] if "mode" in record]
    console.claims("both changes are in the operators' chain", ("alarm", "explain_only") in made and made.count(("operator", "full")) >= 1, made)

    def runs():
        request = request_id()
        _, _, body = client.send(request, "ledger_append", note=DONE)
        return body.get("status") not in ("explained", None) and client.until_over(request)["status"] == "succeeded"

    until("writes run again", runs, console)
    console.claims("what was explained has not been done since", rehearsal.world.effects(NOT_DONE) == done, rehearsal.world.effects(NOT_DONE))


def refusal(rehearsal):
    """With which code a call of the destructive tool is refused; nothing when it is taken."""
    status, _, body = rehearsal.client("tidy").send(request_id(), "ledger_delete")
    return body["code"] if status == 403 else None


def forget_checkpoint(rehearsal):
    key = {"pk": {"S": "CONTROL"}, "sk": {"S": "LADDER#CHECKPOINT"}}
    rehearsal.stack.client("dynamodb").delete_item(TableName=rehearsal.stack.outputs()["TableName"], Key=key)


def destructive(rehearsal):
    console, tidy = rehearsal.console, rehearsal.client("tidy")
    console.claims("a destructive tool is shut: 403 tool_not_opened", refusal(rehearsal) == "tool_not_opened", refusal(rehearsal))
    with no_sweeps(rehearsal):
        status, body = operator(rehearsal, ADMIN, "PUT", "/controls/tools/ledger_delete/opening", {"minutes": 60, "reason": REASON})
        console.claims("an admin opens it for an hour", status == 200, (status, body))

        def unproven():
            forget_checkpoint(rehearsal)
            time.sleep(1)
            return refusal(rehearsal) == "audit_unproven"

        until("with the schedule stopped and the last checkpoint forgotten it is refused: audit_unproven", unproven, console)

    def proven():
        return operator(rehearsal, VIEWER, "GET", "/controls")[1]["audit_proven"]

    with more_sweeps(rehearsal):
        until("sweep runs again; a checkpoint is signed and exported", proven, console, 240)
    bucket = rehearsal.stack.outputs()["CheckpointBucketName"]
    files = rehearsal.stack.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    console.claims(f"the bucket has it: {sorted(file['Key'] for file in files)[-1]}", bool(files))
    request = request_id()

    def taken():
        return tidy.send(request, "ledger_delete")[0] in (200, 202)

    until("now the call is taken", taken, console)
    asked = question(rehearsal, "tidy", request)
    before = len(rehearsal.world.lines())
    status, body = approve(rehearsal, listed(rehearsal, asked["digest"])["job"], asked["digest"])
    console.claims("an approver approves", status == 200, (status, body))
    job = rehearsal.succeeds("tidy", request)
    console.claims(f"it deleted {before} notes, once: {job.get('result')}", len(rehearsal.world.lines()) < before, len(rehearsal.world.lines()))
    status, body = operator(rehearsal, ADMIN, "PUT", "/controls/tools/ledger_delete/opening", {"minutes": 0, "reason": REASON})
    console.claims("an admin shuts it again", status == 200, (status, body))
    until("and it is refused: 403 tool_not_opened", lambda: refusal(rehearsal) == "tool_not_opened", console)
    _, chain = operator(rehearsal, VIEWER, "GET", "/audit?limit=100")
    console.shows(f"the operators' chain: {', '.join(record['event'] for record in chain['records'])}")


STEPS = [
    ("A payment that an operator has to approve, through the deployed API", LOG, payment),
    ("A lost gateway lowers the mode; an admin raises it when the gateway is back", LOG, lost_gateway),
    ("A destructive tool: shut, opened, refused without a checkpoint, approved, run, shut", LOG, destructive),
]
