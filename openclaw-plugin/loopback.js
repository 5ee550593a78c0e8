import http from "node:http";
import { MAX_DEPTH, wellFormed } from "./text.js";

// A longer answer than is kept is read up to here all the same: it still says whether the tool reports a failure.
const READ_CAP = 4 * 1024 * 1024;
// The tool's own result stands one level below.
const ANSWER_DEPTH = MAX_DEPTH + 1;

// Answers that the gateway gives before it looks for the tool.
const NOT_STARTED = new Set([401, 408, 429, 503]);
const REFUSED = new Set([404, 405, 413]);
const REFUSED_TYPES = { 400: ["invalid_request", "invalid_request_error"], 403: ["tool_call_blocked"] };

/**
 * Calls the gateway's own POST /tools/invoke, so that its policy decides. Resolves to
 * `{verdict: "not_started" | "refused" | "finished" | "lost", …}` and never rejects. Not tied to any caller's
 * connection, no time limit, and a connection of its own: a pooled one that dies looks like a lost answer.
 */
export function callTool(call) {
  // Only what is thrown before the request goes out rejects here.
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
  const chunks = [];
  let size = 0;
  for await (const chunk of response) {
    size += chunk.length;
    if (size <= Math.max(cap, READ_CAP)) chunks.push(chunk);
  }
  const body = size > Math.max(cap, READ_CAP) ? null : parsed(Buffer.concat(chunks).toString("utf8"));
  const { statusCode: status, headers } = response;
  return { verdict: verdictOf(status, body), status, retryAfter: headers["retry-after"], ...contentOf(body, size > cap) };
}

/**
 * What is kept of an answer: `result` is its text, and `omitted` says why there is none. How the call ended is known from
 * its status, and from what the tool says about itself, so that is kept of an omitted result as well.
 */
function contentOf(body, isTooLarge) {
  const { value, omitted } = isTooLarge ? { omitted: "too_large" } : wellFormed(body, ANSWER_DEPTH);
  if (omitted === undefined) return { result: value && JSON.stringify(value), omitted: null };
  const hasFailed = body?.result?.isError === true;
  return { result: hasFailed ? JSON.stringify({ ok: true, result: { isError: true } }) : null, omitted };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Whatever is not known to have stopped before the tool may have run it. */
function verdictOf(status, body) {
  if (NOT_STARTED.has(status)) return "not_started";
  if (REFUSED.has(status)) return "refused";
  return REFUSED_TYPES[status]?.includes(body?.error?.type) ? "refused" : "finished";
}
