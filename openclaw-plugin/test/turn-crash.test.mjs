// Turns of a killed gateway: each is resumed, lost or ended, and none runs twice.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { until } from "./support/client.mjs";
import { Mini } from "./support/mini.mjs";

const MINUTE_MS = 60_000;
const RUNS = "SELECT DISTINCT run FROM proposals WHERE turn = ?";
const APPEND = '[[tool:ledger_append {"note":"from a model"}]]';
const READ = "[[tool:ledger_read {}]]";
const SLOW = ["--reads", "ledger_read,ledger_sleep", "--guard", "ledger_append"];

const assertNoWrite = (gateway) => assert.ok(gateway.lines().every(({ op }) => op.startsWith("sleep_")));

/** How often the message of a key was sent to the agent, over all starts of the gateway. */
function timesTold(gateway, session, message) {
  return gateway.transcript(session).filter(({ role, content }) => role === "user" && content === message).length;
}

/** Kills the gateway in a turn once `reached` holds, and returns how the turn ended. */
async function cutOff(t, message, reached, { times = 1, args = SLOW, more = {} } = {}) {
  const gateway = await Mini.start(t, { args });
  const [key, session] = [gateway.key(), gateway.session()];
  const tools = ["ledger_read", "ledger_sleep"];
  await gateway.startTurn(key, message, { session, tools, ...more });
  for (let kill = 0; kill < times; kill += 1) {
    await until("the moment to kill it", () => reached(gateway, key));
    await gateway.restart();
    const { entry } = (await gateway.outcome(key)).body;
    assert.deepEqual([entry.state, entry.resumed], ["started", true]);
  }
  const end = await gateway.concluded(key);
  assert.equal(timesTold(gateway, session, message), 1);
  assertNoWrite(gateway);
  return { gateway, key, session, end };
}

const inModel = async (gateway) => (await gateway.control("stats")).model_calls > 0;
const called = (tool) => async (gateway, key) =>
  (await gateway.outcome(key)).body.entry.calls.some((call) => call.tool === tool && call.decision === "allowed");
const answered = async (gateway, key) =>
  (await gateway.outcome(key)).body.entry.calls.some(({ failed }) => failed === false);

test("a turn that is cut off in the model's call is resumed, not sent again", async (t) => {
  const { end } = await cutOff(t, `[[sleep:0.3]] ${READ} ${APPEND} [[say:done]]`, inModel);
  assert.deepEqual([end.state, end.reply, end.resumed], ["finished", "done", true]);
  assert.deepEqual(end.calls.map(({ decision }) => decision), ["allowed", "proposed"]);
});

test("a turn that is cut off in a tool is resumed, and its write is one proposal", async (t) => {
  const message = `${APPEND} [[tool:ledger_sleep {"ms":300}]] ${APPEND} [[say:done]]`;
  const { end } = await cutOff(t, message, called("ledger_sleep"));
  assert.deepEqual([end.state, end.reply], ["finished", "done"]);
  assert.equal(end.calls.filter(({ tool }) => tool === "ledger_append").length, 1);
});

test("a turn that is cut off between its tool and its reply goes on with the reply", async (t) => {
  const { gateway, key, end } = await cutOff(t, `${READ} [[pause:0.5]] [[say:done]]`, answered);
  assert.deepEqual([end.state, end.reply, end.calls_total], ["finished", "done", 1]);
  assert.equal(gateway.rows(RUNS, key).length, 1);
});

test("a turn that is interrupted again while it is being resumed is resumed again", async (t) => {
  const { end } = await cutOff(t, `[[sleep:0.3]] ${READ} [[say:done]]`, inModel, { times: 3 });
  assert.deepEqual([end.state, end.reply, end.calls_total], ["finished", "done", 1]);
});

test("a turn that had ended before its end was written is ended by its transcript", async (t) => {
  const ends = [
    ["[[sleep:0.2]] [[say:done]]", "finished", "done", null],
    ["[[sleep:0.2]] [[refuse]]", "failed", null, "model_refused"],
    ["[[sleep:0.2]] [[status:500]]", "failed", null, "model_failed"],
  ];
  for (const [message, ...expected] of ends) {
    const gateway = await Mini.start(t);
    const [key, session] = [gateway.key(), gateway.session()];
    await gateway.startTurn(key, message, { session });
    await gateway.whileLocked(async () => {
      await until("the run is over", () => gateway.isOver(session));
      await gateway.kill();
    });
    await gateway.boot();
    const end = await gateway.concluded(key);
    assert.deepEqual([end.state, end.reply, end.error], expected);
    assert.equal(timesTold(gateway, session, message), 1);
  }
});

test("a turn that the gateway gives up is lost at once, and its conversation is free", async (t) => {
  const { gateway, session, end } = await cutOff(t, `[[lost]] [[sleep:5]] ${READ}`, inModel);
  assert.deepEqual([end.state, end.error, end.reply], ["interrupted", "turn_lost", null]);
  assert.equal((await gateway.turnEnd("[[say:next]]", { session })).reply, "next");
});

test("a turn without any event is lost one minute after the gateway's start, not before", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  await gateway.startTurn(key, "[[gone]] [[sleep:5]] [[say:never]]", { timeout_ms: 10 * MINUTE_MS });
  await until("the model is asked", () => inModel(gateway));
  await gateway.restart();
  await gateway.outcome(key);
  await gateway.control("clock", { offset_ms: MINUTE_MS - 5000 });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.equal((await gateway.outcome(key)).body.entry.state, "started");
  await gateway.control("clock", { offset_ms: MINUTE_MS });
  const end = await gateway.concluded(key);
  assert.deepEqual([end.state, end.error], ["interrupted", "turn_lost"]);
});

test("a turn that the gateway neither resumes nor clears is lost at once, and its conversation continues", async (t) => {
  const { gateway, session, end } = await cutOff(t, `[[stuck]] [[sleep:5]] ${READ}`, inModel);
  assert.deepEqual([end.state, end.error], ["interrupted", "turn_lost"]);
  for (const before of [1, 2]) {
    const next = await gateway.turnEnd("[[remember]]", { session });
    assert.match(next.reply ?? next.error, new RegExp(`^${before} before: \\[\\[stuck\\]\\]`));
  }
});

test("the gateway's message about a session that it cannot resume is not a reply", async (t) => {
  const { gateway, session, end } = await cutOff(t, "[[exhausted]] [[sleep:5]]", inModel);
  assert.deepEqual([end.state, end.error, end.reply], ["interrupted", "turn_lost", null]);
  assert.equal((await gateway.turnEnd("[[say:next]]", { session })).reply, "next");
});

test("a conversation that the gateway did not clear continues after its turn is gone from the journal", async (t) => {
  const gateway = await Mini.start(t);
  const session = gateway.session();
  gateway.snapshot();
  await gateway.startTurn(gateway.key(), "[[stuck]] [[sleep:5]]", { session });
  await until("the model is asked", () => inModel(gateway));
  await gateway.kill();
  gateway.restoreSnapshot();
  await gateway.boot();
  await until("the gateway has given it up", () => gateway.isOver(session));
  assert.match((await gateway.turnEnd("[[remember]]", { session })).reply, /^1 before: /);
});

test("a lost turn answers every repeat that it is lost, and its key never runs again", async (t) => {
  const message = "[[lost]] [[sleep:5]]";
  const { gateway, key, session, end } = await cutOff(t, message, inModel);
  const { status, body } = await gateway.startTurn(key, message, { session, tools: ["ledger_read", "ledger_sleep"] });
  assert.deepEqual([status, body.entry], [410, end]);
  assert.equal(timesTold(gateway, session, message), 1);
});

test("the limits of a turn hold over a restart", async (t) => {
  const message = `[[loop]] [[tool:ledger_sleep {"ms":100}]]`;
  const { end } = await cutOff(t, message, called("ledger_sleep"), { more: { calls_at_most: 4 } });
  assert.equal(end.error, "calls_exhausted");
  assert.equal(end.calls.filter(({ decision }) => decision === "allowed").length, 4);
});

test("a resumed turn that takes too long is stopped", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  await gateway.startTurn(key, "[[sleep:3]] [[say:late]]", { timeout_ms: MINUTE_MS });
  await until("the model is asked", () => inModel(gateway));
  await gateway.restart();
  await until("it is resumed", () => inModel(gateway));
  await gateway.control("clock", { offset_ms: MINUTE_MS });
  const end = await gateway.concluded(key);
  assert.deepEqual([end.state, end.error, end.resumed], ["failed", "turn_timed_out", true]);
});

test("a run that continues after the end of its turn may call no tool", async (t) => {
  const gateway = await Mini.start(t);
  const session = gateway.session();
  await gateway.turnEnd("[[say:done]]", { session });
  for (const tool of ["ledger_read", "ledger_append", "exec"]) {
    const { blocked, reason } = await gateway.control("run", { run: "late", session, call: tool, tool, args: {} });
    assert.ok(blocked);
    assert.match(reason, /^miniprogram-journal: not_allowed/);
  }
  const rows = gateway.rows("SELECT turn, decision FROM proposals WHERE session = ?", session);
  assert.deepEqual(rows.map(({ turn, decision }) => [turn, decision]), Array(3).fill([null, "vetoed"]));
});

test("twenty kills at random moments never start a turn twice and never write", async (t) => {
  const gateway = await Mini.start(t, { args: ["--resume-after", "20"] });
  for (let round = 0; round < 20; round += 1) {
    const [key, session] = [gateway.key(), gateway.session()];
    const message = `${READ} ${APPEND} ${READ} [[say:done]]`;
    const answer = gateway.startTurn(key, message, { session }).then(() => "claimed", () => "lost");
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
    await gateway.restart();
    const first = await answer;
    const { status } = await gateway.startTurn(key, message, { session });
    assert.ok(first === "lost" || status !== 422);
    const told = timesTold(gateway, session, message);
    assert.ok(told <= 1);
    await gateway.control("clock", { offset_ms: MINUTE_MS });
    const end = await gateway.concluded(key);
    assert.ok(["finished", "interrupted"].includes(end.state), end.state);
    assert.ok(end.calls.filter(({ decision }) => decision === "proposed").length <= 1);
    assert.ok(timesTold(gateway, session, message) <= 1);
    await gateway.restart();
  }
  assertNoWrite(gateway);
});

test("a restored snapshot reports a new journal id instead of denying later turns", async (t) => {
  const gateway = await Mini.start(t);
  gateway.snapshot();
  const [key, session] = [gateway.key(), gateway.session()];
  const { journal, sequence } = (await gateway.startTurn(key, "[[say:done]]", { session })).body;
  await gateway.concluded(key);
  await gateway.kill();
  gateway.restoreSnapshot();
  await gateway.boot();
  for (const answer of [
    await gateway.startTurn(key, "[[say:done]]", { session, journal, sequence }),
    await gateway.abort(key, { journal, sequence: 0 }), await gateway.endSession(session, { journal, sequence: 0 }),
  ]) assert.deepEqual([answer.status, answer.body.error.type], [412, "other_journal"]);
  assert.equal(timesTold(gateway, session, "[[say:done]]"), 1);
});

test("a journal of the first schema keeps its calls and takes turns", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  const { entry } = (await gateway.append(key)).body;
  await gateway.kill();
  const file = new DatabaseSync(gateway.db);
  // What later schemas have added, taken away again.
  file.exec(`DROP INDEX calls_open; DROP INDEX proposals_turn; DROP TABLE turns; ALTER TABLE calls DROP COLUMN kind;
    ALTER TABLE proposals DROP COLUMN turn; ALTER TABLE proposals DROP COLUMN failed; PRAGMA user_version = 1;
    INSERT INTO proposals(run, session, call, tool, digest, args, decision, at_ms)
      VALUES('r', 's', 'c', 't', 'd', '{}', 'proposed', ${Date.now()})`);
  const { value: journal } = file.prepare("SELECT value FROM meta WHERE name = 'journal'").get();
  file.close();
  await gateway.boot();
  const again = await gateway.append(key);
  assert.deepEqual([again.status, again.body.entry, again.body.journal], [200, { ...entry, replayed: true }, journal]);
  assert.equal(gateway.rows("SELECT * FROM proposals")[0].turn, null);
  assert.equal((await gateway.turnEnd(`${READ} [[say:done]]`)).calls_total, 1);
  assert.equal(gateway.rows("PRAGMA user_version")[0].user_version, 3);
});
