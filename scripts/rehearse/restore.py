"""The restore drill: the table is lost, and comes back as it was some time ago."""

import time

from first_day import DEPLOY_LOG
from stack import Failure

JOBS = 5
PATIENCE_S = 120
KEPT, LOST = "drill, kept", "drill, lost"


def back_up(rehearsal):
    """Jobs, then a copy of the table, then a job that the copy does not have."""
    console, client = rehearsal.console, rehearsal.client("drill")
    rehearsal.kept = [client.submit("ledger_append", note=KEPT) for _ in range(JOBS)]
    for request in rehearsal.kept:
        rehearsal.succeeds("drill", request)
    table = rehearsal.stack.outputs()["TableName"]
    rehearsal.original, rehearsal.restored = table, f"{table}-restored"
    rehearsal.rows = len(scan(rehearsal, table))
    rehearsal.stack.client("dynamodb").restore_table_to_point_in_time(
        SourceTableName=table, TargetTableName=rehearsal.restored, UseLatestRestorableTime=True
    )
    wait_for(rehearsal, rehearsal.restored)
    console.shows(f"restored {rehearsal.rows} rows of {table} to {rehearsal.restored}")
    rehearsal.lost = client.submit("ledger_append", note=LOST)
    rehearsal.succeeds("drill", rehearsal.lost)
    console.claims("the job from after the copy took effect once", rehearsal.world.effects(LOST) == 1, rehearsal.world.effects(LOST))


def wait_for(rehearsal, table):
    """A restored table has neither expiry nor backups of its own: the drill switches both on again."""
    database = rehearsal.stack.client("dynamodb")
    deadline = time.monotonic() + PATIENCE_S
    while database.describe_table(TableName=table)["Table"]["TableStatus"] != "ACTIVE":
        if time.monotonic() > deadline:
            raise Failure(f"{table} is not active after {PATIENCE_S} s")
        time.sleep(1)
    database.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"})
    database.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})


def scan(rehearsal, table):
    pages = rehearsal.stack.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return [item for page in pages for item in page["Items"]]


def destroy(rehearsal):
    console, database = rehearsal.console, rehearsal.stack.client("dynamodb")
    database.delete_table(TableName=rehearsal.original)
    database.get_waiter("table_not_exists").wait(TableName=rehearsal.original, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    status, _, body = rehearsal.get("/readyz")
    console.claims("without its table the service says that it is not ready", status == 503 and body["failing"] == ["table"], (status, body))
    code, said = rehearsal.deploy("--built", ExistingTable=rehearsal.restored)
    console.claims("with ExistingTable it is ready on the restored table", code == 0, said)
    console.claims("the stack names the restored table", rehearsal.stack.outputs()["TableName"] == rehearsal.restored, rehearsal.stack.outputs())


def verify(rehearsal):
    """Every chain of every job in the table, of whichever user; the rows hold what the service would tell their owners."""
    console = rehearsal.console
    records = {request: rehearsal.verify("drill", request) for request in rehearsal.kept}
    console.shows(f"chains that GET .../audit tells, checked by `local audit verify`: {list(records.values())} records")
    every_chain(rehearsal)
    status, _, _ = rehearsal.client("drill").get(f"/v1/jobs/{rehearsal.lost}")
    console.claims("the job from after the copy is lost: 404", status == 404, status)


def every_chain(rehearsal):
    """Users log in again and ask for the chain of each of their jobs."""
    checked, broken = 0, []
    for name in list(rehearsal.clients):
        cursor = ""
        while True:
            status, _, page = rehearsal.client(name).get(f"/v1/jobs?limit=50{cursor}")
            if status != 200:
                raise Failure(f"GET /v1/jobs of {name} answers {status}")
            for job in page["jobs"]:
                try:
                    rehearsal.verify(name, job["request_id"])
                    checked += 1
                except Failure as failure:
                    broken.append(str(failure))
            if not page.get("next_cursor"):
                break
            cursor = f"&cursor={page['next_cursor']}"
    rehearsal.console.claims(f"all {checked} chains of the users of this rehearsal verify", checked and not broken, broken[:3])


def send_again(rehearsal):
    console = rehearsal.console
    before = len(rehearsal.world.lines())
    status, _, body = rehearsal.client("drill").send(rehearsal.lost, "ledger_append", note=LOST)
    console.claims("sent again, the lost request is taken as new: 202", status == 202, (status, body))
    job = rehearsal.succeeds("drill", rehearsal.lost, 90)
    console.shows(f"result {job.get('result')}")
    console.claims("the gateway's journal knew it: no second effect", len(rehearsal.world.lines()) == before, len(rehearsal.world.lines()) - before)
    console.claims("it took effect once, in all", rehearsal.world.effects(LOST) == 1, rehearsal.world.effects(LOST))
    rehearsal.verify("drill", rehearsal.lost)


STEPS = [
    ("Restore drill: jobs, a point-in-time copy of the table, one more job", ".local/rehearse/run/emulator.log", back_up),
    ("Restore drill: destroy the table, deploy on the copy", DEPLOY_LOG, destroy),
    ("Restore drill: verify every audit chain", ".local/rehearse/run/emulator.log", verify),
    ("Restore drill: the request that the copy lost, sent again by its client", ".local/rehearse/run/emulator.log", send_again),
]
