import { digestOf } from "./canonical.js";
import { TICKET_REQUIRED } from "./tool-guard.js";
import { callWithTicket, failure, notStarted } from "./invoke.js";
import { callTool } from "./loopback.js";

// Longer than the gateway's refusal; a longer response is not the expected one.
const REFUSAL_CAP = 16 * 1024;

export const PROBE = "miniprogram_canary";

export const probeTool = {
  name: PROBE,
  description: "Does nothing. Proves that guarded tools cannot be called around the journal.",
  parameters: { type: "object", additionalProperties: false, properties: {} },
  execute: async () => ({ content: [{ type: "text", text: '{"canary":true}' }], details: { canary: true } }),
};

const verdict = (fence) => ({ status: 200, body: { fence } });

/** Probes the tool guard: the probe tool must be blocked without a ticket, and must run with one. */
export async function probeGuard(journal, input, target) {
  if (!journal.confirm(input)) return failure(412, "other_journal");
  if (journal.isGuardBroken) return verdict("broken");
  const around = await callTool({ ...target, tool: PROBE, args: {}, cap: REFUSAL_CAP });
  if (around.verdict === "not_started") return notStarted(around);
  if (around.status === 200) return verdict("broken");
  if (!isBlockedByGuard(around)) return verdict("unproven");
  const call = { key: `canary.${journal.boot}`, tool: PROBE, args: {}, digest: digestOf({}) };
  const through = await callWithTicket(journal, call, target);
  return verdict(through.status === 200 ? "holds" : "unproven");
}

/** A block by another plugin or policy proves nothing: it may be removed later. */
function isBlockedByGuard({ status, result }) {
  if (status !== 403 || !result) return false;
  const { error } = JSON.parse(result);
  return error?.type === "tool_call_blocked" && String(error.message).startsWith(TICKET_REQUIRED);
}
