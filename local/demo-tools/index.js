import { Ledger } from "./ledger.js";

const NOTE = { type: "string", maxLength: 2000 };
const AMOUNT = { type: "integer", minimum: 1, maximum: 1_000_000 };
const LONGEST_SLEEP_MS = 600_000;
const DEFAULT_LIMIT = 100;

const answer = (details) => ({ content: [{ type: "text", text: JSON.stringify(details) }], details });
const object = (properties, required = []) => ({ type: "object", additionalProperties: false, properties, required });

/**
 * The part of the call id that is the same for every repetition: `http-direct-operator-<user>.<request>.<step>.<round>.<n>~<ticket>`
 * without the prefix, the ticket and the number of the try.
 */
export function stableId(toolCallId) {
  return toolCallId.replace(/^http-direct-operator-/, "").replace(/~[^~]*$/, "").replace(/\.\d+$/, "");
}

function appendTool(ledger) {
  return {
    name: "ledger_append",
    description: "Appends a note. Each call appends another line.",
    parameters: object({ note: NOTE }, ["note"]),
    async execute(toolCallId, { note }) {
      ledger.append({ op: "append", toolCallId, note });
      return answer({ written: true, toolCallId });
    },
  };
}

function appendOnceTool(ledger) {
  return {
    name: "ledger_append_once",
    description: "Appends a note at most once per request, however often it is called.",
    parameters: object({ note: NOTE }, ["note"]),
    async execute(toolCallId, { note }) {
      const id = stableId(toolCallId);
      const seen = ledger.lines().some((line) => line.op === "append_once" && stableId(line.toolCallId) === id);
      if (!seen) ledger.append({ op: "append_once", toolCallId, note });
      return answer({ written: !seen, toolCallId });
    },
  };
}

function readTool(ledger) {
  return {
    name: "ledger_read",
    description: "Reads the newest lines, oldest first.",
    parameters: object({ limit: { type: "integer", minimum: 1, maximum: 1000 } }),
    async execute(_toolCallId, { limit = DEFAULT_LIMIT } = {}) {
      await ledger.released();
      const lines = ledger.lines();
      return answer({ lines: lines.slice(-limit), total: lines.length });
    },
  };
}

/** Resolves to false when the signal fired before the time was over. */
function wait(ms, signal) {
  return new Promise((resolve) => {
    const done = (finished) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
      resolve(finished);
    };
    const aborted = () => done(false);
    const timer = setTimeout(() => done(true), ms);
    signal?.addEventListener("abort", aborted, { once: true });
    if (signal?.aborted) aborted();
  });
}

function sleepTool(ledger) {
  return {
    name: "ledger_sleep",
    description: "Appends a line, waits, appends another line.",
    parameters: object({ ms: { type: "integer", minimum: 0, maximum: LONGEST_SLEEP_MS }, note: NOTE }, ["ms"]),
    async execute(toolCallId, { ms, note }, signal) {
      ledger.append({ op: "sleep_start", toolCallId, note });
      const finished = await wait(Math.min(Math.max(Number(ms) || 0, 0), LONGEST_SLEEP_MS), signal);
      ledger.append({ op: finished ? "sleep_end" : "sleep_aborted", toolCallId, note });
      return answer({ slept: finished, ms, toolCallId });
    },
  };
}

function failTool(ledger) {
  return {
    name: "ledger_fail",
    description: "Appends a line and then fails in the way that is asked for.",
    parameters: object({ kind: { type: "string", enum: ["throw", "input", "result"] } }, ["kind"]),
    async execute(toolCallId, { kind }) {
      ledger.append({ op: "fail", toolCallId, note: kind });
      if (kind === "result") return { ...answer({ failed: true, toolCallId }), isError: true };
      const error = new Error(`the ledger failed as asked: ${kind}`);
      if (kind === "input") error.name = "ToolInputError";
      throw error;
    },
  };
}

function payTool(ledger) {
  return {
    name: "ledger_pay",
    description: "Appends a payment. Each call appends another line.",
    parameters: object({ amount: AMOUNT, note: { type: "string", minLength: 1, maxLength: 200 } }, ["amount", "note"]),
    async execute(toolCallId, { amount, note }) {
      ledger.append({ op: "pay", toolCallId, amount, note });
      return answer({ paid: amount, toolCallId });
    },
  };
}

function deleteTool(ledger) {
  return {
    name: "ledger_delete",
    description: "Deletes every line.",
    parameters: object({}),
    async execute(toolCallId) {
      const deleted = ledger.lines().length;
      ledger.remove();
      return answer({ deleted, toolCallId });
    },
  };
}

export default {
  id: "ledger-demo",
  name: "Ledger demo",
  description: "Demo tools with a visible effect: each effect is one line of a file",
  register(api) {
    const ledger = new Ledger(api.pluginConfig?.file);
    const tools = [appendTool, appendOnceTool, readTool, sleepTool, failTool, payTool, deleteTool];
    for (const tool of tools) api.registerTool(tool(ledger));
  },
};
