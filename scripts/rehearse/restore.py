"""The restore drill: the table is lost, and an earlier copy is restored."""

import base64
import json
import re
import time
import uuid

import ready
from first_day import DEPLOY_LOG, VIEWER, operator, until
from stack import Failure
from sweeps import more_sweeps
from world import LOCAL

JOBS = 5
PATIENCE_S = 120
# A checkpoint signs heads that have not changed for three minutes, and is exported a minute later.
CHECKPOINT_PATIENCE_S = 480
MISSING = re.compile(r"job (\S+): checkpoint \d+ has signed its chain, and the job is missing")
CUT = re.compile(r"job (\S+): its chain was cut")
KEPT, LOST = "drill, kept", "drill, lost"


def back_up(rehearsal):
    """Jobs, then a copy of the table, then a job that the copy does not have."""
    console, client = rehearsal.console, rehearsal.client("drill")
    rehearsal.kept = [client.submit("ledger_append", note=KEPT) for _ in range(JOBS)]
    for request in rehearsal.kept:
        rehearsal.succeeds("drill", request)
    table = rehearsal.stack.outputs()["TableName"]
    # A long name, as a person gives it in a hurry.
    rehearsal.original, rehearsal.restored = table, f"{rehearsal.stack.name}-restored-to-the-latest-moment-{time.strftime('%Y%m%d-%H%M%S')}"
    rehearsal.copied = jobs(rehearsal, table)
    # Jobs that end between the copy and the loss: the copy has the beginning of their chains, and a checkpoint may have the end.
    rehearsal.open = {code for code, row in rehearsal.copied.items() if "open_shard" in row}
    rehearsal.stack.client("dynamodb").restore_table_to_point_in_time(
        SourceTableName=table, TargetTableName=rehearsal.restored, UseLatestRestorableTime=True
    )
    wait_for(rehearsal, rehearsal.restored)
    console.shows(f"restored {table} with {len(rehearsal.copied)} jobs to {rehearsal.restored}")
    rehearsal.lost = client.submit("ledger_append", note=LOST)
    rehearsal.succeeds("drill", rehearsal.lost)
    console.claims("the job from after the copy took effect once", rehearsal.world.effects(LOST) == 1, rehearsal.world.effects(LOST))
    rehearsal.lost_code = client.job(rehearsal.lost)["support_code"]


def jobs(rehearsal, table):
    """The jobs of a table, by support code."""
    return {support_code(row): row for row in scan(rehearsal, table) if row["pk"]["S"].startswith("U#") and row["sk"]["S"].startswith("J#")}


def support_code(row):
    """Support code of a job: its user and its request id."""
    ids = [uuid.UUID(row[key]["S"].split("#", 1)[1]).bytes for key in ("pk", "sk")]
    return base64.urlsafe_b64encode(b"".join(ids)).decode().rstrip("=")


def anchored(rehearsal):
    """Waits until an exported checkpoint names the job that the copy does not have."""

    def signed():
        return "anchor" in operator(rehearsal, VIEWER, "GET", f"/jobs/{rehearsal.lost_code}")[1]

    until("a checkpoint has signed the chain of the job from after the copy", signed, rehearsal.console, CHECKPOINT_PATIENCE_S)
    code, said = audit(rehearsal, rehearsal.original)
    rehearsal.console.claims("every chain of the table verifies: of jobs, of refusals, of operators", code == 0, said)


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
    rehearsal.since = jobs(rehearsal, rehearsal.original).keys() - rehearsal.copied.keys()
    console.shows(f"{len(rehearsal.since)} jobs were made since the copy")
    database.delete_table(TableName=rehearsal.original)
    database.get_waiter("table_not_exists").wait(TableName=rehearsal.original, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    failing, _ = ready.look(rehearsal.stack)
    console.claims("without its table the service says that it is not ready", failing == ["table"], failing)
    status, _, _ = rehearsal.get("/readyz")
    console.claims("and the API answers 404 for it", status == 404, status)
    with more_sweeps(rehearsal):
        code, said = rehearsal.deploy("--built", ExistingTable=rehearsal.restored)
    console.claims("with ExistingTable it is ready on the restored table", code == 0, said)
    console.claims("the stack names the restored table", rehearsal.stack.outputs()["TableName"] == rehearsal.restored, rehearsal.stack.outputs())


def verify(rehearsal):
    """Verifies every chain of every user, from the API and from the items."""
    console = rehearsal.console
    records = {request: rehearsal.verify("drill", request) for request in rehearsal.kept}
    console.shows(f"chains that GET .../audit tells, checked by `local audit verify`: {list(records.values())} records")
    code, said = audit(rehearsal, rehearsal.restored)
    console.claims("every chain of the restored table verifies: of jobs, of refusals, of operators", code == 0, said)
    status, _, _ = rehearsal.client("drill").call("GET", f"/v1/jobs/{rehearsal.lost}")
    console.claims("the job from after the copy is lost: 404", status == 404, status)


def audit(rehearsal, table, *options):
    """Every chain of a table: of jobs, of refusals, of operators."""
    return rehearsal.command(LOCAL, "audit", "verify", "--everything", "--table", table, *options)


def download(rehearsal, table):
    """The checkpoints that were exported of a table, as files."""
    storage, bucket = rehearsal.stack.client("s3"), rehearsal.stack.outputs()["CheckpointBucketName"]
    folder = rehearsal.directory / "checkpoints" / table
    folder.mkdir(parents=True, exist_ok=True)
    pages = storage.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{table}/")
    for key in [item["Key"] for page in pages for item in page.get("Contents", [])]:
        (folder / key.split("/")[-1]).write_bytes(storage.get_object(Bucket=bucket, Key=key)["Body"].read())
    return folder


def trusted(rehearsal):
    """The public keys. A real verifier has kept them from before."""
    file = rehearsal.directory / "checkpoint-keys.json"
    _, answer = operator(rehearsal, VIEWER, "GET", "/checkpoints?limit=1")
    file.write_text(json.dumps({"keys": answer["keys"]}))
    return file


def against_checkpoints(rehearsal):
    """Verifies that exported checkpoints name exactly the jobs that the copy lacks."""
    console, keys = rehearsal.console, trusted(rehearsal)
    code, said = audit(rehearsal, rehearsal.restored, "--checkpoints", download(rehearsal, rehearsal.original), "--keys", keys)
    console.claims("against the checkpoints of the destroyed table something is missing", code != 0, said)
    missing = set(MISSING.findall(said))
    console.claims("the job from after the copy is named", rehearsal.lost_code in missing, said)
    console.claims(f"{len(missing)} are named, and none from before the copy", missing <= rehearsal.since, missing - rehearsal.since)
    cut = set(CUT.findall(said))
    console.claims("no chain was written anew, and none was cut but of jobs that were open when the copy was made", cut <= rehearsal.open and "written anew" not in said, (cut, said))

    def goes_on():
        return any(download(rehearsal, rehearsal.restored).iterdir())

    until("the next checkpoint is signed and exported, into a folder of the restored table's own", goes_on, console, CHECKPOINT_PATIENCE_S)
    code, said = audit(rehearsal, rehearsal.restored, "--checkpoints", download(rehearsal, rehearsal.restored), "--keys", keys)
    console.claims("against that one every chain verifies", code == 0, said)


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
    ("Restore drill: every audit chain, and a checkpoint that signs what the copy does not have", ".local/rehearse/run/emulator.log", anchored),
    ("Restore drill: destroy the table, deploy on the copy", DEPLOY_LOG, destroy),
    ("Restore drill: verify every audit chain", ".local/rehearse/run/emulator.log", verify),
    ("Restore drill: against the checkpoints, what the copy lost is named", ".local/rehearse/run/emulator.log", against_checkpoints),
    ("Restore drill: the request that the copy lost, sent again by its client", ".local/rehearse/run/emulator.log", send_again),
]
