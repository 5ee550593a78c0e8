import { digestOf } from "./canonical.js";
import { clock } from "./clock.js";
import { answer, busy, failure, isKey, notStarted, STATUS } from "./invoke.js";
import { isWakeUpToken } from "./wake-ups.js";
import { isBlank } from "./text.js";
import { agentOf } from "./turn-book.js";

const TOOLS_CAP = 100;
// How long the response waits for a stopped run.
const ABORT_WAIT_MS = 2000;

const isCount = (value, least) => Number.isSafeInteger(value) && value >= least;
const isTool = (value) => typeof value === "string" && value.length > 0 && value.length <= 128;

/** Claims the key and opens the turn on disk, then responds; the turn runs afterwards. */
export function startTurn({ journal, book, runner }, input) {
  const call = parse(input);
  if (!call) return failure(400, "invalid_request");
  if (!journal.confirm(input)) return failure(412, "other_journal");
  const row = journal.find(call.key);
  const standing = row && replay(book, row, call);
  if (standing) return standing;
  if (call.notAfter <= clock.now()) {
    return answer(200, book.entry(book.claim({ ...call, wakeUpToken: null, state: "revoked" }, row), false));
  }
  if (journal.isGuardBroken) return notStarted({});
  if (book.ofSession(call.session) || runner.isForgetting(call.session)) return busy("session");
  if (book.countOf(call.agent) >= call.atMost) return busy("agent");
  const claimed = book.claim({ ...call, state: "started" }, row);
  runner.start(book.ofSession(call.session), call);
  return answer(202, book.entry(claimed, false));
}

function parse(input) {
  const { key, session, agent, message, tools, proposals } = input;
  const { not_after: notAfter = Infinity, at_most: atMost, calls_at_most: callsAtMost, timeout_ms: timeoutMs } = input;
  const { ring: wakeUpToken = null } = input;
  if (!isKey(key) || !agent || agentOf(session) !== agent) return null;
  if (typeof message !== "string" || isBlank(message)) return null;
  if (!Array.isArray(tools) || tools.length > TOOLS_CAP || !tools.every(isTool)) return null;
  if (typeof proposals !== "boolean") return null;
  if (notAfter !== Infinity && !Number.isSafeInteger(notAfter)) return null;
  if (!isCount(atMost, 1) || !isCount(callsAtMost, 0) || !isCount(timeoutMs, 1)) return null;
  if (wakeUpToken !== null && !isWakeUpToken(wakeUpToken)) return null;
  const digest = digestOf({ session, agent, message, tools, proposals });
  return { key, session, agent, message, tools, proposals, digest, notAfter, atMost, callsAtMost, timeoutMs, wakeUpToken };
}

/** The response for a claimed key; undefined when its turn was released and may be claimed again. */
function replay(book, row, { digest }) {
  if (row.digest !== null) {
    if (row.kind !== "turn" || row.digest !== digest) return failure(422, "key_reused");
    if (row.state === "released") return undefined;
  }
  const entry = book.entry(row, true);
  return answer(STATUS[entry.state], entry);
}

/** Stops a running turn. One that the gateway does not stop at once is still `started` in the response. */
export async function abortTurn({ journal, book, runner }, input) {
  if (!isKey(input.key)) return failure(400, "invalid_request");
  if (!journal.confirm(input)) return failure(412, "other_journal");
  const turn = book.ofKey(input.key);
  if (turn) await runner.stop(turn, "turn_aborted", ABORT_WAIT_MS);
  const row = journal.find(input.key);
  return { status: 200, body: { entry: row ? book.anyEntry(row, true) : null } };
}

/** Deletes the gateway's session of a conversation. */
export async function endSession({ journal, book, runner }, input) {
  if (!agentOf(input.session)) return failure(400, "invalid_request");
  if (!journal.confirm(input)) return failure(412, "other_journal");
  if (book.ofSession(input.session)) return busy("session");
  const ended = await runner.forget(input.session);
  return ended === null ? notStarted({}) : { status: 200, body: { ended } };
}
