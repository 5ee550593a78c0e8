import { canonical, digestOf, digestOfText, toolName } from "./canonical.js";
import { wellFormed, wellFormedText } from "./text.js";
import { isOurs } from "./turn-book.js";

// The gateway builds this id for a call of POST /tools/invoke; calls by its other interfaces have other prefixes.
const DIRECT_CALL = "http-direct-operator-";

// These tools start runs in sessions of their own, where no turn limits the reads, counts the calls or records them.
const BEGIN_RUNS = new Set([
  "automations", "conversations_send", "conversations_turn", "cron", "openclaw", "sessions", "sessions_send",
  "sessions_spawn", "subagents",
]);

const OURS = "miniprogram-journal: ";
export const TICKET_REQUIRED = `${OURS}ticket_required`;

const block = (blockReason) => ({ block: true, blockReason });

/** The `before_tool_call` hook (the tool guard): no guarded tool without a ticket of the journal's route, no write inside an agent run. */
export function toolGuard(journal, { guard, reads, reach }) {
  return (event, context) => {
    const tool = wellFormedText(toolName(event.toolName));
    const run = context?.runId ?? event.runId;
    if (run) return decideInRun(journal, { reads, reach }, { run, tool, event, context });
    if (!guard.has(tool)) return undefined;
    return takeTicket(journal, tool, event) ? undefined : block(TICKET_REQUIRED);
  };
}

/** A ticket is valid for one call of one tool with one set of arguments. A wrong use invalidates it too. */
function takeTicket(journal, tool, { toolCallId = "", params }) {
  if (!toolCallId.startsWith(DIRECT_CALL)) return false;
  const id = toolCallId.slice(DIRECT_CALL.length);
  const ticket = journal.tickets.get(id);
  journal.tickets.delete(id);
  return ticket !== undefined && ticket.tool === tool && ticket.digest === digestOf(params);
}

/** A call that cannot be recorded is refused, a read as well. */
function decideInRun(journal, rules, { run, tool, event, context }) {
  try {
    const ids = { run, tool, session: context?.sessionKey ?? "", call: event.toolCallId ?? "" };
    return REASONS[decide(journal, rules, { ...ids, ...written(event.params) }, event.params)];
  } catch {
    return block(`${OURS}journal_unavailable`);
  }
}

/**
 * Arguments as they are recorded. Those beyond the maximum nesting, or that another parser would interpret
 * differently, are vetoed, and only the reason is recorded.
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

/** Decides about a call and records it. In a session of this plugin the open turn lists what its own run may call; other runs may call nothing. */
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

/** The `after_tool_call` hook: records whether an allowed call failed. */
export function ending(journal) {
  return (event, context) =>
    journal.book.ended({
      session: context?.sessionKey ?? "", run: context?.runId ?? event.runId ?? "", call: event.toolCallId ?? "",
      tool: wellFormedText(toolName(event.toolName)), failed: hasFailed(event),
    });
}

const hasFailed = ({ error, result }) => Boolean(error) || result?.isError === true;
