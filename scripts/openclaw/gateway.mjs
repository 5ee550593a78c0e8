// Starts the real OpenClaw gateway with the journal and the demo tools, and stops it when its parent process ends.
//
//   .local/openclaw/bin/node scripts/openclaw/gateway.mjs --port N --ledger FILE --db FILE --guard a,b --reads c,d
//     [--dir DIR] [--no-journal] [--model none|stand-in|environment] [--model-url URL [--model-sees]]
//     [--ring-url URL] [--agents a,b]
//
// Without --agents there is one, `main`; with it, those that it names, each with a workspace of its own.
//
// Prints one JSON line per event: starting (with the model; once for each start), ready, exited. The gateway lives until
// standard input closes, this process gets SIGTERM or SIGINT, or it dies by itself. Everything is written in DIR, but for
// empty lock files that OpenClaw always creates in /tmp. The token is in DIR/gateway.token, warnings
// and errors are in DIR/gateway.log; replies of agents are in no log.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ModelError, at, chosenModel } from "./agent-model.mjs";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const NODE = path.join(ROOT, ".local/openclaw/bin/node");
const OPENCLAW = path.join(ROOT, ".local/openclaw/app/node_modules/openclaw/openclaw.mjs");
const START_LIMIT_MS = 400_000;
const STOP_LIMIT_MS = 15_000;
const PROGRESS_MS = 10_000;
const POLL_MS = 100;
const LOG_TAIL = 20;
const STARTS = 3;
// On a busy machine OpenClaw's own helper thread may not answer within the 5 s that OpenClaw gives it. It then takes its
// startup migrations for failed and ends; the next start completes them.
const PASSING = /startup migrations did not complete cleanly/;

const { values: options } = parseArgs({
  options: {
    dir: { type: "string", default: path.join(ROOT, ".local/openclaw/run") },
    port: { type: "string" },
    ledger: { type: "string" },
    db: { type: "string" },
    guard: { type: "string", default: "" },
    reads: { type: "string", default: "" },
    "no-journal": { type: "boolean", default: false },
    model: { type: "string", default: "none" },
    "model-url": { type: "string" },
    "model-sees": { type: "boolean", default: false },
    "ring-url": { type: "string" },
    agents: { type: "string", default: "main" },
  },
});
const DIR = path.resolve(options.dir);
const PORT = Number(options.port);
const LOG = path.join(DIR, "gateway.log");
const list = (text) => text.split(",").filter(Boolean);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const tell = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

function refuse(sentence) {
  process.stderr.write(`openclaw-gateway: ${sentence}\n`);
  process.exit(1);
}

function token() {
  const file = path.join(DIR, "gateway.token");
  if (!fs.existsSync(file)) fs.writeFileSync(file, randomBytes(24).toString("hex"), { mode: 0o600 });
  return fs.readFileSync(file, "utf8").trim();
}

function pluginConfig() {
  const demo = { file: path.resolve(options.ledger) };
  const paths = [path.join(ROOT, "local/demo-tools")];
  const entries = { "ledger-demo": { enabled: true, config: demo } };
  if (!options["no-journal"]) {
    const config = { db: path.resolve(options.db), guard: list(options.guard), reads: list(options.reads) };
    if (options["ring-url"]) config.ringUrl = options["ring-url"];
    paths.push(path.join(ROOT, "openclaw-plugin"));
    entries["miniprogram-journal"] = { enabled: true, config };
  }
  for (const id of model?.plugins ?? []) entries[id] = { enabled: true };
  return { allow: Object.keys(entries), load: { paths }, slots: { memory: "none" }, entries };
}

/** The settings of the agents. With several agents OpenClaw needs a default one. */
function agentsConfig(shared) {
  const names = list(options.agents);
  const defaults = { workspace: path.join(DIR, "workspace"), skipBootstrap: true, heartbeat: { every: "0m" }, ...shared };
  if (names.every((name) => name === "main")) return { defaults };
  return {
    ownership: "explicit",
    defaults: { ...defaults, systemAgent: { agentId: names.find((name) => name === "main") ?? names[0] } },
    entries: Object.fromEntries(names.map((name) => [name, {}])),
  };
}

function config() {
  // Agents need a model; without one only tools can be called.
  const agent = model && { model: { primary: model.primary }, ...model.runtime };
  return {
    gateway: {
      mode: "local", port: PORT, bind: "loopback", auth: { mode: "token", token: token() },
      controlUi: { enabled: false },
      ...(options["model-url"] && { http: { endpoints: { chatCompletions: { enabled: true } } } }),
    },
    discovery: { mdns: { mode: "off" } },
    update: { checkOnStart: false },
    // At the level `info` this file holds what the gateway prints, which includes the replies of agents.
    logging: { file: path.join(DIR, "tmp/openclaw.log"), level: "warn" },
    // Each tool by its own name, so that the tool guard sees which one is called.
    tools: { toolSearch: false, codeMode: false },
    agents: agentsConfig(agent),
    models: { catalogRefresh: { enabled: false }, ...model?.models },
    plugins: pluginConfig(),
  };
}

function environment(file) {
  const { LANG, TZ, USER, PATH = "" } = process.env;
  return {
    ...(LANG && { LANG }), ...(TZ && { TZ }), ...(USER && { USER }),
    PATH: `${path.dirname(NODE)}${path.delimiter}${PATH}`,
    HOME: path.join(DIR, "home"), TMPDIR: path.join(DIR, "tmp"), NO_COLOR: "1", STOP_WITH_PARENT: String(process.pid),
    OPENCLAW_STATE_DIR: path.join(DIR, "state"), OPENCLAW_CONFIG_PATH: file,
    ...model?.variables,
    OPENCLAW_DISABLE_BONJOUR: "1", OPENCLAW_NO_AUTO_UPDATE: "1", OPENCLAW_SKIP_CHANNELS: "1", OPENCLAW_NO_RESPAWN: "1",
  };
}

function isFree(port) {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

function start() {
  for (const name of ["home", "state", "tmp", "workspace"]) {
    fs.mkdirSync(path.join(DIR, name), { recursive: true, mode: 0o700 });
  }
  const file = path.join(DIR, "state/openclaw.json");
  fs.writeFileSync(file, JSON.stringify(config(), null, 2), { mode: 0o600 });
  const log = fs.openSync(LOG, "w", 0o600);
  const watch = path.join(ROOT, "scripts/openclaw/stop-with-parent.mjs");
  const args = ["--import", watch, OPENCLAW, "gateway", "run"];
  // OpenClaw prints each reply of an agent on its standard output, where it cannot be distinguished from log lines. Warnings
  // and errors go to standard error.
  const gateway = spawn(NODE, args, { cwd: DIR, env: environment(file), stdio: ["ignore", "ignore", log] });
  fs.closeSync(log);
  return gateway;
}

async function isReady() {
  try {
    return (await fetch(`http://127.0.0.1:${PORT}/readyz`, { signal: AbortSignal.timeout(5000) })).status === 200;
  } catch {
    return false;
  }
}

const logTail = () => fs.readFileSync(LOG, "utf8").trimEnd().split("\n").slice(-LOG_TAIL).join("\n");

function refuseWithLog(sentence) {
  process.stderr.write(`${logTail()}\n`);
  refuse(`${sentence}; the lines above are the end of ${LOG}`);
}

async function check() {
  if (!(PORT > 0 && PORT < 65_536)) refuse("--port must be a port number");
  if (!options.ledger) refuse("--ledger must name a file");
  if (!options.db && !options["no-journal"]) refuse("--db must name a file, or say --no-journal");
  if (!fs.existsSync(NODE) || !fs.existsSync(OPENCLAW)) {
    refuse("OpenClaw is not installed; run scripts/openclaw/install.sh first");
  }
  if (!(await isFree(PORT))) refuse(`port ${PORT} is taken; choose another one with --port`);
}

function startOrRefuse() {
  try {
    return start();
  } catch (error) {
    return refuse(`nothing can be written in ${DIR}: ${error.message}`);
  }
}

async function modelOrRefuse() {
  if (options["model-url"]) return at(options["model-url"], { sees: options["model-sees"] });
  const places = { env: process.env, node: NODE, scripts: path.join(ROOT, "scripts/openclaw"), openclaw: path.dirname(OPENCLAW) };
  try {
    return await chosenModel(options.model, places);
  } catch (error) {
    if (error instanceof ModelError) return refuse(error.message);
    throw error;
  }
}

await check();
const model = await modelOrRefuse();
const startedAt = Date.now();
const seconds = () => Math.round((Date.now() - startedAt) / 100) / 10;
let gateway;
let exit;
let exited;
let starts = 0;
let stopping = false;

function launch() {
  gateway = startOrRefuse();
  exit = undefined;
  exited = new Promise((resolve) => gateway.once("exit", (code, signal) => resolve((exit = { code, signal }))));
  starts += 1;
  tell({ event: "starting", pid: gateway.pid, model: model?.name, stand_in: model?.standIn });
}

function stop() {
  if (stopping) return;
  stopping = true;
  gateway.kill("SIGTERM");
  setTimeout(() => gateway.kill("SIGKILL"), STOP_LIMIT_MS).unref();
}

process.stdin.on("close", stop).resume();
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, stop);
process.stdout.on("error", stop);

launch();
const progress = setInterval(() => process.stderr.write(`openclaw-gateway: starting, ${seconds()} s\n`), PROGRESS_MS);
let ready = false;
while (!stopping && Date.now() - startedAt < START_LIMIT_MS) {
  ready = !exit && (await isReady());
  if (ready || stopping) break;
  if (exit) {
    if (exit.signal !== null || starts === STARTS || !PASSING.test(fs.readFileSync(LOG, "utf8"))) break;
    process.stderr.write(`${logTail()}\nopenclaw-gateway: it ran out of time in its own start; starting it again\n`);
    launch();
  }
  await pause(POLL_MS);
}
clearInterval(progress);
if (ready) tell({ event: "ready", port: PORT, seconds: seconds() });
const tooLate = !ready && !exit && !stopping;
if (tooLate) stop();
const { code, signal } = await exited;
tell({ event: "exited", code, signal });
if (tooLate) refuseWithLog(`the gateway was not ready after ${START_LIMIT_MS / 1000} s`);
if (!ready && !stopping) refuseWithLog("the gateway ended before it was ready");
process.exit(stopping ? 0 : 1);
