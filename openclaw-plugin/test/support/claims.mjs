import assert from "node:assert/strict";
import { until } from "./client.mjs";

/**
 * What holds on every gateway. Each claim gets a client and needs no restart, so that the same code judges the real
 * gateway and its stand-in.
 */
export const claims = {
  async "a call runs once and a repeat gets its stored result"(gateway) {
    const key = gateway.key();
    const first = await gateway.append(key);
    const again = await gateway.append(key);
    assert.equal(first.status, 200);
    assert.equal(first.body.ok, true);
    assert.equal(first.body.protocol, 1);
    const { entry } = first.body;
    assert.equal(entry.key, key);
    assert.equal(entry.tool, "ledger_append");
    assert.deepEqual([entry.state, entry.status, entry.replayed, entry.truncated], ["finished", 200, false, false]);
    assert.equal(entry.result.ok, true);
    assert.equal(entry.result.result.details.written, true);
    assert.ok(entry.started_ms <= entry.ended_ms);
    assert.equal(again.status, 200);
    assert.deepEqual(again.body.entry, { ...entry, replayed: true });
    assert.deepEqual(gateway.effects(key), ["append"]);
  },

  async "the order of argument names makes no difference"(gateway) {
    const key = gateway.key();
    const call = { key, tool: "ledger_sleep" };
    assert.equal((await gateway.invoke({ ...call, args: { ms: 0, note: "x" } })).status, 200);
    assert.equal((await gateway.invoke({ ...call, args: { note: "x", ms: 0 } })).body.entry.replayed, true);
    assert.deepEqual(gateway.effects(key), ["sleep_start", "sleep_end"]);
  },

  async "a key with other arguments or another tool is refused"(gateway) {
    const key = gateway.key();
    await gateway.append(key);
    const otherArgs = await gateway.invoke({ key, tool: "ledger_append", args: { note: "other" } });
    const otherTool = await gateway.invoke({ key, tool: "ledger_append_once", args: { note: key } });
    for (const answer of [otherArgs, otherTool]) {
      assert.equal(answer.status, 422);
      assert.equal(answer.body.ok, false);
      assert.equal(answer.body.error.type, "key_reused");
    }
    assert.deepEqual(gateway.effects(key), ["append"]);
  },

  async "eight callers with one key cause one effect"(gateway) {
    const key = gateway.key();
    const answers = await Promise.all(Array.from({ length: 8 }, () => gateway.sleep(key, 200)));
    const statuses = answers.map((answer) => answer.status).sort();
    assert.deepEqual(statuses, [200, ...Array(7).fill(202)]);
    for (const { body } of answers.filter(({ status }) => status === 202)) {
      assert.deepEqual([body.entry.state, body.entry.replayed], ["started", true]);
    }
    assert.deepEqual(gateway.effects(key), ["sleep_start", "sleep_end"]);
  },

  async "a call that is not waited for is accepted at once and its outcome can be read"(gateway) {
    const key = gateway.key();
    const sent = await gateway.sleep(key, 300, { wait: false });
    assert.equal(sent.status, 202);
    assert.deepEqual([sent.body.entry.state, sent.body.entry.replayed], ["started", false]);
    const entry = await gateway.concluded(key);
    assert.deepEqual([entry.state, entry.status], ["finished", 200]);
    assert.equal(entry.result.result.details.slept, true);
  },

  async "a caller that hangs up does not stop the tool"(gateway) {
    const key = gateway.key();
    const hangUp = new AbortController();
    const call = { key, tool: "ledger_sleep", args: { ms: 500 } };
    const lost = gateway.invoke(call, { signal: hangUp.signal });
    await gateway.started(key);
    hangUp.abort();
    await assert.rejects(lost, { name: "AbortError" });
    assert.equal((await gateway.concluded(key)).state, "finished");
    assert.equal((await gateway.invoke(call)).body.entry.result.result.details.slept, true);
    assert.deepEqual(gateway.effects(key), ["sleep_start", "sleep_end"]);
  },

  async "a tool that fails is finished, because it may have done its work"(gateway) {
    for (const [kind, status] of [["throw", 500], ["input", 400], ["result", 200]]) {
      const key = gateway.key();
      const call = { key, tool: "ledger_fail", args: { kind } };
      const { status: http, body } = await gateway.invoke(call);
      assert.deepEqual([http, body.entry.state, body.entry.status], [200, "finished", status], kind);
      assert.equal(kind === "result" ? body.entry.result.result.isError : body.entry.result.error.type,
        kind === "result" ? true : "tool_error");
      assert.equal((await gateway.invoke(call)).body.entry.replayed, true);
      assert.deepEqual(gateway.effects(key), ["fail"]);
    }
  },

  async "a tool that the gateway does not offer is refused for good"(gateway) {
    const key = gateway.key();
    const { status, body } = await gateway.invoke({ key, tool: "no_such_tool" });
    assert.deepEqual([status, body.entry.state, body.entry.status], [200, "refused", 404]);
    assert.equal((await gateway.invoke({ key, tool: "no_such_tool" })).body.entry.replayed, true);
  },

  async "an outcome nobody has claimed is null"(gateway) {
    const { status, body } = await gateway.outcome(gateway.key());
    assert.equal(status, 200);
    assert.equal(body.entry, null);
  },

  async "a revoked key never runs"(gateway) {
    const key = gateway.key();
    const { status, body } = await gateway.revoke(key);
    assert.equal(status, 200);
    assert.deepEqual([body.entry.state, body.entry.replayed, body.entry.tool], ["revoked", false, null]);
    const late = await gateway.append(key);
    assert.deepEqual([late.status, late.body.entry.state, late.body.entry.replayed], [200, "revoked", true]);
    assert.deepEqual(gateway.effects(key), []);
  },

  async "revoking what ran, runs or was refused changes nothing"(gateway) {
    const [ran, runs, refused] = [gateway.key(), gateway.key(), gateway.key()];
    await gateway.append(ran);
    await gateway.invoke({ key: refused, tool: "no_such_tool" });
    await gateway.sleep(runs, 500, { wait: false });
    assert.equal((await gateway.revoke(runs)).body.entry.state, "started");
    assert.equal((await gateway.revoke(ran)).body.entry.state, "finished");
    assert.equal((await gateway.revoke(refused)).body.entry.state, "refused");
    assert.equal((await gateway.concluded(runs)).state, "finished");
  },

  async "a call that comes too late takes its key and does not run"(gateway) {
    const key = gateway.key();
    const late = await gateway.append(key, { not_after: Date.now() - 1 });
    assert.deepEqual([late.status, late.body.entry.state, late.body.entry.replayed], [200, "revoked", false]);
    const again = await gateway.append(key, { not_after: Date.now() + 60_000 });
    assert.equal(again.body.entry.state, "revoked");
    assert.deepEqual(gateway.effects(key), []);
    assert.equal((await gateway.append(gateway.key(), { not_after: Date.now() + 60_000 })).body.entry.state, "finished");
  },

  async "a forgotten key keeps its state, loses its result and never runs again"(gateway) {
    const key = gateway.key();
    await gateway.append(key);
    const { status, body } = await gateway.forget(key, gateway.key());
    assert.deepEqual([status, body.forgotten], [200, 1]);
    const again = await gateway.invoke({ key, tool: "ledger_append", args: { note: "other" } });
    assert.deepEqual([again.status, again.body.entry.state, again.body.entry.result], [200, "finished", null]);
    assert.deepEqual(gateway.effects(key), ["append"]);
  },

  async "what is forgotten while it runs leaves no result"(gateway) {
    const key = gateway.key();
    await gateway.sleep(key, 300, { wait: false });
    assert.equal((await gateway.forget(key)).body.forgotten, 1);
    const entry = await gateway.concluded(key);
    assert.deepEqual([entry.state, entry.status, entry.result], ["finished", 200, null]);
  },

  async "a caller that means another journal is told so and nothing runs"(gateway) {
    const key = gateway.key();
    const { journal, boot } = (await gateway.health()).body;
    const answers = [
      await gateway.append(key, { journal: "another" }),
      await gateway.outcome(key, { journal: "another" }),
      await gateway.revoke(key, { journal: "another" }),
    ];
    for (const { status, body } of answers) {
      assert.deepEqual([status, body.error.type, body.journal, body.boot], [412, "other_journal", journal, boot]);
    }
    assert.equal((await gateway.outcome(key, { journal })).body.entry, null);
    assert.deepEqual(gateway.effects(key), []);
  },

  async "the sequence grows with every commit and with nothing else"(gateway) {
    const key = gateway.key();
    const sequence = async () => (await gateway.outcome(key)).body.sequence;
    const start = await sequence();
    assert.equal(await sequence(), start);
    assert.equal((await gateway.append(key)).body.sequence, start + 2);
    assert.equal((await gateway.append(key)).body.sequence, start + 2);
    assert.equal((await gateway.revoke(`${key}.r`)).body.sequence, start + 3);
    assert.equal((await gateway.forget(key)).body.sequence, start + 4);
  },

  async "parallel callers never see a sequence fall"(gateway) {
    const { journal } = (await gateway.health()).body;
    let highest = 0;
    await Promise.all(Array.from({ length: 8 }, async () => {
      for (let round = 0; round < 5; round += 1) {
        const { status, body } = await gateway.append(gateway.key(), { journal, sequence: highest });
        assert.equal(status, 200);
        highest = Math.max(highest, body.sequence);
      }
    }));
    assert.equal((await gateway.health()).body.journal, journal);
  },

  async "a request that makes no sense is refused before anything is claimed"(gateway) {
    const key = gateway.key();
    const good = { key, tool: "ledger_append", args: { note: "x" } };
    const nested = JSON.parse(`${'{"a":'.repeat(100)}1${"}".repeat(100)}`);
    const wrong = [
      "{", "[]", { ...good, key: "Upper" }, { ...good, key: "" }, { ...good, key: "k".repeat(161) }, { ...good, key: 7 },
      { ...good, tool: "" }, { ...good, tool: " ledger_append" }, { ...good, args: "text" }, { ...good, args: [] },
      { ...good, args: nested }, { ...good, not_after: "soon" }, { ...good, wait: 1 }, { ...good, journal: 1 },
      { ...good, sequence: -1 },
    ];
    for (const body of wrong) {
      const answer = await gateway.invoke(body);
      assert.deepEqual([answer.status, answer.body.error?.type], [400, "invalid_request"], JSON.stringify(body));
    }
    assert.equal((await gateway.forget("Upper")).status, 400);
    assert.equal((await gateway.forget(...Array(1001).fill(key))).status, 400);
    assert.equal((await gateway.request("GET", "/miniprogram/v1/invoke")).status, 405);
    assert.equal((await gateway.outcome(key)).body.entry, null);
  },

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

  async "the canary passes through the route"(gateway) {
    const { status, body } = await gateway.invoke({ key: gateway.key(), tool: "miniprogram_canary" });
    assert.deepEqual([status, body.entry.state, body.entry.status], [200, "finished", 200]);
    assert.equal(body.entry.result.result.details.canary, true);
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
    for (const name of ["invoke", "outcome", "revoke", "forget"]) {
      const answer = await gateway.request("POST", `/miniprogram/v1/${name}`, { key: "k" }, { token: "wrong" });
      assert.equal(answer.status, 401, name);
    }
    assert.equal((await gateway.request("GET", "/miniprogram/v1/health", undefined, { token: "wrong" })).status, 401);
  },

  async "an idempotent tool that is sent again under a new number has one effect"(gateway) {
    const key = gateway.key().replace(/0$/, "");
    const call = { tool: "ledger_append_once", args: { note: "x" } };
    const first = await gateway.invoke({ ...call, key: `${key}0` });
    const second = await gateway.invoke({ ...call, key: `${key}1` });
    assert.equal(first.body.entry.result.result.details.written, true);
    assert.equal(second.body.entry.result.result.details.written, false);
    assert.equal(gateway.lines().filter((line) => line.toolCallId.includes(key)).length, 1);
  },

  async "while the journal cannot be written nothing runs, and later the same key does"(gateway) {
    const key = gateway.key();
    await gateway.whileLocked(async () => {
      for (const { status, body } of [await gateway.append(key), await gateway.revoke(key), await gateway.forget(key)]) {
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
