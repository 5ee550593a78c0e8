// A stand-in for the HTTP core of an OpenClaw gateway, with the real plugins in it. Starts in a tenth of a second.
//
//   node mini-gateway.mjs --port 0 --token T --db FILE --ledger FILE [--no-journal] [--guard a,b] [--reads c,d]
//     [--agents main,other] [--sessions DIR] [--resume-after MS] [--clock-offset MS] [--ring-url URL]
//
// Prints `ready <port>` and lives until its standard input closes or it has drained after a SIGTERM.
import { timingSafeEqual } from "node:crypto";
import http from "node:http";
import { parseArgs } from "node:util";
import { clock } from "../clock.js";
import { Faults } from "./mini/faults.mjs";
import { Agents } from "./mini/agents.mjs";
import { offerHarness } from "./mini/harness.mjs";
import { oddTool } from "./mini/odd-tool.mjs";
import { readText, sendDraining, sendJson, sendText, UNAUTHORIZED } from "./mini/http.mjs";
import { loadPlugins, Registry } from "./mini/plugins.mjs";
import { Sessions } from "./mini/sessions.mjs";
import { callInRun, toolsInvoke } from "./mini/tools-invoke.mjs";

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    token: { type: "string" },
    db: { type: "string" },
    ledger: { type: "string" },
    guard: {
      type: "string",
      default: "ledger_append,ledger_append_once,ledger_sleep,ledger_fail,ledger_pay,ledger_delete",
    },
    reads: { type: "string", default: "ledger_read" },
    "result-cap": { type: "string" },
    "ring-url": { type: "string" },
    sessions: { type: "string" },
    agents: { type: "string", default: "main" },
    "clock-offset": { type: "string", default: "0" },
    "resume-after": { type: "string", default: "200" },
    "no-journal": { type: "boolean", default: false },
  },
});
if (!options.token || !options.ledger) throw new Error("--token and --ledger are needed");

if (Number(options["clock-offset"]) !== 0) clock.now = () => Date.now() + Number(options["clock-offset"]);

const faults = new Faults();
const counts = {};
const inFlight = new Set();
let draining = false;
let exitWhenDrained = false;
let plugins;

const runs = new Registry();
const sessions = new Sessions(options.sessions ?? `${options.ledger}.sessions`);
const cutOff = sessions.cutOff();
const agents = new Agents({ sessions, agents: new Set(options.agents.split(",")), registry: runs });
offerHarness(agents);

const list = (text) => text.split(",").filter(Boolean);
const expected = Buffer.from(`Bearer ${options.token}`);

function isAuthorized(req, res) {
  const given = Buffer.from(req.headers.authorization ?? "");
  if (given.length === expected.length && timingSafeEqual(given, expected)) return true;
  sendJson(res, 401, UNAUTHORIZED);
  return false;
}

/** The controls for tests under `/_test`. */
const CONTROLS = {
  "/_test/clock": ({ offset_ms: offset, elapsed_ms: elapsed = 0 }) => {
    clock.now = () => Date.now() + offset;
    clock.elapsed = () => performance.now() + elapsed;
    return { now: clock.now() };
  },
  "/_test/next": (order) => {
    faults.order(order);
    return {};
  },
  "/_test/forget": () => {
    faults.forget();
    return {};
  },
  "/_test/release": (order) => {
    faults.release(order);
    return {};
  },
  "/_test/drain": ({ on }) => {
    draining = on;
    return {};
  },
  "/_test/end-pauses": () => {
    agents.endPauses();
    return {};
  },
  "/_test/run": (call) => callInRun(plugins.runs, call),
  "/_test/stats": () => ({ counts, hanging: faults.hanging, model_calls: agents.modelCalls, asked: agents.asked }),
};

async function control(path, req, res) {
  if (!isAuthorized(req, res)) return;
  const text = await readText(req);
  try {
    sendJson(res, 200, { ok: true, ...(await CONTROLS[path](text ? JSON.parse(text) : {})) });
  } catch (error) {
    sendJson(res, 400, { ok: false, error: { type: "invalid_request", message: error.message } });
  }
}

function probe(path, res) {
  if (path === "/health" || path === "/healthz") return sendJson(res, 200, { ok: true, status: "live" });
  const failing = draining ? ["gateway-draining"] : [];
  return sendJson(res, draining ? 503 : 200, { ready: !draining, failing });
}

async function handle(path, req, res) {
  const handler = plugins.direct.routes.get(path);
  if (path !== "/tools/invoke" && !handler) return sendText(res, 404, "Not Found");
  if (draining) return sendDraining(res);
  if (!handler) return toolsInvoke(plugins.direct, req, res, () => isAuthorized(req, res));
  return isAuthorized(req, res) ? handler(req, res) : undefined;
}

async function serve(req, res) {
  const path = new URL(req.url, "http://gateway").pathname;
  if (CONTROLS[path]) return control(path, req, res);
  counts[path] = (counts[path] ?? 0) + 1;
  if (faults.strikes(path, req, res)) return undefined;
  if (["/health", "/healthz", "/ready", "/readyz"].includes(path)) return probe(path, res);
  const work = handle(path, req, res).catch((error) => {
    console.error(error);
    req.socket.destroy();
  });
  inFlight.add(work);
  await work;
  inFlight.delete(work);
  exitIfDrained();
  return undefined;
}

/** The last answer is on its way before the process ends: closing waits for it. */
function exitIfDrained() {
  if (!exitWhenDrained || inFlight.size > 0) return;
  // The journal still has to read and commit the answer of its own loopback call.
  server.close(() => setTimeout(() => process.exit(0), 50));
  server.closeIdleConnections();
}

const server = http.createServer({ keepAliveTimeout: 5000 }, serve);
server.listen(Number(options.port), "127.0.0.1", async () => {
  const { port } = server.address();
  const journal = {
    db: options.db, guard: list(options.guard), reads: list(options.reads),
    ...(options["ring-url"] && { ringUrl: options["ring-url"] }),
    ...(options["result-cap"] && { resultCapBytes: Number(options["result-cap"]) }),
  };
  const demo = { file: options.ledger };
  plugins = await loadPlugins({ port, agents, runs, configs: options["no-journal"] ? { demo } : { journal, demo } });
  for (const registry of [plugins.direct, plugins.runs]) registry.tools.set(oddTool.name, oddTool);
  setTimeout(() => agents.resume(cutOff), Number(options["resume-after"]));
  console.log(`ready ${port}`);
});
process.on("SIGTERM", () => {
  draining = true;
  exitWhenDrained = true;
  exitIfDrained();
});
process.stdin.on("close", () => process.exit(0)).resume();
