import { PROBE, probeTool } from "./guard-probe.js";
import { toolName } from "./canonical.js";
import { agentGateway } from "./agent-gateway.js";
import { ending, toolGuard } from "./tool-guard.js";
import { Journal } from "./journal.js";
import { Reach } from "./reach.js";
import { WakeUps } from "./wake-ups.js";
import { registerRoutes } from "./routes.js";
import { TurnRunner } from "./turn-run.js";

const ID = "miniprogram-journal";
const DAY_MS = 86_400_000;
// The last hook to run: a call that another plugin blocks is not recorded here and uses no ticket.
const LAST = { priority: -1_000_000 };
// Agent runs use a second registration, in the mode `discovery`, so the hook has to be registered there too.
const MODES = ["full", "discovery", "tool-discovery", undefined];

/** One journal for all registrations of this process. */
function sharedJournal(api, { db, retentionDays = 30, resultCapBytes = 65_536 }) {
  return (globalThis[Symbol.for(`${ID}.v1`)] ??= new Journal({
    file: db, retentionMs: retentionDays * DAY_MS, resultCap: resultCapBytes,
    log: (message) => api.logger?.warn?.(`${ID}: ${message}`),
  }));
}

/** Every registration of the plugin reports agent runs here. */
function runnerOf(api, journal) {
  journal.book.wakeUps = new WakeUps(api.pluginConfig?.ringUrl, journal.log);
  const runner = new TurnRunner(journal.book, agentGateway(api.runtime), journal.log);
  api.runtime?.events?.onAgentEvent((event) => runner.heard(event));
  journal.onPrune = () => runner.sweep().catch((error) => journal.log?.(`a sweep has to wait: ${error.message}`));
  journal.book.onExhausted = (turn) => void runner.stop(turn, "calls_exhausted");
  return runner;
}

export default {
  id: ID,
  name: "Mini Program journal",
  description: "Runs a write tool at most once per key, keeps its outcome, and keeps writes out of agent runs",
  register(api) {
    if (!MODES.includes(api.registrationMode)) return;
    const config = api.pluginConfig ?? {};
    const guard = new Set([...(config.guard ?? []), PROBE].map(toolName));
    const reads = new Set((config.reads ?? []).map(toolName).filter((name) => !guard.has(name)));
    const journal = sharedJournal(api, config);
    api.on("before_tool_call", toolGuard(journal, { guard, reads, reach: new Reach(config) }), LAST);
    api.on("after_tool_call", ending(journal), LAST);
    // Optional: offered only to a caller that names it, so never to a model.
    api.registerTool(probeTool, { optional: true });
    if (api.registrationMode !== undefined && api.registrationMode !== "full") return;
    const { port } = api.config?.gateway ?? {};
    const runner = runnerOf(api, journal);
    registerRoutes(api, journal, runner, { plugin: ID, gateway: api.runtime?.version, guard, reads, port });
    journal.pruneHourly();
    runner.begin();
  },
};
