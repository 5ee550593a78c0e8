import { execFile, spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Client, until } from "./client.mjs";
import { temporaryFolder } from "./mini.mjs";

const SCRIPTS = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../../scripts/openclaw");
const ROOT = path.resolve(SCRIPTS, "../..");
const NODE = path.join(ROOT, ".local/openclaw/bin/node");
const OPENCLAW = path.join(ROOT, ".local/openclaw/app/node_modules/openclaw/openclaw.mjs");
const GUARD = "ledger_append,ledger_append_once,ledger_sleep,ledger_fail,ledger_pay,ledger_delete";

export function freePort() {
  return new Promise((resolve) => {
    const probe = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Starts a script that prints lines and lives until its standard input closes. */
function startScript(name, args, onLine) {
  const child = spawn(process.execPath, [path.join(SCRIPTS, name), ...args], { stdio: ["pipe", "pipe", "inherit"] });
  readline.createInterface({ input: child.stdout }).on("line", onLine);
  return child;
}

export async function startModel({ after }) {
  let port;
  const model = startScript("stand-in-model.mjs", [], (line) => (port = Number(line.split(" ")[1])));
  after(() => model.stdin.end());
  await until("the model is ready", () => port);
  return `http://127.0.0.1:${port}`;
}

/** A real gateway that its test may kill and start again on the same files. */
export class Live extends Client {
  static async create({ after }, { modelUrl } = {}) {
    const folder = temporaryFolder("live");
    // A path that the gateway's own backup includes.
    const db = path.join(folder, "gateway/state/miniprogram-journal/journal.sqlite");
    const live = new Live({ ledger: path.join(folder, "ledger.jsonl"), db });
    Object.assign(live, { folder, modelUrl, port: await freePort(), starts: [] });
    after(async () => {
      await live.stop();
      fs.rmSync(folder, { recursive: true, force: true });
    });
    return live;
  }

  /** Starts the script and returns once the gateway's process exists. */
  async launch(...more) {
    const state = path.join(this.folder, "gateway");
    const args = [
      "--dir", state, "--port", String(this.port), "--ledger", this.ledger, "--db", this.db, "--guard", GUARD,
      "--reads", "ledger_read", ...(this.modelUrl ? ["--model-url", `${this.modelUrl}/v1`] : []), ...more,
    ];
    this.events = [];
    this.script = startScript("gateway.mjs", args, (line) => this.events.push(JSON.parse(line)));
    this.ended = new Promise((resolve) => this.script.once("exit", resolve));
    const { pid } = await until("the gateway has a process", () => this.#event("starting"));
    this.pid = pid;
    this.token = fs.readFileSync(path.join(state, "gateway.token"), "utf8");
  }

  /** Runs a command of OpenClaw's own for this gateway. */
  async openclaw(...args) {
    const state = path.join(this.folder, "gateway/state");
    const [HOME, TMPDIR] = ["home", "tmp"].map((name) => path.join(this.folder, "gateway", name));
    const env = {
      PATH: `${path.dirname(NODE)}${path.delimiter}${process.env.PATH}`, HOME, TMPDIR, NO_COLOR: "1",
      OPENCLAW_STATE_DIR: state, OPENCLAW_CONFIG_PATH: path.join(state, "openclaw.json"), OPENCLAW_NO_AUTO_UPDATE: "1",
    };
    return (await promisify(execFile)(NODE, [OPENCLAW, ...args], { env, cwd: this.folder })).stdout;
  }

  /** What the gateway has written into its logs since its start. */
  logs() {
    const folder = path.join(this.folder, "gateway");
    const files = fs.readdirSync(path.join(folder, "tmp")).filter((name) => name.endsWith(".log"));
    return ["gateway.log", ...files.map((name) => path.join("tmp", name))]
      .map((name) => fs.readFileSync(path.join(folder, name), "utf8")).join("\n");
  }

  #event(name) {
    return this.events.findLast(({ event }) => event === name);
  }

  isOver = () => this.#event("exited") !== undefined;

  async ready() {
    const { seconds } = await until("the gateway is ready", () => this.#event("ready") ?? this.#failIfOver(), 200_000);
    // It may have been started more than once.
    this.pid = this.#event("starting").pid;
    this.starts.push(seconds);
  }

  #failIfOver() {
    if (this.isOver()) throw new Error("the gateway ended before it was ready");
    return undefined;
  }

  async start(...more) {
    await this.launch(...more);
    await this.ready();
  }

  /** Like a power cut. */
  async kill() {
    process.kill(this.pid, "SIGKILL");
    await this.over();
  }

  /** Waits until the gateway's process is gone and returns how it ended. */
  async over() {
    await this.ended;
    return this.#event("exited");
  }

  async stop() {
    if (!this.script) return;
    this.script.stdin.end();
    await this.ended;
  }

  /** One turn of an agent; the stand-in model does what the message says. */
  async turn(message, session) {
    const body = { model: "openclaw", messages: [{ role: "user", content: message }] };
    const headers = { "content-type": "application/json", "x-openclaw-session-key": session };
    const answer = await this.request("POST", "/v1/chat/completions", body, { headers });
    return { status: answer.status, reply: answer.body.choices?.[0].message.content };
  }
}
