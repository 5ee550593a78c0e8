import { isBlank } from "./text.js";

const GIVEN_UP = "run-failed-before-reply";
// What the gateway says in the agent's place when all its tries to go on in a session have failed.
const NOT_RESUMED = /^main-session-restart-recovery:.*:failed-notice$/;
const ENDED = new Set(["stop", "length"]);
// The words by which the gateway itself tells a refusal from a fault of the provider.
const REFUSAL = /refusal|content_filter|sensitive/;
// How an agent tells the gateway that it says nothing.
const SILENT = /^[\s\p{P}]*NO_REPLY(?:\s+NO_REPLY)*[\s\p{P}]*$/iu;
// An error without this mark is one that the gateway may still get over by asking again.
const LAST_WORD = /:terminal-error$/;

/**
 * What became of the message that was sent under `key`: `{reply}`, `{error}`, `{lost: true}` when the gateway has given
 * it up after a crash, or null as long as the transcript of its session does not say. The gateway marks a message with
 * the key that it came with; what stands behind it is of this turn, of any run, because a session has one
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
  // Where a model has said nothing, or that it says nothing, the gateway asks once more.
  return isBlank(reply) || SILENT.test(reply) ? null : { reply };
}

function textOf(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
}
