"""Accepts one job with Powertools for AWS Lambda and boto3: session, cap, schema, rate, idempotent record, enqueue.

Everything that does not depend on the event is made once, when the process starts."""
import json, os, time

import boto3, fastjsonschema, jwt
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyAlreadyInProgressError, IdempotencyValidationError
from botocore.exceptions import ClientError

CAP_BYTES = 32 * 1024
ISSUER, AUDIENCE = os.environ["SESSION_ISSUER"], os.environ["SESSION_AUDIENCE"]
KEYS = {key["kid"]: jwt.PyJWK({"kty": "OKP", "crv": "Ed25519", "x": key["public"]}).key for key in json.loads(os.environ["SESSION_KEYS"])}
TOOLS = {name: fastjsonschema.compile(schema) for name, schema in json.loads(os.environ["TOOL_SCHEMAS"]).items()}
RATE_TABLE, RATE_PER_MINUTE = os.environ["RATE_TABLE"], os.environ["RATE_PER_MINUTE"]
QUEUE_URL = os.environ["QUEUE_URL"]
dynamodb, sqs = boto3.client("dynamodb"), boto3.client("sqs")
store = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"], boto3_client=dynamodb)
config = IdempotencyConfig(event_key_jmespath="[user, key]", payload_validation_jmespath="body", raise_on_no_idempotency_key=True,
                           expires_after_seconds=30 * 24 * 3600)


class Refused(Exception):
    def __init__(self, status, code):
        super().__init__(code)
        self.status, self.code = status, code


def reply(status, body):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def user_of(headers):
    scheme, _, token = headers.get("authorization", "").partition(" ")
    try:
        header = jwt.get_unverified_header(token)
        if scheme != "Bearer" or header.get("typ") != "mp-session+jwt":
            raise Refused(401, "no_session")
        claims = jwt.decode(token, KEYS[header["kid"]], algorithms=["EdDSA"], issuer=ISSUER, audience=AUDIENCE, leeway=5,
                            options={"require": ["exp", "iat", "nbf", "sub"]})
    except (jwt.InvalidTokenError, KeyError) as fault:
        raise Refused(401, "no_session") from fault
    return claims["sub"]


def submission(event):
    body = event.get("body") or ""
    if len(body.encode()) > CAP_BYTES:
        raise Refused(413, "body_too_large")
    try:
        job = json.loads(body)
        TOOLS[job["tool"]](job["arguments"])
    except (ValueError, KeyError, TypeError, fastjsonschema.JsonSchemaValueException) as fault:
        raise Refused(422, "arguments_invalid") from fault
    return job


def charge(user):
    """One conditional update of a counter of this minute."""
    minute = int(time.time()) // 60
    try:
        dynamodb.update_item(
            TableName=RATE_TABLE, Key={"id": {"S": f"{user}#{minute}"}}, UpdateExpression="ADD hits :one SET expires = :expires",
            ConditionExpression="attribute_not_exists(hits) OR hits < :most",
            ExpressionAttributeValues={":one": {"N": "1"}, ":most": {"N": RATE_PER_MINUTE}, ":expires": {"N": str(minute * 60 + 120)}})
    except ClientError as fault:
        if fault.response["Error"]["Code"] == "ConditionalCheckFailedException":
            raise Refused(429, "rate_limited") from fault
        raise


@idempotent_function(data_keyword_argument="job", persistence_store=store, config=config)
def accept(job):
    sqs.send_message(QueueUrl=QUEUE_URL, MessageBody=json.dumps(job))
    return {"request_id": job["key"], "status": "queued"}


def handler(event, context):
    config.register_lambda_context(context)
    try:
        headers = event["headers"]
        user = user_of(headers)
        key = headers.get("idempotency-key")
        if not key:
            raise Refused(400, "key_missing")
        body = submission(event)
        charge(user)
        return reply(202, accept(job={"user": user, "key": key, "body": body}))
    except Refused as refusal:
        return reply(refusal.status, {"code": refusal.code})
    except IdempotencyValidationError:
        return reply(422, {"code": "key_reused"})
    except IdempotencyAlreadyInProgressError:
        return reply(409, {"code": "in_progress"})
