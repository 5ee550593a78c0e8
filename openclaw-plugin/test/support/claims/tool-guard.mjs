import assert from "node:assert/strict";
import { until } from "../client.mjs";

/** The tool guard, and the authorization of the routes. */
export const toolGuard = {
  async "a guarded tool cannot be called around the route"(gateway) {
    for (const tool of ["ledger_append", "miniprogram_canary"]) {
      const key = gateway.key();
      const { status, body } = await gateway.direct({ tool, args: { note: key }, idempotencyKey: key });
      assert.deepEqual([status, body.error.type], [403, "tool_call_blocked"], tool);
      assert.match(body.error.message, /^miniprogram-journal: ticket_required/);
      assert.deepEqual(gateway.effects(key), []);
    }
  },

  async "a raw call under a key that is running slips through nowhere"(gateway) {
    const key = gateway.key();
    await gateway.sleep(key, 400, { wait: false });
    await gateway.started(key);
    const [{ toolCallId }] = gateway.lines().filter((line) => line.toolCallId.includes(key));
    const ticket = toolCallId.replace("http-direct-operator-", "");
    for (const idempotencyKey of [key, ticket]) {
      const call = { tool: "ledger_sleep", args: { ms: 400, note: key }, idempotencyKey };
      assert.equal((await gateway.direct(call)).status, 403);
    }
    await gateway.concluded(key);
    assert.deepEqual(gateway.effects(key), ["sleep_start", "sleep_end"]);
  },

  async "the guard probe runs through the route"(gateway) {
    const { status, body } = await gateway.invoke({ key: gateway.key(), tool: "miniprogram_canary" });
    assert.deepEqual([status, body.entry.state, body.entry.status], [200, "finished", 200]);
    assert.equal(body.entry.result.result.details.canary, true);
  },

  async "the guard probe passes, and leaves no trace in the journal"(gateway) {
    const before = (await gateway.health()).body;
    const { status, body } = await gateway.canary({ journal: before.journal, sequence: before.sequence });
    const { protocol, journal, boot, sequence } = before;
    assert.deepEqual([status, body], [200, { ok: true, protocol, journal, boot, sequence, fence: "holds" }]);
    const together = await Promise.all(Array.from({ length: 4 }, () => gateway.canary()));
    assert.deepEqual(together.map((answer) => answer.body.fence), Array(4).fill("holds"));
    assert.equal((await gateway.health()).body.sequence, sequence);
    assert.equal((await gateway.request("GET", "/miniprogram/v1/canary")).status, 405);
  },

  async "a read may be called directly and through the route"(gateway) {
    const direct = await gateway.direct({ tool: "ledger_read", args: { limit: 1 } });
    const { status, body } = await gateway.invoke({ key: gateway.key(), tool: "ledger_read", args: { limit: 1 } });
    assert.equal(direct.status, 200);
    assert.deepEqual([status, body.entry.state, body.entry.result.ok], [200, "finished", true]);
  },

  async "health tells who guards what, and that commits are synchronous"(gateway) {
    const { status, body } = await gateway.health();
    assert.equal(status, 200);
    assert.equal(body.plugin, "miniprogram-journal");
    assert.equal(body.synchronous, 2);
    assert.equal(typeof body.gateway, "string");
    assert.ok(body.guard.includes("ledger_append") && body.guard.includes("miniprogram_canary"));
    assert.deepEqual(body.reads, ["ledger_read"]);
    assert.match(body.journal, /^[0-9a-f-]{36}$/);
    assert.match(body.boot, /^[0-9a-f-]{36}$/);
    assert.ok(Number.isSafeInteger(body.sequence));
  },

  async "no route answers a stranger"(gateway) {
    for (const name of ["invoke", "outcome", "revoke", "forget", "canary"]) {
      const answer = await gateway.request("POST", `/miniprogram/v1/${name}`, { key: "k" }, { token: "wrong" });
      assert.equal(answer.status, 401, name);
    }
    assert.equal((await gateway.request("GET", "/miniprogram/v1/health", undefined, { token: "wrong" })).status, 401);
  },

  async "while the journal cannot be written nothing runs, and later the same key does"(gateway) {
    const key = gateway.key();
    await gateway.whileLocked(async () => {
      const answers = [await gateway.append(key), await gateway.revoke(key), await gateway.forget(key)];
      for (const { status, body } of answers) {
        assert.deepEqual([status, body.ok, body.error.type], [503, false, "journal_unavailable"]);
        assert.match(body.journal, /^[0-9a-f-]{36}$/);
      }
      assert.equal((await gateway.outcome(key)).body.entry, null);
      assert.deepEqual(gateway.effects(key), []);
    });
    assert.equal((await gateway.append(key)).body.entry.state, "finished");
    assert.deepEqual(gateway.effects(key), ["append"]);
  },

  async "an outcome that cannot be written is answered from memory and written later"(gateway) {
    const key = gateway.key();
    const sql = "SELECT state, status, result FROM calls WHERE key = ?";
    const call = gateway.sleep(key, 200);
    await gateway.started(key);
    await gateway.whileLocked(async () => {
      const { status, body } = await call;
      assert.deepEqual([status, body.entry.state, body.entry.status], [200, "finished", 200]);
      const { entry } = (await gateway.outcome(key)).body;
      assert.deepEqual(entry, { ...body.entry, replayed: true });
      assert.equal(gateway.rows(sql, key)[0].state, "started");
    });
    await until("the outcome is on disk", () => gateway.rows(sql, key)[0].state === "finished");
    assert.equal(JSON.parse(gateway.rows(sql, key)[0].result).ok, true);
    assert.deepEqual(gateway.effects(key), ["sleep_start", "sleep_end"]);
  },
};
