// Events between two steps of the journal, with a fake gateway that answers when the test says so.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { clock } from "../clock.js";
import { Journal } from "../journal.js";
import { TurnRunner } from "../turn-run.js";
import { abortTurn, endSession, startTurn } from "../turns.js";
import { until } from "./support/client.mjs";
import { temporaryFolder } from "./support/mini.mjs";

const DAY_MS = 86_400_000;
const BUSY = [503, { type: "busy", of: "session" }];
const sessionOf = (name) => `agent:main:miniprogram:u:${name}`;

/** The requests to the gateway, and its pending responses. */
class Held {
  asked = [];
  #owed = [];

  ask = (what) => {
    this.asked.push(what);
    return new Promise((resolve, reject) => this.#owed.push({ resolve, reject }));
  };
  answer = (value) => this.#owed.shift().resolve(value);
  fail = (why) => this.#owed.shift().reject(new Error(why));
  times = (count) => until(`the gateway is asked ${count} times`, () => this.asked.length === count);
}

/** Turns on a fake gateway that accepts every run and ends none until the test does. */
function arranged(t, own) {
  const folder = temporaryFolder("races");
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, "journal.db");
  const journal = new Journal({ file, retentionMs: 30 * DAY_MS, resultCap: 65_536, log: () => {} });
  const sent = [];
  const gateway = {
    outside: (work) => work(), wait: () => new Promise(() => {}), messages: async () => [], forget: async () => true,
    run: async ({ idempotencyKey: runId }) => (sent.push(runId), { runId }), stop: async () => true,
    isStuck: async () => false, free: async () => {}, ...own,
  };
  const runner = new TurnRunner(journal.book, gateway, () => {});
  const turns = { journal, book: journal.book, runner };
  const start = (key, session) => startTurn(turns, {
    key, session, agent: "main", message: "hello", tools: [], proposals: false, at_most: 9, calls_at_most: 9,
    timeout_ms: 60_000,
  });
  /** A turn that has ended. */
  const done = (key, session) => {
    assert.equal(start(key, session).status, 202);
    journal.book.settle(journal.book.ofSession(session), { state: "finished", reply: "done" });
  };
  return { journal, runner, turns, sent, start, done, end: (session) => endSession(turns, { session }) };
}

const said = ({ status, body }) => [status, body.error];

test("no turn begins in a session that is being deleted, however often that is tried", async (t) => {
  const forget = new Held();
  const { journal, start, done, end } = arranged(t, { forget: forget.ask });
  const session = sessionOf("c");
  done("before", session);
  // The caller has disconnected long before this responds.
  const ended = end(session);
  assert.deepEqual(said(start("early", session)), BUSY);
  forget.fail("still at work");
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(said(start("early", session)), BUSY, "between two attempts");
  await forget.times(2);
  assert.deepEqual(said(start("early", session)), BUSY, "in the second attempt");
  assert.equal(journal.find("early"), undefined, "nothing was claimed");
  assert.equal(start("before", session).body.entry.state, "finished", "what is known is still told");
  assert.equal(start("elsewhere", sessionOf("other")).status, 202);
  forget.answer(true);
  assert.deepEqual((await ended).body, { ended: true });
  assert.equal(start("early", session).status, 202);
  assert.deepEqual(forget.asked, [session, session]);
});

test("a deletion that is asked for again is the same one, and the session is shut until it is over", async (t) => {
  const forget = new Held();
  const { start, end } = arranged(t, { forget: forget.ask });
  const session = sessionOf("c");
  const ended = Promise.all([end(session), end(session)]);
  assert.deepEqual(forget.asked, [session]);
  forget.answer(true);
  assert.deepEqual((await ended).map(({ body }) => body), [{ ended: true }, { ended: true }]);
  assert.equal(start("next", session).status, 202);
});

test("a session that the gateway does not delete takes turns again", async (t) => {
  const { start, end } = arranged(t, { forget: () => Promise.reject(new Error("still at work")) });
  const session = sessionOf("c");
  assert.deepEqual(said(await end(session)), [503, { type: "not_started", status: null }]);
  assert.equal(start("next", session).status, 202);
  assert.deepEqual(said(await end(session)), BUSY);
});

test("an expired session is not deleted if a turn has started in it meanwhile", async (t) => {
  const forget = new Held();
  const { runner, start, done } = arranged(t, { forget: forget.ask });
  const [first, second, third] = ["once.1", "once.2", "once.3"].map(sessionOf);
  t.after(() => (clock.now = Date.now));
  for (const session of [first, second, third]) done(`old.${session.at(-1)}`, session);
  clock.now = () => Date.now() + 2 * DAY_MS;
  const swept = runner.sweep();
  await forget.times(1);
  assert.deepEqual(said(start("early", first)), BUSY);
  assert.equal(start("next", second).status, 202);
  forget.answer(true);
  await forget.times(2);
  assert.deepEqual(forget.asked, [first, third]);
  forget.answer(true);
  await swept;
});

test("a turn that is stopped before it was sent is not sent", async (t) => {
  const free = new Held();
  const { turns, sent, start } = arranged(t, { free: free.ask });
  assert.equal(start("stopped", sessionOf("c")).status, 202);
  const aborted = abortTurn(turns, { key: "stopped" });
  free.answer();
  const { state, error } = (await aborted).body.entry;
  assert.deepEqual([state, error, sent], ["failed", "turn_aborted", []]);
});

test("a turn that is stopped after it was not accepted is not sent again", async (t) => {
  const run = new Held();
  const { turns, start } = arranged(t, { run: ({ idempotencyKey }) => run.ask(idempotencyKey) });
  assert.equal(start("stopped", sessionOf("c")).status, 202);
  await run.times(1);
  run.fail("not now");
  await new Promise((resolve) => setImmediate(resolve));
  const { state, error } = (await abortTurn(turns, { key: "stopped" })).body.entry;
  assert.deepEqual([state, error, run.asked], ["failed", "turn_aborted", ["stopped"]]);
});

test("a stopped turn that the gateway runs although its answer was lost is not over before its run", async (t) => {
  const [run, wait, session] = [new Held(), new Held(), sessionOf("c")];
  const { turns, runner, start } = arranged(t, {
    run: ({ idempotencyKey }) => run.ask(idempotencyKey), wait: ({ runId }) => wait.ask(runId),
  });
  assert.equal(start("stopped", session).status, 202);
  await run.times(1);
  runner.heard({ sessionKey: session, runId: "stopped", stream: "lifecycle", data: { phase: "start" } });
  run.fail("the answer was lost");
  await new Promise((resolve) => setImmediate(resolve));
  const aborted = abortTurn(turns, { key: "stopped" });
  await run.times(2);
  run.answer({ runId: "stopped" });
  await wait.times(1);
  assert.equal(turns.book.ofSession(session).stopping, "turn_aborted");
  wait.answer({ status: "error", endedAt: 1 });
  const { state, error } = (await aborted).body.entry;
  assert.deepEqual([state, error, wait.asked], ["failed", "turn_aborted", ["stopped"]]);
});
