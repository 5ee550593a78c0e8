import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { Client, until } from "./client.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, "../../..");
const PROGRAM = path.resolve(HERE, "../mini-gateway.mjs");

export function temporaryFolder(name) {
  const parent = path.join(ROOT, ".local/tmp");
  fs.mkdirSync(parent, { recursive: true });
  return fs.mkdtempSync(path.join(parent, `${name}-`));
}

/** A mini gateway of a test's own, with a folder of its own. Both are gone when the test is over. */
export class Mini extends Client {
  static async start(t, { args = [], db = "journal.db", shell, arrange } = {}) {
    const folder = temporaryFolder("mini");
    const inFolder = (file) => path.join(folder, file);
    const mini = new Mini({ token: "t", ledger: inFolder("ledger.jsonl"), db: inFolder(db) });
    Object.assign(mini, { folder, args, shell });
    t.after(() => mini.#cleanUp());
    await arrange?.(mini);
    await mini.boot();
    return mini;
  }

  async boot() {
    const args = [PROGRAM, "--token", this.token, "--db", this.db, "--ledger", this.ledger, ...this.args];
    const command = this.shell ? ["bash", ["-c", `${this.shell}; exec "$@"`, "-", process.execPath, ...args]]
      : [process.execPath, args];
    this.child = spawn(...command, { stdio: ["pipe", "pipe", "pipe"] });
    this.child.stderr.setEncoding("utf8").on("data", (text) => (this.log = (this.log ?? "") + text));
    this.exited = new Promise((resolve) => this.child.once("exit", (code, signal) => resolve({ code, signal })));
    const ready = new Promise((resolve) => {
      readline.createInterface({ input: this.child.stdout }).once("line", resolve);
    });
    const line = await Promise.race([ready, this.exited]);
    if (typeof line !== "string") throw new Error(`the mini gateway did not start: ${this.log}`);
    this.port = Number(line.split(" ")[1]);
  }

  /** Kills it like a power cut: nothing is flushed, no connection is closed properly. */
  async kill() {
    this.child.kill("SIGKILL");
    await this.exited;
  }

  async restart() {
    await this.kill();
    await this.boot();
  }

  /** As a supervisor stops it: it drains. */
  terminate() {
    this.child.kill("SIGTERM");
    return this.exited;
  }

  async control(name, body = {}) {
    const { status, body: answer } = await this.request("POST", `/_test/${name}`, body);
    if (status !== 200) throw new Error(`control ${name}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** The lines of a conversation on disk, oldest first, read directly. */
  #lines(session) {
    const file = path.join(`${this.ledger}.sessions`, `${encodeURIComponent(session)}.jsonl`);
    const text = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
    return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  /** Writes a message directly into a conversation on disk. */
  say(session, message) {
    const file = path.join(`${this.ledger}.sessions`, `${encodeURIComponent(session)}.jsonl`);
    fs.appendFileSync(file, `${JSON.stringify({ message })}\n`);
  }

  transcript = (session) => this.#lines(session).flatMap(({ message }) => message ?? []);
  isOver = (session) => this.#lines(session).at(-1)?.end === true;

  hanging = (count) => until(`${count} requests hang`, async () => (await this.control("stats")).hanging === count);

  async #cleanUp() {
    if (this.child) await this.kill();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
