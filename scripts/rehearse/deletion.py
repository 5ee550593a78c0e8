"""Deletes the stack, and lists the resources that are left."""

from stack import SECRETS

LOG = ".local/rehearse/run/emulator.log"


def delete(rehearsal):
    console, stack = rehearsal.console, rehearsal.stack
    outputs = stack.outputs()
    sam = ".local/deploy/sam/bin/sam"
    rehearsal.must(sam, "delete", "--stack-name", stack.name, "--no-prompts", "--region", "us-east-1")
    made_again(rehearsal)
    found = leftovers(stack)
    console.claims("no function, queue, API, rule, role, alarm, topic or log group of the stack is left", not found, found)
    manager, database = stack.client("secretsmanager"), stack.client("dynamodb")
    kept = [manager.describe_secret(SecretId=outputs[output])["Name"] for output in SECRETS.values()]
    console.shows(f"kept on purpose, as the template says: the secrets {kept} and the table {outputs['TableName']}")
    for output in SECRETS.values():
        manager.delete_secret(SecretId=outputs[output], ForceDeleteWithoutRecovery=True)
    bucket = outputs["CheckpointBucketName"]
    console.shows(f"and the {empty(stack.client('s3'), bucket)} checkpoints in {bucket}")
    stack.client("s3").delete_bucket(Bucket=bucket)
    database.delete_table(TableName=outputs["TableName"])
    left = [table for table in database.list_tables()["TableNames"] if stack.name in table]
    console.claims("these are deleted too, by name", not left, left)


def empty(storage, bucket):
    """Deletes every version of every object; the emulator keeps no lock."""
    pages = storage.get_paginator("list_object_versions").paginate(Bucket=bucket)
    versions = [one for page in pages for key in ("Versions", "DeleteMarkers") for one in page.get(key, [])]
    for one in versions:
        storage.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"], BypassGovernanceRetention=True)
    return len(versions)


def made_again(rehearsal):
    """A log group without retention is none of the template's: the emulator makes one for what it logs after the end."""
    logs = rehearsal.stack.client("logs")
    groups = [group for page in logs.get_paginator("describe_log_groups").paginate() for group in page["logGroups"]]
    again = [group["logGroupName"] for group in groups if "retentionInDays" not in group]
    for name in again:
        rehearsal.console.shows(f"{name} was made again by the emulator, to log an invocation that ended late; deleted")
        logs.delete_log_group(logGroupName=name)
    return again


def leftovers(stack):
    """Everything that carries the stack's name."""
    def listed(service, operation, key, name):
        pages = stack.client(service).get_paginator(operation).paginate()
        return [item if isinstance(item, str) else item[name] for page in pages for item in page.get(key, [])]

    names = [
        *listed("lambda", "list_functions", "Functions", "FunctionName"),
        *listed("sqs", "list_queues", "QueueUrls", None),
        *listed("apigatewayv2", "get_apis", "Items", "Name"),
        *listed("events", "list_rules", "Rules", "Name"),
        *listed("iam", "list_roles", "Roles", "RoleName"),
        *listed("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        *listed("sns", "list_topics", "Topics", "TopicArn"),
        *listed("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ]
    mappings = stack.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    return [name for name in [*names, *(item["EventSourceArn"] for item in mappings)] if stack.name in name]


STEPS = [("Delete the stack, and look for what is left", LOG, delete)]
