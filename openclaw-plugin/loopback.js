import http from "node:http";

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
    if (size <= cap) chunks.push(chunk);
  }
  const truncated = size > cap;
  const result = truncated ? null : parsed(Buffer.concat(chunks).toString("utf8"));
  const answer = { status: response.statusCode, retryAfter: response.headers["retry-after"], truncated };
  return { verdict: verdictOf(answer.status, result), result: result && JSON.stringify(result), ...answer };
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
