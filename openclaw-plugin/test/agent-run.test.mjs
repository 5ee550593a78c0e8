import assert from "node:assert/strict";
import { test } from "node:test";
import { Mini } from "./support/mini.mjs";

const run = { run: "run-1", session: "agent:main:wx:1", call: "call-1" };

test("a write in an agent run does not run and becomes a proposal", async (t) => {
  const gateway = await Mini.start(t);
  for (const tool of ["ledger_append", "ledger_delete", "miniprogram_canary", "exec", "web_fetch"]) {
    const { blocked, reason } = await gateway.control("run", { ...run, tool, args: { note: tool } });
    assert.equal(blocked, true);
    assert.match(reason, /^miniprogram-journal: proposal_recorded/);
  }
  assert.deepEqual(gateway.lines(), []);
  const [row] = gateway.rows("SELECT * FROM proposals ORDER BY id");
  assert.deepEqual([row.run, row.session, row.call], [run.run, run.session, run.call]);
  assert.deepEqual([row.tool, row.args, row.decision], ["ledger_append", '{"note":"ledger_append"}', "proposed"]);
  assert.match(row.digest, /^[0-9a-f]{64}$/);
  assert.equal(gateway.rows("SELECT * FROM proposals").length, 5);
});

test("a listed read passes in an agent run and is recorded", async (t) => {
  const gateway = await Mini.start(t);
  const { blocked, result } = await gateway.control("run", { ...run, tool: "ledger_read", args: {} });
  assert.deepEqual([blocked, result.details.total], [false, 0]);
  const rows = gateway.rows("SELECT tool, decision FROM proposals");
  assert.deepEqual(rows.map((row) => [row.tool, row.decision]), [["ledger_read", "allowed"]]);
});

test("a ticket of the route permits no call inside an agent run", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  await gateway.sleep(key, 300, { wait: false });
  await gateway.started(key);
  const call = gateway.lines()[0].toolCallId;
  const stolen = { ...run, call, tool: "ledger_sleep", args: { ms: 300, note: key } };
  const { blocked } = await gateway.control("run", stolen);
  assert.equal(blocked, true);
  await gateway.concluded(key);
});

test("a write that is listed as a read by mistake is still a write", async (t) => {
  const gateway = await Mini.start(t, { args: ["--reads", "ledger_read,ledger_append,miniprogram_canary"] });
  assert.deepEqual((await gateway.health()).body.reads, ["ledger_read"]);
  for (const tool of ["ledger_append", "miniprogram_canary"]) {
    assert.equal((await gateway.control("run", { ...run, tool, args: { note: "x" } })).blocked, true);
  }
});

test("while the journal cannot be written not even a read passes in an agent run", async (t) => {
  const gateway = await Mini.start(t);
  await gateway.whileLocked(async () => {
    const { blocked, reason } = await gateway.control("run", { ...run, tool: "ledger_read" });
    assert.equal(blocked, true);
    assert.match(reason, /^miniprogram-journal: journal_unavailable/);
  });
  assert.equal((await gateway.control("run", { ...run, tool: "ledger_read" })).blocked, false);
});

test("large arguments of a proposal are known by their digest only", async (t) => {
  const gateway = await Mini.start(t);
  await gateway.control("run", { ...run, tool: "ledger_append", args: { note: "x".repeat(40_000) } });
  const [row] = gateway.rows("SELECT * FROM proposals");
  assert.equal(row.args, null);
  assert.match(row.digest, /^[0-9a-f]{64}$/);
});

test("agent runs do not move the sequence, or they would hide that a snapshot was restored", async (t) => {
  const gateway = await Mini.start(t);
  const { journal } = (await gateway.health()).body;
  gateway.snapshot();
  await gateway.append(gateway.key());
  const { sequence } = (await gateway.health()).body;
  await gateway.kill();
  gateway.restoreSnapshot();
  await gateway.boot();
  for (let call = 0; call < 5; call += 1) await gateway.control("run", { ...run, tool: "ledger_append" });
  assert.equal(gateway.rows("SELECT * FROM proposals").length, 5);
  assert.equal((await gateway.outcome(gateway.key(), { journal, sequence })).status, 412);
});
