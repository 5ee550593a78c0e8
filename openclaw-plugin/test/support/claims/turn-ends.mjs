import assert from "node:assert/strict";

const CAP = 60 * 1024;

/** Ends of turns, and their progress. */
export const turnEnds = {
  async "each way to fail has its own error"(gateway) {
    // Not 401 or 429: after those the gateway pauses the provider, and every turn fails at once.
    const ends = { "[[refuse]]": "model_refused", "[[status:400]]": "model_failed", "[[empty]]": "reply_empty", "[[say:NO_REPLY]]": "reply_empty" };
    const seen = await Promise.all(Object.keys(ends).map((message) => gateway.turnEnd(message)));
    for (const [at, error] of Object.values(ends).entries()) {
      assert.deepEqual([seen[at].state, seen[at].error, seen[at].reply], ["failed", error, null], Object.keys(ends)[at]);
    }
    const unknown = await gateway.turnEnd("hello", { session: gateway.session("nobody"), agent: "nobody" });
    assert.deepEqual([unknown.state, unknown.error], ["failed", "agent_unknown"]);
  },

  async "an overlong reply is cut between two characters"(gateway) {
    const { state, reply, truncated } = await gateway.turnEnd("[[long:80]]");
    const size = Buffer.byteLength(reply);
    assert.deepEqual([state, truncated], ["finished", true]);
    assert.ok(size <= CAP && size > CAP - 4, `${size} bytes`);
    assert.ok(!reply.includes("\ufffd") && /^a字+$/.test(reply));
    const whole = await gateway.turnEnd("[[long:50]]");
    assert.deepEqual([whole.truncated, Buffer.byteLength(whole.reply) > 50_000], [false, true]);
  },

  async "half of a character in a reply is shown as U+FFFD, and the reply stands"(gateway) {
    const { state, reply, truncated } = await gateway.turnEnd("[[half]]");
    assert.deepEqual([state, reply, truncated], ["finished", "half \ufffd of it", false]);
  },

  async "what the gateway takes for a command reaches the agent as text"(gateway) {
    for (const command of ["/reset", "/NEW now", " /new\n"]) {
      const { state, reply } = await gateway.turnEnd(`${command} [[say:told]]`);
      assert.deepEqual([state, reply], ["finished", "told"], command);
    }
    const { reply } = await gateway.turnEnd("/New");
    assert.equal(reply.replaceAll("\u2060", ""), "echo: /New");
  },

  async "a turn that takes too long is stopped"(gateway) {
    const begun = Date.now();
    const end = await gateway.turnEnd("[[sleep:60]] [[say:late]]", { timeout_ms: 4000 });
    assert.deepEqual([end.state, end.error, end.reply], ["failed", "turn_timed_out", null]);
    assert.ok(Date.now() - begun < 30_000);
  },

  async "a turn is stopped when it is asked to stop"(gateway) {
    const key = gateway.key();
    const session = gateway.session();
    await gateway.startTurn(key, "[[sleep:60]] [[say:late]]", { session });
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const { status, body } = await gateway.abort(key);
    assert.equal(status, 200);
    assert.ok(["started", "failed"].includes(body.entry.state));
    const end = await gateway.concluded(key, 20_000);
    assert.deepEqual([end.state, end.error], ["failed", "turn_aborted"]);
    assert.deepEqual((await gateway.abort(key)).body.entry, end);
    // The conversation is free. Its next turn shows the model the message that was stopped, too.
    const next = gateway.key();
    assert.equal((await gateway.startTurn(next, "[[say:next]]", { session })).status, 202);
    await gateway.abort(next);
    const { reply, error } = await gateway.concluded(next, 20_000);
    assert.ok(reply === "next" || error === "turn_aborted");
  },

  async "an unclaimed key and an ended turn are not stopped"(gateway) {
    const [free, done] = [gateway.key(), gateway.key()];
    assert.equal((await gateway.abort(free)).body.entry, null);
    await gateway.append(done);
    assert.equal((await gateway.abort(done)).body.entry.state, "finished");
    assert.equal((await gateway.abort("No Key")).status, 400);
  },

  async "a turn that calls and calls is stopped at its limit"(gateway) {
    const end = await gateway.turnEnd("[[loop]] [[tool:ledger_read {}]]", { calls_at_most: 3 });
    assert.deepEqual([end.state, end.error], ["failed", "calls_exhausted"]);
    const seen = end.calls.slice(0, 4).map(({ decision }) => decision);
    assert.deepEqual(seen, ["allowed", "allowed", "allowed", "vetoed"]);
    assert.equal(end.calls.filter(({ decision }) => decision === "allowed").length, 3);
  },

  async "an open turn shows what it does and what it says so far"(gateway) {
    const key = gateway.key();
    await gateway.startTurn(key, "[[tool:ledger_read {}]] [[stream:3]] [[say:abcdefghijklmnopqrstuvwxyz]]");
    const { progress, partial } = await gateway.turnShows(key, "a part of the reply", (entry) => entry.partial);
    assert.ok("abcdefghijklmnopqrstuvwxyz".startsWith(partial), partial);
    assert.deepEqual(progress.map(({ what, tool, state }) => [what, tool, state]), [
      ["thinking", undefined, undefined], ["tool", "ledger_read", "done"], ["thinking", undefined, undefined],
      ["replying", undefined, undefined],
    ]);
    const end = await gateway.concluded(key, 60_000);
    assert.deepEqual([end.progress, end.partial, end.reply], [[], null, "abcdefghijklmnopqrstuvwxyz"]);
  },
};
