"""The restore drill: the table is lost, and comes back as it was some time ago."""

import json
import subprocess
import time

from boto3.dynamodb.types import TypeDeserializer

from first_day import DEPLOY_LOG
from stack import Failure
from world import LOCAL

JOBS = 5
PATIENCE_S = 120
READ = TypeDeserializer()
KEPT, LOST = "drill, kept", "drill, lost"


def back_up(rehearsal):
    """Jobs, then a copy of the table, then a job that the copy does not have."""
    console, client = rehearsal.console, rehearsal.client("drill")
    rehearsal.kept = [client.submit("ledger_append", note=KEPT) for _ in range(JOBS)]
    for request in rehearsal.kept:
        rehearsal.succeeds("drill", request)
    table = rehearsal.stack.outputs()["TableName"]
    # The template takes 40 characters at most: it is part of each version's description.
    rehearsal.original, rehearsal.restored = table, f"{rehearsal.stack.name}-{time.strftime('r%m%d%H%M')}"
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
    """Every job of every user, the flow suite's too: the chains as the rows hold them, each followed from its head."""
    rows = [{name: READ.deserialize(value) for name, value in item.items()} for item in scan(rehearsal, rehearsal.restored)]
    records = {(row["pk"], row["sk"].rsplit("#", 1)[1]): json.loads(row["rec"]) for row in rows if row["sk"].startswith("A#")}
    jobs = [row for row in rows if row["sk"].startswith("J#")]
    answers = [json.dumps(chain(row, records)) for row in jobs]
    command = [LOCAL, "audit", "verify", "-"]
    done = subprocess.run(command, input="\n".join(answers) + "\n", text=True, capture_output=True, check=False)
    verified = [line for line in done.stdout.splitlines() if line.startswith("ok: ")]
    found = (done.stderr.strip() or done.stdout)[-300:]
    console = rehearsal.console
    console.claims(f"the chains of all {len(jobs)} jobs in the restored table verify", jobs and done.returncode == 0 and len(verified) == len(jobs), found)


def chain(job, records):
    """The answer of GET .../audit, made from rows. What is missing leaves the chain short, and so broken."""
    digest, found = job["au"]["h"], []
    while (record := records.get((job["pk"], digest))) is not None and len(found) <= job["au"]["n"]:
        found.insert(0, record)
        digest = record.get("prev")
    head = {"length": int(job["au"]["n"]), "digest": job["au"]["h"]}
    return {"request_id": job["sk"].removeprefix("J#"), "records": found, "head": head}


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
