import { canonical, digestOf, digestOfText, toolName } from "./canonical.js";
import { wellFormed, wellFormedText } from "./text.js";
import { isOurs } from "./turn-book.js";

// The gateway builds this id for a call of POST /tools/invoke; calls over its other doors have other prefixes.
const DIRECT_CALL = "http-direct-operator-";

// What these begin runs in a session of its own, where no turn says what may be read, counts calls or records them.
const BEGIN_RUNS = new Set([
  "automations", "conversations_send", "conversations_turn", "cron", "openclaw", "sessions", "sessions_send",
  "sessions_spawn", "subagents",
]);

const OURS = "miniprogram-journal: ";
export const TICKET_REQUIRED = `${OURS}ticket_required`;

const block = (blockReason) => ({ block: true, blockReason });

/** The `before_tool_call` hook: no guarded tool without a ticket of our route, no write inside an agent run. */
export function fence(journal, { guard, reads, reach }) {
  return (event, context) => {
    const tool = wellFormedText(toolName(event.toolName));
    const run = context?.runId ?? event.runId;
    if (run) return decideInRun(journal, { reads, reach }, { run, tool, event, context });
    if (!guard.has(tool)) return undefined;
    return takeTicket(journal, tool, event) ? undefined : block(TICKET_REQUIRED);
  };
}

/** A ticket is good for one call of one tool with one set of arguments. A wrong use spends it too. */
function takeTicket(journal, tool, { toolCallId = "", params }) {
  if (!toolCallId.startsWith(DIRECT_CALL)) return false;
  const id = toolCallId.slice(DIRECT_CALL.length);
  const ticket = journal.tickets.get(id);
  journal.tickets.delete(id);
  return ticket !== undefined && ticket.tool === tool && ticket.digest === digestOf(params);
}

/** No record, no call: a read that cannot be recorded is refused as well. */
function decideInRun(journal, rules, { run, tool, event, context }) {
  try {
    const ids = { run, tool, session: context?.sessionKey ?? "", call: event.toolCallId ?? "" };
    return REASONS[decide(journal, rules, { ...ids, ...written(event.params) }, event.params)];
  } catch {
    return block(`${OURS}journal_unavailable`);
  }
}

/**
 * Arguments as they are recorded. Those that nest more deeply than any real call has, or that another reader would take for
 * something else, are vetoed, and no more is known of them than why.
 */
function written(params) {
  const { value, omitted } = wellFormed(params ?? null);
  if (omitted !== undefined) return { digest: omitted, args: null };
  const args = canonical(value);
  return { digest: digestOfText(args), args };
}

const NOT_RUN = "this call did not run";
const REASONS = {
  allowed: undefined,
  proposed: block(`${OURS}proposal_recorded, ${NOT_RUN}; it is decided after your reply, do not repeat it`),
  vetoed: block(`${OURS}not_allowed, ${NOT_RUN}; do not repeat it`),
};

/** Decides and records. In a session of ours the open turn says what its own run may do; others may do nothing. */
function decide(journal, { reads, reach }, call, params) {
  const turn = journal.book.ofSession(call.session);
  const isRead = reads.has(call.tool);
  const isShut = call.args === null || (isRead && reach.isInside(params));
  if (turn?.isOwn(call.run)) {
    const isListed = isRead && turn.tools.has(call.tool) && !BEGIN_RUNS.has(call.tool);
    return journal.book.decide(turn, isListed, { ...call, isShut });
  }
  const decision = isShut || isOurs(call.session) ? "vetoed" : isRead ? "allowed" : "proposed";
  journal.propose({ ...call, decision });
  return decision;
}

/** The `after_tool_call` hook: how a call that was let through ended. */
export function ending(journal) {
  return (event, context) =>
    journal.book.ended({
      session: context?.sessionKey ?? "", run: context?.runId ?? event.runId ?? "", call: event.toolCallId ?? "",
      tool: wellFormedText(toolName(event.toolName)), failed: hasFailed(event),
    });
}

const hasFailed = ({ error, result }) => Boolean(error) || result?.isError === true;
