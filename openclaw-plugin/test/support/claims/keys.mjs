import assert from "node:assert/strict";

/** Claims about keys, and about the identity of the journal. */
export const keys = {
  async "the outcome of an unclaimed key is null"(gateway) {
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
    const inTime = await gateway.append(gateway.key(), { not_after: Date.now() + 60_000 });
    assert.equal(inTime.body.entry.state, "finished");
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
      await gateway.canary({ journal: "another" }),
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
};
