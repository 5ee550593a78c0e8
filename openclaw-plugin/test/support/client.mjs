import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { DatabaseSync } from "node:sqlite";

const BASE = "/miniprogram/v1";
const POLL_MS = 10;
// The first turn after a real gateway's start takes seven seconds or more.
const TURN_MS = 60_000;

/** Polls until `probe` returns something truthy. A condition that never comes true is a failure, not a hang. */
export async function until(what, probe, timeoutMs = 10_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** A worker's view of a gateway, real or not, and of the ledger that shows which tools really ran. */
export class Client {
  constructor({ token, ledger, db }) {
    Object.assign(this, { token, ledger, db });
  }

  /** `{status, headers, body}`; the body is parsed when it is JSON. */
  async request(method, path, body, { token = this.token, signal, headers = {} } = {}) {
    const sent = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, {
      method, signal, body: sent, headers: { authorization: `Bearer ${token}`, ...headers },
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json");
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  }

  invoke = (call, options) => this.request("POST", `${BASE}/invoke`, call, options);
  outcome = (key, more) => this.request("POST", `${BASE}/outcome`, { key, ...more });
  revoke = (key, more) => this.request("POST", `${BASE}/revoke`, { key, ...more });
  forget = (...keys) => this.request("POST", `${BASE}/forget`, { keys });
  canary = (more = {}) => this.request("POST", `${BASE}/canary`, more);
  health = () => this.request("GET", `${BASE}/health`);
  direct = (call) => this.request("POST", "/tools/invoke", call);

  append = (key, more) => this.invoke({ key, tool: "ledger_append", args: { note: key }, ...more });
  sleep = (key, ms, more) => this.invoke({ key, tool: "ledger_sleep", args: { ms, note: key }, ...more });

  /** A key that no other test uses. */
  key = () => `u.${randomUUID()}.0.0.0`;

  lines() {
    const text = fs.existsSync(this.ledger) ? fs.readFileSync(this.ledger, "utf8") : "";
    return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  /** The effects of the tool calls of a key, oldest first. */
  effects(key) {
    const isOfKey = (id) => id === `http-direct-operator-${key}` || id.startsWith(`http-direct-operator-${key}~`);
    return this.lines().filter((line) => isOfKey(line.toolCallId)).map((line) => line.op);
  }

  /** Rows of the journal's file, read directly. */
  rows(sql, ...values) {
    const file = new DatabaseSync(this.db, { readOnly: true });
    try {
      return file.prepare(sql).all(...values);
    } finally {
      file.close();
    }
  }

  /** A backup of the journal's file as it is now. */
  snapshot() {
    const copy = `${this.db}.snapshot`;
    fs.rmSync(copy, { force: true });
    const file = new DatabaseSync(this.db);
    file.prepare("VACUUM INTO ?").run(copy);
    file.close();
  }

  /** Puts the backup in the place of the file. The gateway must be down. */
  restoreSnapshot() {
    for (const suffix of ["-wal", "-shm"]) fs.rmSync(this.db + suffix, { force: true });
    fs.copyFileSync(`${this.db}.snapshot`, this.db);
  }

  /** Runs `work` while another process holds the write lock of the journal's file. */
  async whileLocked(work) {
    const file = new DatabaseSync(this.db);
    file.exec("BEGIN IMMEDIATE");
    try {
      return await work();
    } finally {
      file.exec("ROLLBACK");
      file.close();
    }
  }

  /** A conversation that no other test uses, of an agent. */
  session = (agent = "main") => `agent:${agent}:miniprogram:00000000-0000-4000-8000-000000000000:${randomUUID()}`;

  /** Starts a turn in a session of its own, if `more` names none. */
  startTurn(key, message, more = {}) {
    const limits = { at_most: 100, calls_at_most: 100, timeout_ms: 120_000 };
    const session = more.session ?? this.session();
    const call = { key, session, agent: "main", message, tools: ["ledger_read"], proposals: true, ...limits, ...more };
    return this.request("POST", `${BASE}/turns`, call);
  }

  abort = (key, more) => this.request("POST", `${BASE}/abort`, { key, ...more });
  endSession = (session, more) => this.request("POST", `${BASE}/end-session`, { session, ...more });

  /** The end of a turn that is started now. */
  async turnEnd(message, more) {
    const key = this.key();
    const { status, body } = await this.startTurn(key, message, more);
    if (status !== 202) throw new Error(`the turn was answered ${status}: ${JSON.stringify(body)}`);
    return this.concluded(key, TURN_MS);
  }

  /** Polls an open turn until what it shows is as `probe` wants it. */
  turnShows = (key, what, probe) => until(`the turn shows ${what}`, async () => {
    const { entry } = (await this.outcome(key)).body;
    return probe(entry) && entry;
  }, TURN_MS);

  started = (key) => until(`the tool of ${key} has started`, () => this.effects(key).length > 0);

  released = (key) => until(`the call of ${key} was given back`, async () => {
    const { entry } = (await this.outcome(key)).body;
    return entry?.state === "released" && entry;
  });

  concluded(key, timeoutMs) {
    const probe = async () => {
      const { entry } = (await this.outcome(key)).body;
      return entry?.state !== "started" && entry;
    };
    return until(`the call of ${key} has ended`, probe, timeoutMs);
  }
}
