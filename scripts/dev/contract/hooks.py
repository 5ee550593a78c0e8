"""Rules for Schemathesis that a schema cannot express: requests that need fresh ids, and refusals that depend on state."""

import json
import re
import unicodedata

import schemathesis
from request_id import request_id
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi import checks

# Codes that name the state of the table, a clock, a seal, or free-form JSON. A request that fits the schema may get them; one
# that gets any other code, except conflicts and missing rights, shows that the schema accepts more than the service.
BEYOND_A_SCHEMA = {
    "approval_expired": "the time to decide",
    "arguments_invalid": "the schema that the catalogue has for this tool",
    "arguments_not_showable": "the canonical length of free-form arguments",
    "body_number": "numbers within free-form arguments",
    "body_too_deep": "the depth of free-form arguments",
    "body_too_large": "the length of the whole body",
    "cursor_invalid": "the seal of a cursor",
    "deadline_invalid": "the clock",
    "idempotency_key_reused": "what the id was used for before",
    "not_after_invalid": "the clock",
    "notification_unknown": "the notifications of the settings",
    "request_id_erased": "what an erased user has done",
    "request_id_expired": "the clock",
    "request_id_in_future": "the clock",
    "ring_over": "the work that the wake-up token was given with",
}
UUID7 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", re.IGNORECASE)


def beyond_a_schema(case, problem):
    if problem.get("code") in BEYOND_A_SCHEMA:
        return True
    # Characters for `\p{M}` and similar classes are drawn from approximate ranges, so a generated text may not match the pattern.
    if any(unicodedata.category(sign) == "Cn" for sign in json.dumps(case.body, ensure_ascii=False, default=str)):
        return True
    if case.operation.definition.raw.get("operationId") != "submitJob" or problem.get("code") != "body_invalid":
        return False
    # `Cf` cannot be drawn from, so a message of format characters alone fits the pattern.
    if problem.get("detail") == "the message is empty":
        return True
    # A reference must be to an earlier step (the problem then has `pointer`), and the turns share one conversation.
    return "pointer" in problem or conversations(case.body) > 1


def conversations(body):
    steps = body.get("steps", []) if isinstance(body, dict) else []
    turns = [step for step in steps if isinstance(step, dict) and "conversation" in step]
    return len({(turn["conversation"], turn.get("agent", "main")) for turn in turns})


@schemathesis.check
def takes_what_fits(ctx, response, case):
    """`positive_data_acceptance`, but for refusals that no schema can foresee."""
    try:
        return checks.positive_data_acceptance(ctx, response, case)
    except Failure:
        if response.status_code in (400, 410, 413, 422) and beyond_a_schema(case, response.json()):
            return None
        raise


@schemathesis.hook
def before_call(context, case, kwargs):
    """Replaces an id of an example, which is too old to start a job, by one of the present time."""
    if case.headers and UUID7.match(str(case.headers.get("Idempotency-Key", ""))):
        case.headers["Idempotency-Key"] = request_id()

