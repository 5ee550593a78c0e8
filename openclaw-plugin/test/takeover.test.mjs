// Renaming a journal keeps its rows and its id, and never leaves two journals.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { takeOver } from "../takeover.js";
import { until } from "./support/client.mjs";
import { Mini, temporaryFolder } from "./support/mini.mjs";

/** A gateway that has run with `journal.db` and was killed, so that its rows are in the write-ahead log. */
async function killed(t) {
  const gateway = await Mini.start(t);
  const key = gateway.key();
  const { journal } = (await gateway.append(key)).body;
  await gateway.kill();
  assert.ok(fs.statSync(`${gateway.db}-wal`).size > 0);
  const old = gateway.db;
  gateway.db = path.join(gateway.folder, "journal.sqlite");
  return { gateway, key, journal, old };
}

async function assertGoesOn({ gateway, key, journal }) {
  const { status, body } = await gateway.append(key, { journal });
  assert.deepEqual([status, body.entry.replayed, body.journal], [200, true, journal]);
  assert.deepEqual(gateway.effects(key), ["append"]);
  const names = fs.readdirSync(gateway.folder).filter((name) => name.startsWith("journal."));
  assert.deepEqual(names.filter((name) => name.startsWith("journal.db")), []);
  assert.equal(fs.statSync(gateway.db).mode & 0o777, 0o600);
}

async function assertShut(gateway) {
  const key = gateway.key();
  const { status, body } = await gateway.append(key);
  assert.deepEqual([status, body.error.type], [503, "journal_unavailable"]);
  assert.deepEqual(gateway.effects(key), []);
}

test("a journal that is to end in .sqlite takes over the one that ends in .db", async (t) => {
  const of = await killed(t);
  await of.gateway.boot();
  await assertGoesOn(of);
});

test("a crash at any step of the takeover leaves one journal, which the next start takes over", async (t) => {
  const of = await killed(t);
  // It had left its log, and was not renamed yet.
  const file = new DatabaseSync(of.old);
  file.exec("PRAGMA journal_mode = DELETE");
  file.close();
  await of.gateway.boot();
  await assertGoesOn(of);
  // It was renamed, and nothing else had happened.
  await of.gateway.restart();
  await assertGoesOn(of);
});

test("an empty file under the new name does not count as a journal", async (t) => {
  const of = await killed(t);
  fs.writeFileSync(of.gateway.db, "", { mode: 0o600 });
  await of.gateway.boot();
  await assertGoesOn(of);
});

test("a journal that another process has open is not renamed", async (t) => {
  const of = await killed(t);
  const file = new DatabaseSync(of.old);
  file.prepare("SELECT count(*) FROM calls").get();
  await of.gateway.boot();
  await assertShut(of.gateway);
  assert.ok(!fs.existsSync(of.gateway.db) && fs.existsSync(of.old));
  file.close();
  await until("the journal is open", async () => (await of.gateway.health()).status === 200);
  await assertGoesOn(of);
});

test("with a journal under the other name none is used and none is created", async (t) => {
  const of = await killed(t);
  fs.copyFileSync(of.old, of.gateway.db);
  await of.gateway.boot();
  await assertShut(of.gateway);
  assert.match(of.gateway.log, /there are two journals/);
  await of.gateway.kill();
  for (const name of [of.old, `${of.old}-wal`, `${of.old}-shm`]) fs.rmSync(name, { force: true });
  of.gateway.db = of.old;
  await of.gateway.boot();
  await assertShut(of.gateway);
  assert.ok(!fs.existsSync(of.old));
});

test("files with other names are not touched", (t) => {
  const folder = temporaryFolder("takeover");
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.writeFileSync(path.join(folder, "journal.db"), "rows");
  takeOver(path.join(folder, "journal"));
  takeOver(path.join(folder, "other.sqlite"));
  assert.deepEqual(fs.readdirSync(folder), ["journal.db"]);
});
