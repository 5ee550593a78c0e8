import assert from "node:assert/strict";

const BUSY = (of) => ({ type: "busy", of });
const CALLS = "SELECT count(*) AS total FROM proposals WHERE turn = ?";

/** Turns of agents: claims, repeats, order and memory. */
export const turns = {
  async "a turn is claimed before it is answered, and runs behind the answer"(gateway) {
    const key = gateway.key();
    const { status, body } = await gateway.startTurn(key, "[[say:good morning]]");
    const { started_ms: started, progress, ...entry } = body.entry;
    assert.equal(status, 202);
    assert.deepEqual(entry, {
      key, kind: "turn", tool: null, state: "started", ended_ms: null, replayed: false, resumed: false, reply: null,
      truncated: false, error: null, partial: null, calls: [], calls_total: 0, rings: false,
    });
    assert.deepEqual(progress.map(({ what }) => what), ["thinking"]);
    const end = await gateway.concluded(key, 60_000);
    assert.deepEqual([end.state, end.reply, end.error, end.resumed], ["finished", "good morning", null, false]);
    assert.ok(end.ended_ms >= started);
  },

  async "the same turn again is the same turn, however often and at once"(gateway) {
    const key = gateway.key();
    const session = gateway.session();
    const send = () => gateway.startTurn(key, "[[tool:ledger_read {}]] [[say:once]]", { session });
    const answers = await Promise.all(Array.from({ length: 8 }, send));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([202]));
    assert.equal(answers.filter(({ body }) => !body.entry.replayed).length, 1);
    const end = await gateway.concluded(key, 60_000);
    const late = await send();
    assert.deepEqual([late.status, late.body.entry], [200, end]);
    assert.equal(gateway.rows(CALLS, key)[0].total, 1);
  },

  async "a key belongs to one turn or one call"(gateway) {
    const [turn, call] = [gateway.key(), gateway.key()];
    const session = gateway.session();
    await gateway.startTurn(turn, "[[say:a]]", { session });
    for (const more of [{ tools: [] }, { proposals: false }, { session: gateway.session() }]) {
      const { status, body } = await gateway.startTurn(turn, "[[say:a]]", { session, ...more });
      assert.deepEqual([status, body.error.type], [422, "key_reused"], JSON.stringify(more));
    }
    assert.equal((await gateway.startTurn(turn, "[[say:b]]", { session })).status, 422);
    assert.equal((await gateway.append(turn)).status, 422);
    await gateway.append(call);
    assert.equal((await gateway.startTurn(call, "[[say:a]]")).status, 422);
    assert.deepEqual([gateway.effects(turn), gateway.effects(call)], [[], ["append"]]);
    await gateway.concluded(turn, 60_000);
  },

  async "a turn that makes no sense is refused and claims nothing"(gateway) {
    const session = gateway.session();
    const wrong = [
      { session: session.toUpperCase() }, { session: session.replace("main", "Main") }, { session: "agent:main:main" },
      { session: "agent:main:miniprogram:u" }, { session: `${session}:x` }, { agent: "other" }, { agent: null },
      { message: "" }, { message: " \n" }, { message: "\ufeff" },
      { message: "\u200b \u2060\0" }, { message: "\ud83d" }, { message: 1 }, { tools: null }, { tools: "ledger_read" }, { tools: [1] },
      { proposals: null }, { proposals: "yes" }, { at_most: 0 }, { at_most: null }, { calls_at_most: -1 },
      { timeout_ms: 0 }, { timeout_ms: 1.5 }, { not_after: "now" },
    ];
    for (const more of wrong) {
      const key = gateway.key();
      const { status, body } = await gateway.startTurn(key, "[[say:a]]", { session, ...more });
      assert.deepEqual([status, body.error.type], [400, "invalid_request"], JSON.stringify(more));
      assert.equal((await gateway.outcome(key)).body.entry, null);
    }
    assert.equal((await gateway.startTurn("No Key", "[[say:a]]")).status, 400);
  },

  async "a turn that comes too late, or was revoked, never runs"(gateway) {
    const [late, revoked] = [gateway.key(), gateway.key()];
    const first = await gateway.startTurn(late, "[[tool:ledger_read {}]]", { not_after: 1 });
    assert.deepEqual([first.status, first.body.entry.state, first.body.entry.kind], [200, "revoked", "turn"]);
    await gateway.revoke(revoked);
    const answer = await gateway.startTurn(revoked, "[[tool:ledger_read {}]]");
    assert.deepEqual([answer.status, answer.body.entry.state, answer.body.entry.kind], [200, "revoked", "turn"]);
    for (const key of [late, revoked]) assert.equal(gateway.rows(CALLS, key)[0].total, 0);
  },

  async "revoking a turn that runs does not stop it"(gateway) {
    const key = gateway.key();
    await gateway.startTurn(key, "[[sleep:1]] [[say:done]]");
    assert.equal((await gateway.revoke(key)).body.entry.state, "started");
    assert.equal((await gateway.concluded(key, 60_000)).reply, "done");
  },

  async "a session has one turn at a time, and an agent as many as the caller says"(gateway) {
    const [first, second, third] = [gateway.key(), gateway.key(), gateway.key()];
    const session = gateway.session();
    await gateway.startTurn(first, "[[sleep:2]] [[say:one]]", { session });
    const inSession = await gateway.startTurn(second, "[[say:two]]", { session });
    assert.deepEqual([inSession.status, inSession.body.error], [503, BUSY("session")]);
    assert.match(inSession.headers.get("retry-after"), /^[1-9]/);
    const ofAgent = await gateway.startTurn(third, "[[say:three]]", { at_most: 1 });
    assert.deepEqual([ofAgent.status, ofAgent.body.error], [503, BUSY("agent")]);
    for (const key of [second, third]) assert.equal((await gateway.outcome(key)).body.entry, null);
    await gateway.concluded(first, 60_000);
    await gateway.startTurn(second, "[[say:two]]", { session });
    assert.equal((await gateway.concluded(second, 60_000)).reply, "two");
  },

  async "a tool runs as often at once as the caller says"(gateway) {
    const [first, second] = [gateway.key(), gateway.key()];
    await gateway.sleep(first, 700, { wait: false, at_most: 1 });
    const { status, headers, body } = await gateway.sleep(second, 1, { at_most: 1 });
    assert.deepEqual([status, body.error], [503, BUSY("tool")]);
    assert.match(headers.get("retry-after"), /^[1-9]/);
    assert.equal((await gateway.outcome(second)).body.entry, null);
    assert.equal((await gateway.append(gateway.key(), { at_most: 1 })).status, 200);
    await gateway.concluded(first);
    assert.equal((await gateway.sleep(second, 1, { at_most: 1 })).body.entry.state, "finished");
    assert.equal((await gateway.sleep(gateway.key(), 1, { at_most: 0 })).status, 400);
  },

  async "a conversation remembers its turns until it is ended"(gateway) {
    const session = gateway.session();
    await gateway.turnEnd("my name is Ada", { session });
    assert.equal((await gateway.turnEnd("[[remember]]", { session })).reply, "1 before: my name is Ada");
    assert.equal((await gateway.turnEnd("[[remember]]")).reply, "0 before: none");
    const key = gateway.key();
    await gateway.startTurn(key, "[[sleep:1]]", { session });
    const busy = await gateway.endSession(session);
    assert.deepEqual([busy.status, busy.body.error], [503, BUSY("session")]);
    await gateway.concluded(key, 60_000);
    for (const ended of [true, false]) {
      const { status, body } = await gateway.endSession(session);
      assert.deepEqual([status, body.ended], [200, ended]);
    }
    assert.equal((await gateway.turnEnd("[[remember]]", { session })).reply, "0 before: none");
  },

  async "only a conversation can be ended"(gateway) {
    const upper = gateway.session().toUpperCase();
    for (const session of ["agent:main:main", "main", upper, null, "agent:main:miniprogram:u"]) {
      assert.equal((await gateway.endSession(session)).status, 400, String(session));
    }
  },

  async "a forgotten turn has no reply and no arguments, and never runs again"(gateway) {
    const key = gateway.key();
    const session = gateway.session();
    await gateway.startTurn(key, '[[tool:ledger_append {"note":"private"}]] [[say:secret]]', { session });
    await gateway.concluded(key, 60_000);
    assert.equal((await gateway.forget(key)).body.forgotten, 1);
    const { status, body } = await gateway.startTurn(key, "[[say:other]]", { session });
    const [{ tool, decision, args }] = body.entry.calls;
    assert.deepEqual([status, body.entry.state, body.entry.reply], [200, "finished", null]);
    assert.deepEqual([tool, decision, args], ["ledger_append", "proposed", null]);
    const [{ digest }] = gateway.rows("SELECT digest FROM proposals WHERE turn = ?", key);
    assert.equal(digest, "");
  },
};
