import { canonical, digestOf, toolName } from "./canonical.js";

// The gateway builds this id for a call of POST /tools/invoke; calls over its other doors have other prefixes.
const DIRECT_CALL = "http-direct-operator-";

const OURS = "miniprogram-journal: ";
export const TICKET_REQUIRED = `${OURS}ticket_required`;

const block = (blockReason) => ({ block: true, blockReason });

/** The `before_tool_call` hook: no guarded tool without a ticket of our route, no write inside an agent run. */
export function fence(journal, { guard, reads }) {
  return (event, context) => {
    const tool = toolName(event.toolName);
    const run = context?.runId ?? event.runId;
    if (run) return decideInRun(journal, reads, { run, tool, event, context });
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
function decideInRun(journal, reads, { run, tool, event, context }) {
  const isRead = reads.has(tool);
  try {
    journal.propose({
      run, tool, session: context?.sessionKey ?? "", call: event.toolCallId ?? "", digest: digestOf(event.params),
      args: canonical(event.params), decision: isRead ? "allowed" : "proposed",
    });
  } catch {
    return block(`${OURS}journal_unavailable`);
  }
  return isRead ? undefined : block(`${OURS}proposal_recorded, this call did not run`);
}
