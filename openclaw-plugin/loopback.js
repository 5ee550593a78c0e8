import http from "node:http";
import { FailureScan } from "./failure-scan.js";
import { MAX_DEPTH, wellFormed } from "./text.js";

// A longer response is only scanned for a reported failure, and not stored.
const READ_CAP = 4 * 1024 * 1024;
// The tool's own result is nested one level deeper.
const ANSWER_DEPTH = MAX_DEPTH + 1;

// Responses that the gateway sends before it looks the tool up.
const NOT_STARTED = new Set([401, 408, 429, 503]);
const REFUSED = new Set([404, 405, 413]);
const REFUSED_TYPES = { 400: ["invalid_request", "invalid_request_error"], 403: ["tool_call_blocked"] };

/**
 * Calls the gateway's own POST /tools/invoke, so that its policy decides. Resolves to
 * `{verdict: "not_started" | "refused" | "finished" | "lost", …}` and never rejects. Not tied to any caller's
 * connection, no time limit, and a connection of its own: a pooled one that dies looks like a lost answer.
 */
export function callTool(call) {
  // Only an error before the request is sent rejects here.
  return send(call).catch(() => ({ verdict: "not_started" }));
}

function send({ port, authorization, tool, args, ticket, cap }) {
  return new Promise((resolve) => {
    const body = Buffer.from(JSON.stringify({ tool, args, idempotencyKey: ticket }));
    const headers = { "content-type": "application/json", "content-length": body.length };
    if (authorization) headers.authorization = authorization;
    let connected = false;
    const target = { host: "127.0.0.1", port, path: "/tools/invoke", method: "POST", headers, agent: false };
    const request = http.request(target);
    request.on("socket", (socket) => socket.once("connect", () => (connected = true)));
    request.on("error", () => resolve({ verdict: connected ? "lost" : "not_started" }));
    request.on("response", (response) => readAnswer(response, cap).then(resolve, () => resolve({ verdict: "lost" })));
    request.end(body);
  });
}

async function readAnswer(response, cap) {
  const most = Math.max(cap, READ_CAP);
  let chunks = [];
  let size = 0;
  let scan = null;
  for await (const chunk of response) {
    size += chunk.length;
    if (scan === null) chunks.push(chunk);
    else scan.push(chunk);
    if (scan !== null || size <= most) continue;
    scan = new FailureScan();
    for (const one of chunks) scan.push(one);
    chunks = [];
  }
  const { statusCode: status, headers } = response;
  // Whether such a tool has failed is unknown, so it must not be reported as a success.
  if (scan !== null && status === 200 && !scan.isComplete) return { verdict: "lost" };
  const body = scan === null ? parsed(Buffer.concat(chunks).toString("utf8")) : null;
  const content = scan === null ? contentOf(body, cap) : omission("too_large", scan.hasFailed);
  return { verdict: verdictOf(status, body), status, retryAfter: headers["retry-after"], ...content };
}

/**
 * The stored part of a response: `result` is its text, and `omitted` says why there is none. The service stores the tool's
 * own result, without what the gateway puts around it, so the cap is for that.
 */
function contentOf(body, cap) {
  const { value, omitted } = wellFormed(body, ANSWER_DEPTH);
  const hasFailed = body?.result?.isError === true;
  if (omitted !== undefined) return omission(omitted, hasFailed);
  if (!value) return { result: value, omitted: null };
  if (Buffer.byteLength(JSON.stringify(value.result ?? value)) > cap) return omission("too_large", hasFailed);
  return { result: JSON.stringify(value), omitted: null };
}

/** Keeps what shows how the call ended: the status, and whether the tool reported a failure. */
function omission(omitted, hasFailed) {
  return { result: hasFailed ? JSON.stringify({ ok: true, result: { isError: true } }) : null, omitted };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Any response that does not prove that the tool was not started means that it may have run. */
function verdictOf(status, body) {
  if (NOT_STARTED.has(status)) return "not_started";
  if (REFUSED.has(status)) return "refused";
  return REFUSED_TYPES[status]?.includes(body?.error?.type) ? "refused" : "finished";
}
