"""Dead letters: a message that names no job, and a job's message that a broken release of the worker could not handle."""

import time

from stack import Failure

LOG = ".local/rehearse/run/emulator.log"
# Ten receives at the queue's own three minutes would take half an hour.
VISIBILITY_S = "2"
PATIENCE_S = 180
NOTE = "after the dead letter"


def count(rehearsal, output):
    attributes = rehearsal.stack.client("sqs").get_queue_attributes(
        QueueUrl=rehearsal.stack.outputs()[output], AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    )["Attributes"]
    return sum(int(number) for number in attributes.values())


def until(rehearsal, claim, holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise Failure(f"not so after {PATIENCE_S} s: {claim}")
        time.sleep(0.5)
    rehearsal.console.shows(f"ok: {claim}")


class BrokenWorker:
    """A release of the worker that names a table which is not there; the emulator's stand-in for any bad release."""

    def __init__(self, rehearsal):
        self.client = rehearsal.stack.client("lambda")
        self.name = rehearsal.stack.function("worker")
        self.good = self.client.get_function_configuration(FunctionName=self.name)["Environment"]["Variables"]
        self._set({**self.good, "TABLE_NAME": "no-such-table"})
        self.version = int(self.client.publish_version(FunctionName=self.name, Description="broken on purpose")["Version"])
        rehearsal.stack.note_before("worker", rehearsal.stack.live("worker"), self.version)
        rehearsal.stack.move("worker", self.version)

    def _set(self, variables):
        self.client.update_function_configuration(FunctionName=self.name, Environment={"Variables": variables})
        self.client.get_waiter("function_updated").wait(FunctionName=self.name)

    def mend_newest(self):
        """`live` is rolled back by the operator's script; the newest settings are corrected here."""
        self._set(self.good)


def dead(rehearsal):
    console, stack = rehearsal.console, rehearsal.stack
    outputs, sqs = stack.outputs(), stack.client("sqs")
    patient = sqs.get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=outputs["QueueUrl"], Attributes={"VisibilityTimeout": VISIBILITY_S})
    console.shows(f"the queue's visibility timeout is {VISIBILITY_S} s for this step, so that ten receives take no half hour")
    try:
        broken = BrokenWorker(rehearsal)
        console.shows(f"{broken.name}: `live` names version {broken.version}, which is broken")
        sqs.send_message(QueueUrl=outputs["QueueUrl"], MessageBody="this names no job", MessageGroupId="no-user")
        request = rehearsal.client("unlucky").submit("ledger_append", note=NOTE)
        until(rehearsal, "both messages are in the dead-letter queue", lambda: count(rehearsal, "DeadLetterQueueUrl") >= 2)
    finally:
        sqs.set_queue_attributes(QueueUrl=outputs["QueueUrl"], Attributes=patient)
    console.claims("the job waits, unharmed", rehearsal.client("unlucky").job(request)["status"] == "queued", rehearsal.client("unlucky").job(request))
    rehearsal.unlucky, rehearsal.broken = request, broken


def finish(rehearsal):
    console, outputs = rehearsal.console, rehearsal.stack.outputs()
    rehearsal.must("scripts/deploy/rollback.sh", "test", "worker")
    rehearsal.broken.mend_newest()
    # The reconciler wakes the job, too; against the emulator that was not observed within ten minutes, for an unknown reason.
    status, _, body = rehearsal.client("unlucky").send(rehearsal.unlucky, "ledger_append", note=NOTE)
    console.claims("the client's repeated request is known, and wakes the job", status == 200, body)
    rehearsal.succeeds("unlucky", rehearsal.unlucky)
    console.claims("it took effect once", rehearsal.world.effects(NOTE) == 1, rehearsal.world.effects(NOTE))
    sqs = rehearsal.stack.client("sqs")
    for message in sqs.receive_message(QueueUrl=outputs["DeadLetterQueueUrl"], MaxNumberOfMessages=10).get("Messages", []):
        sqs.delete_message(QueueUrl=outputs["DeadLetterQueueUrl"], ReceiptHandle=message["ReceiptHandle"])
    until(rehearsal, "the dead-letter queue is empty", lambda: count(rehearsal, "DeadLetterQueueUrl") == 0)


STEPS = [
    ("A broken release of the worker: messages end in the dead-letter queue", LOG, dead),
    ("Roll the worker back: a repeated request wakes the job", LOG, finish),
]
