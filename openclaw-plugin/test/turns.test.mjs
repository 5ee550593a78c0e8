// Cases that only the mini gateway can be made to produce.
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { until } from "./support/client.mjs";
import { Mini } from "./support/mini.mjs";

const DAY_MS = 86_400_000;
const READ = "[[tool:ledger_read {}]]";
const append = (note) => `[[tool:ledger_append {"note":${JSON.stringify(note)}}]]`;

test("a gateway that runs tools around the hook is detected, and nothing more is sent to it", async (t) => {
  const gateway = await Mini.start(t);
  const end = await gateway.turnEnd(`${append("around the hook")} [[sleep:1]] [[pause:1]] [[say:done]]`);
  assert.deepEqual([end.state, end.error], ["failed", "turn_aborted"]);
  assert.equal((await gateway.canary()).body.fence, "broken");
  const { status, body } = await gateway.startTurn(gateway.key(), "[[say:next]]");
  assert.deepEqual([status, body.error.type], [503, "not_started"]);
  await gateway.restart();
  assert.equal((await gateway.canary()).body.fence, "holds");
});

test("another run in the session of an open turn may call no tool and is not recorded as the turn", async (t) => {
  const gateway = await Mini.start(t);
  const [key, session] = [gateway.key(), gateway.session()];
  await gateway.startTurn(key, "[[sleep:1]] [[say:done]]", { session });
  for (const run of ["announce:v1:child", "a-former-turn"]) {
    for (const tool of ["ledger_read", "ledger_append"]) {
      const { blocked } = await gateway.control("run", { run, session, call: `${run}.${tool}`, tool, args: {} });
      assert.ok(blocked);
    }
  }
  const end = await gateway.concluded(key);
  assert.deepEqual([end.state, end.reply, end.calls], ["finished", "done", []]);
  const rows = gateway.rows("SELECT turn, decision FROM proposals WHERE session = ?", session);
  assert.deepEqual(rows.map(({ turn, decision }) => [turn, decision]), Array(4).fill([null, "vetoed"]));
});

test("a turn cannot start a run in another session, even if that tool is listed as a read", async (t) => {
  const gateway = await Mini.start(t, { args: ["--reads", "ledger_read,sessions_spawn"] });
  const tools = ["ledger_read", "sessions_spawn"];
  const message = '[[tool:sessions_spawn {"task":"x"}]] [[tool:ledger_read {}]] [[say:done]]';
  const calls = (await gateway.turnEnd(message, { tools })).calls.map(({ tool, decision }) => [tool, decision]);
  assert.deepEqual(calls, [["sessions_spawn", "proposed"], ["ledger_read", "allowed"]]);
});

const DEEP = `${'{"a":'.repeat(70)}1${"}".repeat(70)}`;

test("arguments that nest too deeply are vetoed, recorded and counted", async (t) => {
  const gateway = await Mini.start(t);
  const end = await gateway.turnEnd(`[[tool:ledger_read ${DEEP}]] [[tool:ledger_append ${DEEP}]] [[say:done]]`);
  const calls = end.calls.map(({ tool, decision, args }) => [tool, decision, args]);
  assert.deepEqual(calls, [["ledger_read", "vetoed", null], ["ledger_append", "vetoed", null]]);
  assert.deepEqual(gateway.rows("SELECT attempts FROM turns").map(({ attempts }) => attempts), [2]);
  const elsewhere = { run: "r", session: "agent:main:wx:1", call: "c", tool: "ledger_read", args: JSON.parse(DEEP) };
  assert.match((await gateway.control("run", elsewhere)).reason, /^miniprogram-journal: not_allowed/);
});

test("a turn shows fifty calls at most and counts all", async (t) => {
  const gateway = await Mini.start(t);
  const end = await gateway.turnEnd(`[[parallel]] ${`${READ} `.repeat(60)} [[say:done]]`);
  assert.deepEqual([end.calls.length, end.calls_total, end.reply], [50, 60, "done"]);
});

test("the arguments of a turn fit into an answer, and proposals come first", async (t) => {
  const gateway = await Mini.start(t);
  const long = (at) => String(at).padStart(15_000, "\n");
  const reads = Array.from({ length: 12 }, (_, at) => `[[tool:ledger_read {"note":${JSON.stringify(long(at))}}]]`);
  const end = await gateway.turnEnd(`${reads.join(" ")} ${append("small")} ${append("x".repeat(40_000))} [[say:done]]`);
  assert.equal(end.calls.length, 14);
  const [small, large] = end.calls.slice(-2);
  assert.deepEqual([small.args, large.args], ['{"note":"small"}', null]);
  assert.ok(Buffer.byteLength(JSON.stringify(end)) < 400_000);
  assert.ok(end.calls.some(({ tool, args }) => tool === "ledger_read" && args === null));
});

test("an open turn shows the last eight things that it did", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  await gateway.startTurn(key, `${`${READ} `.repeat(6)} ${append("x")} [[pause:5]]`, { proposals: false });
  const { progress } = await gateway.turnShows(key, "a veto", (entry) => entry.progress.at(-2)?.state === "vetoed");
  assert.equal(progress.length, 8);
  assert.deepEqual(Object.keys(progress.at(-2)), ["at_ms", "what", "tool", "state"]);
  assert.equal((await gateway.abort(key)).body.entry.error, "turn_aborted");
});

test("a refusal that cannot pass ends a turn at once, and one that may pass does not", async (t) => {
  const gateway = await Mini.start(t);
  for (const code of ["FORBIDDEN", "INVALID_REQUEST", "NOT_PAIRED"]) {
    const { asked: before } = await gateway.control("stats");
    const { state, error } = await gateway.turnEnd(`[[refused:${code}]]`);
    assert.deepEqual([state, error], ["failed", "refused_by_gateway"], code);
    assert.equal((await gateway.control("stats")).asked, before + 1);
  }
  const { asked: before } = await gateway.control("stats");
  assert.equal((await gateway.turnEnd("[[refused:UNAVAILABLE]]")).state, "released");
  assert.equal((await gateway.control("stats")).asked, before + 5);
});

test("an agent that chose NO_REPLY before a crash has no reply after it", async (t) => {
  const gateway = await Mini.start(t);
  const [key, session] = [gateway.key(), gateway.session()];
  await gateway.startTurn(key, "[[gone]] [[sleep:5]]", { session });
  await until("the message was said", () => gateway.transcript(session).length === 1);
  await gateway.kill();
  gateway.say(session, { role: "assistant", content: [{ type: "text", text: "NO_REPLY" }], stopReason: "stop" });
  await gateway.boot();
  assert.equal((await gateway.outcome(key)).body.entry.state, "started");
  await gateway.control("clock", { offset_ms: 60_000 });
  assert.equal((await gateway.concluded(key)).error, "turn_lost");
});

test("a call with half of a surrogate pair in it is recorded as well-formed text", async (t) => {
  const gateway = await Mini.start(t);
  const call = { tool: "ledger_append", run: "r", session: "s", call: "1" };
  for (const args of ['{"note":"half \\ud83d"}', '{"note":{"$serde_json::private::RawValue":"1"}}', '{"__proto__":1}']) {
    const body = JSON.stringify({ ...call, args: "ARGS" }).replace('"ARGS"', args);
    assert.equal((await gateway.request("POST", "/_test/run", body)).body.blocked, true);
  }
  assert.deepEqual(gateway.rows("SELECT digest <> '' AS named, args, decision FROM proposals").map((row) => ({ ...row })), [
    { named: 1, args: '{"note":"half \ufffd"}', decision: "proposed" },
    { named: 1, args: null, decision: "vetoed" }, { named: 1, args: null, decision: "vetoed" },
  ]);
});

test("the session of a single turn is deleted after a day if no request deletes it", async (t) => {
  const gateway = await Mini.start(t);
  const [once, kept] = [`${gateway.session()}`.replace(/:([^:]*)$/, ":once.$1.0"), gateway.session()];
  for (const session of [once, kept]) await gateway.turnEnd("[[say:private]]", { session });
  await gateway.kill();
  const file = new DatabaseSync(gateway.db);
  file.prepare("UPDATE calls SET ended_ms = ?").run(Date.now() - 2 * DAY_MS);
  file.close();
  await gateway.boot();
  await until("the session is gone", () => gateway.transcript(once).length === 0);
  assert.equal(gateway.transcript(kept).length, 2);
  assert.equal(gateway.rows("SELECT * FROM turns WHERE session = ?", once).length, 0);
});

test("turns that a former process has left do not move the sequence when they end", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  await gateway.startTurn(key, "[[lost]] [[sleep:5]]");
  const { sequence } = (await gateway.health()).body;
  await gateway.restart();
  assert.equal((await gateway.concluded(key)).error, "turn_lost");
  assert.equal((await gateway.health()).body.sequence, sequence);
});

test("an overlong reply is cut by its length in JSON, so that the result stays below 64 KiB", async (t) => {
  const gateway = await Mini.start(t);
  for (const line of ['  let a = "b";\n', "\u0001\\", "\u5b57"]) {
    const text = line.repeat(4090 * 14 / line.length);
    const { state, reply, truncated } = await gateway.turnEnd(`[[say:${text}]]`);
    const bytes = Buffer.byteLength(JSON.stringify({ reply, truncated: true }));
    assert.deepEqual([state, truncated, text.startsWith(reply)], ["finished", true, true]);
    assert.ok(bytes <= 65_536 && bytes > 61_440, `${bytes}`);
  }
});
