import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "./support/client.mjs";
import { Mini } from "./support/mini.mjs";

test("a tool that is cut off is interrupted and never runs again", async (t) => {
  const gateway = await Mini.start(t);
  for (const wait of [true, false]) {
    const key = gateway.key();
    const call = gateway.sleep(key, 60_000, { wait }).catch(() => "lost");
    await gateway.started(key);
    await gateway.restart();
    await call;
    for (let repeat = 0; repeat < 3; repeat += 1) {
      const { status, body } = await gateway.sleep(key, 60_000, { wait });
      assert.deepEqual([status, body.entry.state, body.entry.replayed], [410, "interrupted", true]);
    }
    assert.equal((await gateway.outcome(key)).body.entry.state, "interrupted");
    assert.equal((await gateway.revoke(key)).body.entry.state, "interrupted");
    assert.deepEqual(gateway.effects(key), ["sleep_start"]);
  }
});

test("an answer that was given survives a power cut", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  const first = (await gateway.append(key)).body;
  await gateway.restart();
  const { status, body } = await gateway.append(key, { journal: first.journal, sequence: first.sequence });
  assert.deepEqual([status, body.entry], [200, { ...first.entry, replayed: true }]);
  assert.equal(body.journal, first.journal);
  assert.notEqual(body.boot, first.boot);
  assert.deepEqual(gateway.effects(key), ["append"]);
});

test("a revoked key stays revoked over a power cut", async (t) => {
  const gateway = await Mini.start(t);
  const [revoked, late] = [gateway.key(), gateway.key()];
  await gateway.revoke(revoked);
  await gateway.append(late, { not_after: 1 });
  await gateway.restart();
  for (const key of [revoked, late]) {
    assert.equal((await gateway.append(key)).body.entry.state, "revoked");
    assert.deepEqual(gateway.effects(key), []);
  }
});

test("twenty power cuts at random moments never cause a second effect or a false answer", async (t) => {
  const gateway = await Mini.start(t);
  for (let round = 0; round < 20; round += 1) {
    const key = gateway.key();
    const answer = gateway.append(key).then(({ body }) => body.entry.state, () => "lost");
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 12));
    await gateway.restart();
    const seen = await answer;
    const { state } = (await gateway.append(key)).body.entry;
    assert.ok(seen === "lost" || seen === state, `${seen} became ${state}`);
    assert.ok(gateway.effects(key).length <= 1);
    if (state === "finished") assert.equal(gateway.effects(key).length, 1);
  }
});

test("an outcome that could not be written before a power cut is interrupted", async (t) => {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  const call = gateway.sleep(key, 100);
  await gateway.started(key);
  await gateway.whileLocked(async () => {
    assert.equal((await call).body.entry.state, "finished");
    await gateway.kill();
  });
  await gateway.boot();
  assert.equal((await gateway.sleep(key, 100)).status, 410);
  assert.deepEqual(gateway.effects(key), ["sleep_start", "sleep_end"]);
});

test("a restored snapshot becomes another journal before it answers, for every route", async (t) => {
  for (const route of ["invoke", "outcome", "revoke", "forget", "canary"]) {
    const gateway = await Mini.start(t);
    gateway.snapshot();
    const key = gateway.key();
    const { journal, sequence } = (await gateway.append(key)).body;
    await gateway.kill();
    gateway.restoreSnapshot();
    await gateway.boot();
    const ask = (seen) => {
      const call = { key, keys: [key], tool: "ledger_append", args: { note: key }, journal, sequence: seen };
      return gateway.request("POST", `/miniprogram/v1/${route}`, call);
    };
    const { status, body } = await ask(sequence);
    assert.deepEqual([status, body.error.type], [412, "other_journal"], route);
    assert.notEqual(body.journal, journal);
    await gateway.restart();
    assert.equal((await gateway.health()).body.journal, body.journal);
    assert.equal((await ask(0)).status, 412, route);
    assert.deepEqual(gateway.effects(key), ["append"]);
  }
});

test("the sequence never falls over a power cut", async (t) => {
  const gateway = await Mini.start(t);
  let highest = 0;
  for (let round = 0; round < 5; round += 1) {
    await gateway.append(gateway.key());
    const { sequence } = (await gateway.revoke(gateway.key())).body;
    assert.ok(sequence > highest);
    highest = sequence;
    await gateway.restart();
    assert.equal((await gateway.health()).body.sequence, highest);
  }
});

test("a gateway that receives SIGTERM finishes running calls and starts no new ones", async (t) => {
  const gateway = await Mini.start(t);
  const [waited, sent, late] = [gateway.key(), gateway.key(), gateway.key()];
  const answer = gateway.sleep(waited, 400);
  await gateway.sleep(sent, 400, { wait: false });
  await Promise.all([gateway.started(waited), gateway.started(sent)]);
  const exit = gateway.terminate();
  const refusal = await until("it drains", async () => {
    const { status, headers } = await gateway.append(late, { not_after: 1 });
    return status !== 200 && { status, retryAfter: headers.get("retry-after") };
  });
  assert.deepEqual(refusal, { status: 503, retryAfter: "1" });
  assert.equal((await answer).body.entry.state, "finished");
  assert.deepEqual(await exit, { code: 0, signal: null });
  await gateway.boot();
  for (const key of [waited, sent]) assert.equal((await gateway.outcome(key)).body.entry.state, "finished");
  assert.deepEqual(gateway.effects(late), []);
});

test("a gateway whose parent process has ended stops", async (t) => {
  const gateway = await Mini.start(t);
  gateway.child.stdin.end();
  assert.deepEqual(await gateway.exited, { code: 0, signal: null });
});
