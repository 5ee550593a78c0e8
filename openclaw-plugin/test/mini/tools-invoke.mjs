import { readText, sendJson, sendText } from "./http.mjs";

const BODY_CAP = 2 * 1024 * 1024;
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const named = (value) => (typeof value === "string" ? value.trim() : "");
const invalid = (message) => ({ error: { message, type: "invalid_request_error" } });
const fault = (status, type, message, more = {}) => [status, { ok: false, error: { type, message, ...more } }];

/** `POST /tools/invoke` as the gateway answers it. `isAuthorized` is asked after the method, as there. */
export async function toolsInvoke(registry, req, res, isAuthorized) {
  if (req.method !== "POST") return sendText(res, 405, "Method Not Allowed", { allow: "POST" });
  if (!isAuthorized()) return undefined;
  const hangUp = new AbortController();
  res.once("close", () => res.writableFinished || hangUp.abort(new Error("HTTP client disconnected")));
  const text = await readText(req, BODY_CAP);
  if (text === null) return sendJson(res, 413, invalid("Payload too large"));
  let body;
  try {
    body = text === "" ? {} : JSON.parse(text);
  } catch (error) {
    return sendJson(res, 400, invalid(error.message));
  }
  const [status, answer] = await invokeTool(registry, body ?? {}, hangUp.signal);
  // The caller of an aborted call has disconnected, and the gateway writes no response.
  if (!hangUp.signal.aborted) sendJson(res, status, answer);
  hangUp.abort(new Error("HTTP tool invocation authority ended"));
  return undefined;
}

async function invokeTool(registry, body, signal) {
  const toolName = named(body.name ?? body.tool);
  if (!toolName) return fault(400, "invalid_request", "tools.invoke requires name");
  const tool = registry.tools.get(toolName);
  if (!tool) return fault(404, "not_found", `Tool not available: ${toolName}`);
  const params = isObject(body.args) ? body.args : {};
  const toolCallId = `http-direct-operator-${named(body.idempotencyKey) || Date.now()}`;
  const sessionKey = "agent:main:main";
  const context = { toolName, agentId: "main", sessionKey, toolCallId, abortSignal: signal };
  const reason = await registry.blockReason({ toolName, params, toolCallId }, context);
  if (reason) return fault(403, "tool_call_blocked", reason, { requiresApproval: false });
  return execute(tool, toolCallId, params, signal);
}

async function execute(tool, toolCallId, params, signal) {
  try {
    signal.throwIfAborted();
    return [200, { ok: true, result: await tool.execute(toolCallId, params, signal) }];
  } catch (error) {
    if (error.name === "ToolInputError") return fault(400, "tool_error", error.message);
    if (error.name === "ToolAuthorizationError") return fault(403, "tool_error", error.message);
    return fault(500, "tool_error", "tool execution failed");
  }
}

/** A tool call inside an agent run: what the model would get as the tool's result. */
export async function callInRun(registry, { tool: toolName, args: params = {}, run: runId, session, call }) {
  const toolCallId = call ?? `call_${Date.now()}`;
  const event = { toolName, params, toolCallId, runId };
  const context = { toolName, agentId: "main", sessionKey: session, runId, toolCallId };
  const reason = await registry.blockReason(event, context);
  if (reason) {
    await registry.tellEnd({ ...event, error: reason }, context);
    return { blocked: true, reason };
  }
  try {
    const tool = registry.tools.get(toolName);
    if (!tool) throw new Error(`Tool ${toolName} not found`);
    const result = await tool.execute(toolCallId, params);
    await registry.tellEnd({ ...event, result }, context);
    return { blocked: false, result };
  } catch (error) {
    await registry.tellEnd({ ...event, error: error.message }, context);
    throw error;
  }
}
