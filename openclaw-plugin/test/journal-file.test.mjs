import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { until } from "./support/client.mjs";
import { Mini } from "./support/mini.mjs";

const DAY_MS = 86_400_000;

/** A gateway whose journal is unavailable: every guarded tool is blocked, by every route. */
async function assertShut(gateway) {
  const key = gateway.key();
  const { append, outcome, revoke, forget, canary } = gateway;
  const answers = [await append(key), await outcome(key), await revoke(key), await forget(key), await canary()];
  for (const { status, body } of answers) {
    assert.deepEqual([status, body.ok, body.error.type], [503, false, "journal_unavailable"]);
  }
  assert.equal((await gateway.health()).status, 503);
  const direct = await gateway.direct({ tool: "ledger_append", args: { note: key }, idempotencyKey: key });
  assert.deepEqual([direct.status, direct.body.error.type], [403, "tool_call_blocked"]);
  const run = { tool: "ledger_read", run: "r", session: "s" };
  assert.match((await gateway.control("run", run)).reason, /^miniprogram-journal: journal_unavailable/);
  assert.deepEqual(gateway.effects(key), []);
}

test("a journal file that is not a database blocks every guarded tool", async (t) => {
  const arrange = ({ db }) => fs.writeFileSync(db, "this is not a database ".repeat(500));
  await assertShut(await Mini.start(t, { arrange }));
});

test("a journal path that cannot be created blocks every guarded tool", async (t) => {
  const arrange = ({ folder }) => fs.writeFileSync(path.join(folder, "file"), "");
  await assertShut(await Mini.start(t, { db: "file/journal.db", arrange }));
});

test("a damaged database page is detected at start and blocks every guarded tool", async (t) => {
  const gateway = await Mini.start(t);
  for (let call = 0; call < 30; call += 1) await gateway.append(gateway.key());
  await gateway.kill();
  const file = new DatabaseSync(gateway.db);
  file.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  const { page_size: size } = file.prepare("PRAGMA page_size").get();
  const { rootpage } = file.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'calls'").get();
  file.close();
  const handle = fs.openSync(gateway.db, "r+");
  fs.writeSync(handle, Buffer.alloc(size, 0xa5), 0, size, (rootpage - 1) * size);
  fs.closeSync(handle);
  await gateway.boot();
  await assertShut(gateway);
});

test("a journal of a newer plugin is not used", async (t) => {
  const gateway = await Mini.start(t);
  await gateway.kill();
  const file = new DatabaseSync(gateway.db);
  file.exec("PRAGMA user_version = 99");
  file.close();
  await gateway.boot();
  await assertShut(gateway);
});

test("a full disk blocks calls, keeps what is known and never runs a tool", async (t) => {
  // A limit on the file size acts like a full disk: the kernel refuses the write. The unit is 1024 bytes.
  const gateway = await Mini.start(t, { shell: "ulimit -f 160" });
  const done = gateway.key();
  const first = (await gateway.append(done)).body.entry;
  let blocked;
  for (let call = 0; call < 200 && !blocked; call += 1) {
    const key = gateway.key();
    const { status, body } = await gateway.append(key);
    if (status === 503) blocked = { key, type: body.error.type };
  }
  assert.equal(blocked?.type, "journal_unavailable");
  assert.deepEqual(gateway.effects(blocked.key), []);
  const again = await gateway.append(done);
  assert.deepEqual([again.status, again.body.entry], [200, { ...first, replayed: true }]);
  gateway.shell = undefined;
  await gateway.restart();
  assert.equal((await gateway.append(done)).body.entry.replayed, true);
  assert.equal((await gateway.append(blocked.key)).body.entry.replayed, false);
  assert.deepEqual(gateway.effects(blocked.key), ["append"]);
});

test("a journal that was locked at start opens by itself later", async (t) => {
  const gateway = await Mini.start(t);
  await gateway.append(gateway.key());
  await gateway.kill();
  const file = new DatabaseSync(gateway.db);
  file.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE meta SET value = value; ");
  await gateway.boot();
  await assertShut(gateway);
  file.exec("ROLLBACK");
  file.close();
  const answer = await until("the journal is open", async () => {
    const { status, body } = await gateway.append(gateway.key());
    return status === 200 && body;
  });
  assert.equal(answer.entry.state, "finished");
});

test("the file is readable by its owner only", async (t) => {
  const gateway = await Mini.start(t);
  await gateway.append(gateway.key());
  for (const name of [gateway.db, `${gateway.db}-wal`]) assert.equal(fs.statSync(name).mode & 0o777, 0o600);
});

test("forgotten contents are not in the database file", async (t) => {
  const gateway = await Mini.start(t);
  const [key, note] = [gateway.key(), "a note to forget"];
  await gateway.invoke({ key, tool: "ledger_read", args: { limit: 1 } });
  await gateway.invoke({ key: `${key}.n`, tool: "ledger_append", args: { note } });
  await gateway.invoke({ key: `${key}.r`, tool: "ledger_read", args: { limit: 1 } });
  const holdsNote = () => {
    const file = new DatabaseSync(gateway.db);
    file.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    file.close();
    return fs.readFileSync(gateway.db).includes(note);
  };
  assert.ok(holdsNote());
  await gateway.forget(`${key}.r`);
  assert.ok(!holdsNote());
  const [row] = gateway.rows("SELECT * FROM calls WHERE key = ?", `${key}.r`);
  assert.deepEqual([row.digest, row.result, row.state, row.tool], [null, null, "finished", "ledger_read"]);
});

test("rows that ended before the retention are pruned at start, unfinished ones are not", async (t) => {
  const gateway = await Mini.start(t);
  const [old, recent, revoked, released, cut] = Array.from({ length: 5 }, () => gateway.key());
  await gateway.append(old);
  await gateway.control("next", { action: "status", status: 503, path: "/tools/invoke" });
  assert.equal((await gateway.append(released)).status, 503);
  await gateway.append(recent);
  await gateway.revoke(revoked);
  await gateway.control("run", { tool: "ledger_append", run: "r", session: "old" });
  await gateway.sleep(cut, 60_000, { wait: false });
  await gateway.started(cut);
  await gateway.kill();
  const file = new DatabaseSync(gateway.db);
  const past = Date.now() - 30 * DAY_MS - 60_000;
  file.prepare("UPDATE calls SET started_ms = :past, ended_ms = CASE state WHEN 'started' THEN NULL ELSE :past END " +
    "WHERE key <> :recent").run({ past, recent });
  file.prepare("UPDATE proposals SET at_ms = ?").run(past);
  file.close();
  await gateway.boot();
  await until("pruned", () => gateway.rows("SELECT * FROM calls").length === 2);
  const left = gateway.rows("SELECT key FROM calls").map(({ key }) => key).sort();
  assert.deepEqual(left, [recent, cut].sort());
  await until("proposals pruned", () => gateway.rows("SELECT * FROM proposals").length === 0);
  assert.equal((await gateway.outcome(cut)).body.entry.state, "interrupted");
  assert.equal((await gateway.outcome(released)).body.entry, null);
});
