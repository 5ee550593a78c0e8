// What a refusal of the gateway to start a run means: which ones it repeats however often it is asked.

const UNKNOWN_AGENT = /^(Unknown agent|Agent ".*" no longer exists)/;

/** The gateway has no agent of that name. */
export const isUnknownAgent = (error) =>
  error?.details?.code === "UNKNOWN_AGENT_ID" || UNKNOWN_AGENT.test(String(error?.message));

// The gateway's codes for a request that its caller may not make, and for one that makes no sense. It uses the second one
// too for a session that changed while the run was starting, and then says to try again.
const FINAL = new Set(["FORBIDDEN", "NOT_PAIRED", "INVALID_REQUEST"]);
// The gateway's own phrases, of its version 2026.9.6. It quotes session keys, which are named after conversations of users,
// and one that is called `retry` asks for nothing.
const SESSION_KEY = /"agent:[^"]*"|\bagent:[^\s"]*/gi;
const PASSES = new RegExp([
  "while starting work\\. Retry\\b", "is still initializing(?:\\. Retry|; retry)\\b", "workspace is not ready\\. Wait .* retry\\b",
  "\\bchanged(?: during [a-z ]+)?; retry\\b", "pending restart recovery; retry\\b", "\\bSESSION_WORK_START_CHANGED\\b",
].join("|"));

const says = (error) => String(error.message).replace(SESSION_KEY, "");

/** A refusal that the gateway would repeat. Any other error is worth another try. */
export const isFinal = (error) =>
  FINAL.has(error?.gatewayCode) && error.retryable !== true && !PASSES.test(says(error));
