export function sendJson(res, status, body, headers = {}) {
  res.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
  res.end(JSON.stringify(body));
}

export function sendText(res, status, body, headers = {}) {
  res.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers });
  res.end(body);
}

export const UNAUTHORIZED = { error: { message: "Unauthorized", type: "unauthorized" } };

const DRAINING = {
  error: {
    message: "Gateway is temporarily unavailable while suspending or restarting", type: "service_unavailable",
    code: "gateway_unavailable",
  },
};

export function sendDraining(res, retryAfter = "1") {
  sendJson(res, 503, DRAINING, { "retry-after": retryAfter });
}

/** The text of a request's body, or null when it is longer than `cap`. */
export async function readText(req, cap = Infinity) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size <= cap) chunks.push(chunk);
  }
  return size > cap ? null : Buffer.concat(chunks).toString("utf8");
}
