import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "./support/client.mjs";
import { Mini } from "./support/mini.mjs";

const TOOLS = "/tools/invoke";
const ROWS = "SELECT state, digest, boot FROM calls WHERE key = ?";

/** Sends a call that the gateway does not start, and returns the entry that it leaves. */
async function releasedCall(gateway, key) {
  await gateway.control("next", { action: "status", status: 503, path: TOOLS });
  assert.equal((await gateway.append(key, { wait: false })).status, 202);
  return gateway.released(key);
}

test("a call that the gateway did not start releases its key", async (t) => {
  const gateway = await Mini.start(t);
  for (const [status, retryAfter] of [[401, null], [408, null], [429, "1"], [503, "1"]]) {
    const key = gateway.key();
    await gateway.control("next", { action: "status", status, path: TOOLS });
    const answer = await gateway.append(key);
    assert.deepEqual([answer.status, answer.body.error], [503, { type: "not_started", status }]);
    assert.equal(answer.headers.get("retry-after"), retryAfter);
    assert.equal((await gateway.outcome(key)).body.entry.state, "released");
    await gateway.restart();
    assert.equal((await gateway.outcome(key)).body.entry.state, "released");
    assert.equal((await gateway.append(key)).body.entry.state, "finished");
    assert.deepEqual(gateway.effects(key), ["append"]);
  }
});

test("a call that was sent and not started is released, and says so", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  const { started_ms: started, ended_ms: ended, ...entry } = await releasedCall(gateway, key);
  assert.deepEqual(entry, {
    key, kind: "call", tool: "ledger_append", state: "released", status: null, result: null, truncated: false,
    omitted: null, replayed: true,
  });
  assert.ok(started <= ended);
  assert.deepEqual(gateway.effects(key), []);
});

test("a released key that is sent again runs once, as a call of its own", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  await releasedCall(gateway, key);
  await gateway.restart();
  await gateway.control("clock", { offset_ms: 60_000 });
  const { sequence } = await gateway.health().then(({ body }) => body);
  const { status, body } = await gateway.append(key);
  assert.deepEqual([status, body.entry.state, body.entry.replayed], [200, "finished", false]);
  assert.equal(body.sequence, sequence + 2);
  assert.ok(body.entry.started_ms > Date.now() + 30_000 && body.entry.ended_ms >= body.entry.started_ms);
  assert.equal(gateway.rows(ROWS, key)[0].boot, body.boot);
  assert.deepEqual((await gateway.append(key)).body.entry, { ...body.entry, replayed: true });
  assert.deepEqual(gateway.effects(key), ["append"]);
});

test("a released key may be released again and again", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  for (let round = 0; round < 3; round += 1) await releasedCall(gateway, key);
  assert.equal((await gateway.append(key)).body.entry.state, "finished");
  assert.deepEqual(gateway.effects(key), ["append"]);
});

test("a released key that is claimed again and cut off is interrupted", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  await gateway.control("next", { action: "status", status: 503, path: TOOLS });
  assert.equal((await gateway.sleep(key, 60_000)).status, 503);
  const again = await gateway.sleep(key, 60_000, { wait: false });
  assert.deepEqual([again.status, again.body.entry.ended_ms], [202, null]);
  await gateway.started(key);
  await gateway.restart();
  const { status, body } = await gateway.sleep(key, 60_000);
  assert.deepEqual([status, body.entry.state, body.entry.ended_ms], [410, "interrupted", null]);
  assert.deepEqual(gateway.effects(key), ["sleep_start"]);
});

test("eight callers who claim a released key again cause one effect", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  await gateway.control("next", { action: "status", status: 503, path: TOOLS });
  assert.equal((await gateway.sleep(key, 200)).status, 503);
  const answers = await Promise.all(Array.from({ length: 8 }, () => gateway.sleep(key, 200)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(7).fill(202)]);
  assert.deepEqual(gateway.effects(key), ["sleep_start", "sleep_end"]);
});

test("a released key still belongs to its tool and arguments", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  await releasedCall(gateway, key);
  for (const other of [{ tool: "ledger_append_once" }, { args: { note: "other" } }, { args: {}, not_after: 1 }]) {
    const { status, body } = await gateway.append(key, other);
    assert.deepEqual([status, body.error.type], [422, "key_reused"]);
  }
  assert.equal((await gateway.outcome(key)).body.entry.state, "released");
  assert.deepEqual(gateway.effects(key), []);
});

test("a released key can be revoked, by name or by a call that comes too late", async (t) => {
  const gateway = await Mini.start(t);
  for (const take of [(key) => gateway.revoke(key), (key) => gateway.append(key, { not_after: 1 })]) {
    const key = gateway.key();
    await releasedCall(gateway, key);
    const { status, body } = await take(key);
    assert.deepEqual([status, body.entry.state, body.entry.replayed], [200, "revoked", false]);
    await gateway.restart();
    for (const { body: late } of [await gateway.append(key), await gateway.revoke(key), await gateway.outcome(key)]) {
      assert.deepEqual(late.entry, { ...body.entry, replayed: true });
    }
    assert.deepEqual(gateway.effects(key), []);
  }
});

test("a released key that is forgotten never runs, whether it was forgotten before or after", async (t) => {
  const gateway = await Mini.start(t);
  const [before, after] = [gateway.key(), gateway.key()];
  await releasedCall(gateway, after);
  assert.equal((await gateway.forget(after)).body.forgotten, 1);
  await gateway.control("next", { action: "hang", path: TOOLS });
  await gateway.append(before, { wait: false });
  await gateway.hanging(1);
  assert.equal((await gateway.forget(before)).body.forgotten, 1);
  await gateway.control("release", { status: 503 });
  await gateway.released(before);
  for (const key of [before, after]) {
    assert.deepEqual(gateway.rows(ROWS, key).map(({ state, digest }) => [state, digest]), [["released", null]]);
    for (const more of [{}, { args: { note: "other" } }, { not_after: 1 }]) {
      const { status, body } = await gateway.append(key, more);
      assert.deepEqual([status, body.entry.state, body.entry.replayed], [200, "released", true]);
    }
    assert.equal((await gateway.revoke(key)).body.entry.state, "revoked");
    assert.deepEqual(gateway.effects(key), []);
  }
});

test("a key that cannot be released yet blocks its call until it can be", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  // The loopback call is answered while the file is locked, so the release cannot be written and the claim stays on disk.
  await gateway.control("next", { action: "hang", path: TOOLS });
  assert.equal((await gateway.append(key, { wait: false })).status, 202);
  await gateway.hanging(1);
  await gateway.whileLocked(async () => {
    await gateway.control("release", { status: 503 });
    const blocked = await until("the claim is to be given back", async () => {
      const { status, body } = await gateway.append(key);
      return status !== 202 && body;
    });
    assert.equal(blocked.error.type, "journal_unavailable");
    assert.equal((await gateway.revoke(key)).body.error.type, "journal_unavailable");
    assert.equal((await gateway.outcome(key)).body.entry.state, "released");
    assert.equal(gateway.rows(ROWS, key)[0].state, "started");
  });
  assert.deepEqual(gateway.effects(key), []);
  assert.equal((await gateway.append(key)).body.entry.replayed, false);
  assert.deepEqual(gateway.effects(key), ["append"]);
});

test("a release that could not be written is written later, or lost with its process", async (t) => {
  const gateway = await Mini.start(t);
  for (const cut of [false, true]) {
    const key = gateway.key();
    await gateway.control("next", { action: "hang", path: TOOLS });
    await gateway.append(key, { wait: false });
    await gateway.hanging(1);
    await gateway.whileLocked(async () => {
      await gateway.control("release", { status: 503 });
      await gateway.released(key);
      if (cut) await gateway.kill();
    });
    if (cut) await gateway.boot();
    else await until("the release is on disk", () => gateway.rows(ROWS, key)[0].state === "released");
    assert.equal((await gateway.outcome(key)).body.entry.state, cut ? "interrupted" : "released");
    assert.deepEqual(gateway.effects(key), []);
  }
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

test("a call that the gateway refused is `refused`, one that it may have run is `finished`", async (t) => {
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
