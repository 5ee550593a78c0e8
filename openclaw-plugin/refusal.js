// Classifies the gateway's refusals to start a run: permanent ones, and others.

const UNKNOWN_AGENT = /^(Unknown agent|Agent ".*" no longer exists)/;

/** The gateway has no agent of that name. */
export const isUnknownAgent = (error) =>
  error?.details?.code === "UNKNOWN_AGENT_ID" || UNKNOWN_AGENT.test(String(error?.message));

// The gateway's codes for a forbidden request and for an invalid one. It uses the second one
// too for a session that changed while the run was starting, with a text that asks to retry.
const FINAL = new Set(["FORBIDDEN", "NOT_PAIRED", "INVALID_REQUEST"]);
// The gateway's own phrases, of its version 2026.9.6. It quotes session keys, which are named after conversations of users,
// so the word `retry` in a session key is not such a request.
const SESSION_KEY = /"agent:[^"]*"|\bagent:[^\s"]*/gi;
const PASSES = new RegExp([
  "while starting work\\. Retry\\b", "is still initializing(?:\\. Retry|; retry)\\b", "workspace is not ready\\. Wait .* retry\\b",
  "\\bchanged(?: during [a-z ]+)?; retry\\b", "pending restart recovery; retry\\b", "\\bSESSION_WORK_START_CHANGED\\b",
].join("|"));

const says = (error) => String(error.message).replace(SESSION_KEY, "");

/** A refusal that the gateway would repeat. Any other error may not occur again. */
export const isFinal = (error) =>
  FINAL.has(error?.gatewayCode) && error.retryable !== true && !PASSES.test(says(error));
