// Accepts one job with Powertools for AWS Lambda and Middy: session, cap, schema, rate, idempotent record, enqueue.
// Everything that does not depend on the event is made once, when the process starts.
import { IdempotencyConfig } from "@aws-lambda-powertools/idempotency";
import { DynamoDBPersistenceLayer } from "@aws-lambda-powertools/idempotency/dynamodb";
import { makeHandlerIdempotent } from "@aws-lambda-powertools/idempotency/middleware";
import { DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import middy from "@middy/core";
import Ajv from "ajv";
import { importJWK, jwtVerify } from "jose";

const CAP_BYTES = 32 * 1024;
const { SESSION_ISSUER: issuer, SESSION_AUDIENCE: audience, RATE_TABLE, RATE_PER_MINUTE, QUEUE_URL } = process.env;
const ajv = new Ajv();
const tools = new Map(Object.entries(JSON.parse(process.env.TOOL_SCHEMAS)).map(([name, schema]) => [name, ajv.compile(schema)]));
const keys = new Map();
for (const { kid, public: x } of JSON.parse(process.env.SESSION_KEYS)) {
  keys.set(kid, await importJWK({ kty: "OKP", crv: "Ed25519", x }, "EdDSA"));
}
const dynamodb = new DynamoDBClient({});
const sqs = new SQSClient({});
const persistenceStore = new DynamoDBPersistenceLayer({ tableName: process.env.IDEMPOTENCY_TABLE, awsSdkV3Client: dynamodb });
const config = new IdempotencyConfig({
  eventKeyJmesPath: "[job.user, job.key]",
  payloadValidationJmesPath: "job.body",
  throwOnNoIdempotencyKey: true,
  expiresAfterSeconds: 30 * 24 * 3600,
});

class Refused extends Error {
  constructor(status, code) {
    super(code);
    this.status = status;
  }
}

const reply = (statusCode, body) => ({ statusCode, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

async function verifySession({ event }) {
  const [scheme, token] = (event.headers.authorization ?? "").split(" ");
  try {
    if (scheme !== "Bearer") throw new Error("no bearer token");
    const key = ({ kid }) => keys.get(kid) ?? Promise.reject(new Error("unknown key"));
    const options = { algorithms: ["EdDSA"], issuer, audience, typ: "mp-session+jwt", clockTolerance: 5, requiredClaims: ["exp", "iat", "nbf", "sub"] };
    event.user = (await jwtVerify(token, key, options)).payload.sub;
  } catch {
    throw new Refused(401, "no_session");
  }
}

function parse({ event }) {
  const key = event.headers["idempotency-key"];
  if (!key) throw new Refused(400, "key_missing");
  if (Buffer.byteLength(event.body ?? "") > CAP_BYTES) throw new Refused(413, "body_too_large");
  let body;
  try {
    body = JSON.parse(event.body);
  } catch {
    throw new Refused(400, "body_invalid");
  }
  if (!tools.get(body?.tool)?.(body.arguments)) throw new Refused(422, "arguments_invalid");
  event.job = { user: event.user, key, body };
}

// One conditional update of a counter of this minute.
async function charge({ event }) {
  const minute = Math.floor(Date.now() / 60_000);
  try {
    await dynamodb.send(
      new UpdateItemCommand({
        TableName: RATE_TABLE,
        Key: { id: { S: `${event.user}#${minute}` } },
        UpdateExpression: "ADD hits :one SET expires = :expires",
        ConditionExpression: "attribute_not_exists(hits) OR hits < :most",
        ExpressionAttributeValues: { ":one": { N: "1" }, ":most": { N: RATE_PER_MINUTE }, ":expires": { N: String(minute * 60 + 120) } },
      }),
    );
  } catch (fault) {
    if (fault.name === "ConditionalCheckFailedException") throw new Refused(429, "rate_limited");
    throw fault;
  }
}

function refuse(request) {
  const { error } = request;
  if (error instanceof Refused) request.response = reply(error.status, { code: error.message });
  else if (error.name === "IdempotencyValidationError") request.response = reply(422, { code: "key_reused" });
  else if (error.name === "IdempotencyAlreadyInProgressError") request.response = reply(409, { code: "in_progress" });
}

export const handler = middy()
  .use({ before: verifySession, onError: refuse })
  .use({ before: parse })
  .use({ before: charge })
  .use(makeHandlerIdempotent({ persistenceStore, config }))
  .handler(async ({ job }) => {
    await sqs.send(new SendMessageCommand({ QueueUrl: QUEUE_URL, MessageBody: JSON.stringify(job) }));
    return reply(202, { request_id: job.key, status: "queued" });
  });
