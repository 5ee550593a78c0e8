import assert from "node:assert/strict";

/** Outcomes of calls. */
export const calls = {
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

  async "an idempotent tool that is sent again under a new number has one effect"(gateway) {
    const key = gateway.key().replace(/0$/, "");
    const call = { tool: "ledger_append_once", args: { note: "x" } };
    const first = await gateway.invoke({ ...call, key: `${key}0` });
    const second = await gateway.invoke({ ...call, key: `${key}1` });
    assert.equal(first.body.entry.result.result.details.written, true);
    assert.equal(second.body.entry.result.result.details.written, false);
    assert.equal(gateway.lines().filter((line) => line.toolCallId.includes(key)).length, 1);
  },

  async "null means absent"(gateway) {
    const key = gateway.key();
    const absent = { args: null, not_after: null, wait: null, journal: null, sequence: null };
    const { status, body } = await gateway.invoke({ key, tool: "ledger_read", ...absent });
    assert.deepEqual([status, body.entry.state], [200, "finished"]);
    assert.equal((await gateway.outcome(key, absent)).body.entry.state, "finished");
  },

  async "a request that makes no sense is refused before anything is claimed"(gateway) {
    const key = gateway.key();
    const good = { key, tool: "ledger_append", args: { note: "x" } };
    const nested = JSON.parse(`${'{"a":'.repeat(100)}1${"}".repeat(100)}`);
    const wrong = [
      "{", "[]",
      { ...good, key: "Upper" }, { ...good, key: "" }, { ...good, key: "k".repeat(161) }, { ...good, key: 7 },
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
};
