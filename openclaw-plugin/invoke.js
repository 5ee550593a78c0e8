import { randomUUID } from "node:crypto";
import { digestOf, isObject, toolName } from "./canonical.js";
import { clock } from "./clock.js";
import { callTool } from "./loopback.js";

const KEY = /^[a-z0-9][a-z0-9._-]{0,159}$/;
const TOOL = /^[a-zA-Z0-9][a-zA-Z0-9_.:-]{0,127}$/;
const RETRY_AFTER_S = 1;
export const STATUS = {
  started: 202, interrupted: 410, finished: 200, failed: 200, refused: 200, revoked: 200, released: 200,
};

export const isKey = (value) => typeof value === "string" && KEY.test(value);
export const failure = (status, type, more = {}) => ({ status, body: { error: { type, ...more } } });
/** The response when nothing was claimed: the same key may be sent again. */
export const busy = (of) => ({ ...failure(503, "busy", { of }), headers: { "retry-after": String(RETRY_AFTER_S) } });
export const answer = (status, entry) => ({ status, body: { entry } });

/** Claims the key on disk, then runs the tool, then stores the outcome. */
export async function invoke(journal, input, target) {
  const call = parse(input);
  if (!call) return failure(400, "invalid_request");
  if (!journal.confirm(call)) return failure(412, "other_journal");
  const row = journal.find(call.key);
  const standing = row && replay(journal, row, call);
  if (standing) return standing;
  if (call.notAfter <= clock.now()) {
    return answer(200, journal.entry(journal.claim({ ...call, state: "revoked" }, row), false));
  }
  if (journal.runningOf(call.tool) >= call.atMost) return busy("tool");
  const claimed = journal.claim({ ...call, state: "started" }, row);
  const work = run(journal, claimed, call, target);
  return call.wait ? await work : answer(202, journal.entry(claimed, false));
}

function parse(input) {
  const { key, tool, journal, sequence } = input;
  const { args = {}, not_after: notAfter = Infinity, wait = true, at_most: atMost = Infinity } = input;
  if (!isKey(key) || typeof tool !== "string" || !TOOL.test(tool)) return null;
  if (!isObject(args) || typeof wait !== "boolean") return null;
  if (notAfter !== Infinity && !Number.isSafeInteger(notAfter)) return null;
  if (atMost !== Infinity && !(Number.isSafeInteger(atMost) && atMost > 0)) return null;
  try {
    return { key, tool, args, digest: digestOf(args), notAfter, wait, atMost, journal, sequence };
  } catch {
    return null;
  }
}

/**
 * The response for a claimed key; undefined when it was released and may be claimed again. A row without a
 * digest was revoked before a call was named, or forgotten: its call cannot be compared, and never runs again.
 */
function replay(journal, row, { tool, digest }) {
  if (row.digest !== null) {
    if (row.kind !== "call" || row.tool !== tool || row.digest !== digest) return failure(422, "key_reused");
    if (row.state === "released") return undefined;
  }
  const entry = journal.entry(row, true);
  return answer(STATUS[entry.state], entry);
}

/** Runs a guarded tool with a ticket; no other code issues one. `target` is the gateway's port, and the caller's authorization. */
export async function callWithTicket(journal, { key, tool, args, digest }, target) {
  const ticket = `${key}~${randomUUID()}`;
  journal.tickets.set(ticket, { tool: toolName(tool), digest });
  const outcome = await callTool({ ...target, tool, args, ticket, cap: journal.resultCap });
  journal.tickets.delete(ticket);
  return outcome;
}

async function run(journal, claimed, call, target) {
  const outcome = await callWithTicket(journal, call, target);
  if (outcome.verdict === "not_started") {
    journal.release(claimed);
    return notStarted(outcome);
  }
  const row = outcome.verdict === "lost"
    ? journal.abandon(claimed)
    : journal.finish(claimed, { ...outcome, state: outcome.verdict });
  const entry = journal.entry(row, false);
  return answer(STATUS[entry.state], entry);
}

export function notStarted({ status = null, retryAfter }) {
  return { ...failure(503, "not_started", { status }), headers: retryAfter && { "retry-after": retryAfter } };
}
