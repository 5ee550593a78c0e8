/** The real service with the mini gateway, in a process that ends with this one: `tests/examples/console-stand.rs`. */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";

export type Role = "viewer" | "approver" | "admin";

interface Ready {
  url: string;
  tokens: Record<Role, string>;
}

export class Stand {
  readonly url: string;
  readonly tokens: Record<Role, string>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcessWithoutNullStreams, lines: AsyncIterator<string>, ready: Ready) {
    this.#child = child;
    this.#lines = lines;
    this.url = ready.url;
    this.tokens = ready.tokens;
  }

  static async start(): Promise<Stand> {
    const program = process.env["CONSOLE_STAND"];
    if (!program) throw new Error("CONSOLE_STAND names no program: run scripts/dev/console.sh");
    const child = spawn(program, [], { stdio: ["pipe", "pipe", "pipe"] });
    let said = "";
    child.stderr.on("data", (text: Buffer) => { said = (said + String(text)).slice(-4000); });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.done) throw new Error(`the service does not start: ${said}`);
    return new Stand(child, lines, JSON.parse(first.value) as Ready);
  }

  /** Causes a state that no client can cause, and waits for it. */
  async order(what: string): Promise<void> {
    this.#child.stdin.write(`${what}\n`);
    const answer = await this.#lines.next();
    if (answer.value !== "ok") throw new Error(`${what}: ${String(answer.value)}`);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin.end();
    await ended;
  }

  /** A user of the Mini Program, logged in. */
  async user(name: string): Promise<User> {
    const { token, user_id } = await this.#post("/v1/sessions", {}, { code: `dev-${name}` });
    return new User(this.url, String(token), String(user_id));
  }

  async #post(path: string, headers: Record<string, string>, body: object): Promise<Record<string, unknown>> {
    const answer = await fetch(this.url + path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Record<string, unknown>;
  }
}

export interface SeenJob {
  request_id: string;
  status: string;
  support_code: string;
  error?: { code: string };
  approval?: { digest: string; arguments: Record<string, unknown> };
  resolution?: { by: string; happened: boolean };
}

export class User {
  readonly url: string;
  readonly token: string;
  readonly id: string;

  constructor(url: string, token: string, id: string) {
    this.url = url;
    this.token = token;
    this.id = id;
  }

  async submit(tool: string, args: object, more: object = {}): Promise<SeenJob> {
    const answer = await fetch(`${this.url}/v1/jobs`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.token}`, "content-type": "application/json", "idempotency-key": uuid7() },
      body: JSON.stringify({ tool, arguments: args, ...more }),
    });
    if (!answer.ok) throw new Error(`${tool}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as SeenJob;
  }

  /** Submits a payment that an operator has to approve. `withinS`: it starts within this time, so the approval request expires then. */
  async asksToPay(amount: number, note: string, withinS?: number): Promise<SeenJob> {
    const more = withinS === undefined ? {} : { not_after: new Date(Date.now() + withinS * 1000).toISOString() };
    return this.submit("ledger_pay", { amount, note }, more);
  }

  async job(id: string): Promise<SeenJob> {
    const answer = await fetch(`${this.url}/v1/jobs/${id}`, { headers: { authorization: `Bearer ${this.token}` } });
    return (await answer.json()) as SeenJob;
  }

  /** Polls until the job meets a condition. */
  async until(id: string, status: string, withinMs = 20_000): Promise<SeenJob> {
    const end = Date.now() + withinMs;
    for (;;) {
      const job = await this.job(id);
      if (job.status === status) return job;
      if (Date.now() > end) throw new Error(`the job is ${job.status}, not ${status}: ${JSON.stringify(job)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** A request id: a UUID whose first 48 bits are the time. */
function uuid7(): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
