import { isBlank } from "./text.js";

const GIVEN_UP = "run-failed-before-reply";
// The gateway's message in the agent's place after its last attempt to resume a session.
const NOT_RESUMED = /^main-session-restart-recovery:.*:failed-notice$/;
const ENDED = new Set(["stop", "length"]);
// The words by which the gateway distinguishes a refusal from a fault of the provider.
const REFUSAL = /refusal|content_filter|sensitive/;
// The reply by which an agent chooses to be silent.
const SILENT = /^[\s\p{P}]*NO_REPLY(?:\s+NO_REPLY)*[\s\p{P}]*$/iu;
// The gateway may still retry after an error without this mark.
const LAST_WORD = /:terminal-error$/;

/**
 * The outcome of the message that was sent under `key`: `{reply}`, `{error}`, `{lost: true}` when the gateway has abandoned
 * it after a crash, or null as long as the transcript of its session has none. The gateway marks a message with
 * its key; every later entry belongs to this turn, in any run, because a session has one
 * open turn.
 */
export function foundEnd(messages, key) {
  const isGivenUp = ({ customType, details }) => customType === GIVEN_UP && details?.runId === key;
  if (messages.some(isGivenUp)) return { lost: true };
  const at = messages.findLastIndex((message) => message.idempotencyKey === `${key}:user`);
  const last = at < 0 ? undefined : messages.slice(at + 1).at(-1);
  if (last?.role !== "assistant") return null;
  if (NOT_RESUMED.test(last.idempotencyKey ?? "")) return { lost: true };
  if (last.stopReason === "error" && LAST_WORD.test(last.idempotencyKey ?? "")) {
    return { error: REFUSAL.test(String(last.errorMessage).toLowerCase()) ? "model_refused" : "model_failed" };
  }
  const reply = ENDED.has(last.stopReason) ? textOf(last.content) : "";
  // After an empty or silent reply the gateway asks the model once more.
  return isBlank(reply) || SILENT.test(reply) ? null : { reply };
}

function textOf(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
}
