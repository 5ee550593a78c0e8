import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "./support/client.mjs";
import { Mini } from "./support/mini.mjs";

const TOOLS = "/tools/invoke";

test("a call that the gateway did not start gives its key back", async (t) => {
  const gateway = await Mini.start(t);
  for (const [status, retryAfter] of [[401, null], [408, null], [429, "1"], [503, "1"]]) {
    const key = gateway.key();
    await gateway.control("next", { action: "status", status, path: TOOLS });
    const answer = await gateway.append(key);
    assert.deepEqual([answer.status, answer.body.error], [503, { type: "not_started", status }]);
    assert.equal(answer.headers.get("retry-after"), retryAfter);
    assert.equal((await gateway.outcome(key)).body.entry, null);
    await gateway.restart();
    assert.equal((await gateway.append(key)).body.entry.state, "finished");
    assert.deepEqual(gateway.effects(key), ["append"]);
  }
});

test("a call that was sent and not started leaves no row", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  await gateway.control("next", { action: "status", status: 503, path: TOOLS });
  assert.equal((await gateway.append(key, { wait: false })).status, 202);
  await until("the row is gone", async () => (await gateway.outcome(key)).body.entry === null);
  assert.equal((await gateway.append(key)).body.entry.replayed, false);
});

test("a key that cannot be given back yet blocks its call until it can", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  // The loopback call is answered in the moment in which the file is locked, so the claim stays on disk.
  await gateway.control("next", { action: "hang", path: TOOLS });
  assert.equal((await gateway.append(key, { wait: false })).status, 202);
  await until("the loopback call hangs", async () => (await gateway.control("stats")).counts[TOOLS] === 1);
  await gateway.whileLocked(async () => {
    await gateway.control("release", { status: 503 });
    const blocked = await until("the claim is to be given back", async () => {
      const { status, body } = await gateway.append(key);
      return status !== 202 && body;
    });
    assert.equal(blocked.error.type, "journal_unavailable");
  });
  assert.deepEqual(gateway.effects(key), []);
  assert.equal((await gateway.append(key)).body.entry.replayed, false);
  assert.deepEqual(gateway.effects(key), ["append"]);
});

test("a loopback call that dies is interrupted, whether or not the tool ran", async (t) => {
  const gateway = await Mini.start(t);
  for (const [action, effects] of [["reset_before", []], ["reset_after", ["append"]]]) {
    const key = gateway.key();
    await gateway.control("next", { action, path: TOOLS });
    for (const replayed of [false, true]) {
      const { status, body } = await gateway.append(key);
      assert.deepEqual([status, body.entry.state, body.entry.replayed], [410, "interrupted", replayed], action);
    }
    assert.deepEqual(gateway.effects(key), effects);
  }
});

test("what the gateway refuses is refused, what it may have run is finished", async (t) => {
  const gateway = await Mini.start(t);
  const refused = { 404: "refused", 405: "refused", 413: "refused" };
  const finished = { 400: "finished", 403: "finished", 500: "finished", 502: "finished" };
  for (const [status, state] of Object.entries({ ...refused, ...finished })) {
    const key = gateway.key();
    await gateway.control("next", { action: "status", status: Number(status), path: TOOLS });
    const { entry } = (await gateway.append(key)).body;
    assert.deepEqual([entry.state, entry.status], [state, Number(status)]);
    assert.equal((await gateway.append(key)).body.entry.replayed, true);
    assert.deepEqual(gateway.effects(key), []);
  }
});

test("an answer that is lost on its way is in the journal", async (t) => {
  const gateway = await Mini.start(t);
  for (const [action, replayed] of [["reset_before", false], ["reset_after", true]]) {
    const key = gateway.key();
    await gateway.control("next", { action });
    await assert.rejects(gateway.append(key), { message: "fetch failed" });
    assert.equal((await gateway.append(key)).body.entry.replayed, replayed);
    assert.deepEqual(gateway.effects(key), ["append"]);
  }
});

test("a result over the cap is dropped whole", async (t) => {
  const gateway = await Mini.start(t, { args: ["--result-cap", "200"] });
  const key = gateway.key();
  await gateway.append(key);
  const { entry } = (await gateway.outcome(key)).body;
  assert.deepEqual([entry.state, entry.status, entry.result, entry.truncated], ["finished", 200, null, true]);
});

test("faults are ordered by path and number, and requests are counted", async (t) => {
  const gateway = await Mini.start(t);
  await gateway.control("next", { action: "status", status: 503, count: 2 });
  await gateway.control("next", { action: "status", status: 429, path: "/miniprogram/v1/outcome" });
  const key = gateway.key();
  assert.deepEqual([(await gateway.append(key)).status, (await gateway.append(key)).status], [503, 503]);
  assert.equal((await gateway.append(key)).status, 200);
  assert.equal((await gateway.outcome(key)).status, 429);
  const { counts } = await gateway.control("stats");
  assert.deepEqual(counts, { "/miniprogram/v1/invoke": 3, "/tools/invoke": 1, "/miniprogram/v1/outcome": 1 });
});

test("a request that hangs has not been handled", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  await gateway.control("next", { action: "hang" });
  const signal = AbortSignal.timeout(100);
  const call = { key, tool: "ledger_append", args: { note: key } };
  await assert.rejects(gateway.invoke(call, { signal }), { name: "TimeoutError" });
  assert.equal((await gateway.outcome(key)).body.entry, null);
  assert.equal((await gateway.append(key)).body.entry.replayed, false);
});

test("a gateway that drains answers 503 and runs nothing", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  await gateway.control("drain", { on: true });
  const { status, body } = await gateway.append(key);
  assert.deepEqual([status, body.error.code], [503, "gateway_unavailable"]);
  assert.equal((await gateway.request("GET", "/readyz")).status, 503);
  assert.equal((await gateway.request("GET", "/healthz")).status, 200);
  await gateway.control("drain", { on: false });
  assert.equal((await gateway.append(key)).body.entry.replayed, false);
});

test("time is the plugin's own, so a deadline can pass at once", async (t) => {
  const gateway = await Mini.start(t);
  await gateway.control("clock", { offset_ms: 120_000 });
  const deadline = Date.now() + 60_000;
  assert.equal((await gateway.append(gateway.key(), { not_after: deadline })).body.entry.state, "revoked");
  await gateway.control("clock", { offset_ms: 0 });
  assert.equal((await gateway.append(gateway.key(), { not_after: deadline })).body.entry.state, "finished");
});
