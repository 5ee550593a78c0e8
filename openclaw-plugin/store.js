import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";

// SQLite waits on the gateway's only thread, so a lock held by somebody else must not hold the gateway for long.
const BUSY_MS = 250;
const SCHEMA_VERSION = 1;
const PRUNE_BATCH = 1000;

const SCHEMA = `
CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE calls(
  key TEXT PRIMARY KEY, tool TEXT, digest TEXT, state TEXT NOT NULL, boot TEXT NOT NULL, status INTEGER, result TEXT,
  truncated INTEGER NOT NULL DEFAULT 0, forgotten INTEGER NOT NULL DEFAULT 0,
  started_ms INTEGER NOT NULL, ended_ms INTEGER) STRICT;
CREATE INDEX calls_ended ON calls(ended_ms);
CREATE TABLE proposals(
  id INTEGER PRIMARY KEY, run TEXT NOT NULL, session TEXT NOT NULL, call TEXT NOT NULL, tool TEXT NOT NULL,
  digest TEXT NOT NULL, args TEXT, decision TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
CREATE INDEX proposals_session ON proposals(session);
CREATE INDEX proposals_at ON proposals(at_ms);`;

const SQL = {
  bump: "UPDATE meta SET value = value + 1 WHERE name = 'sequence'",
  meta: "SELECT value FROM meta WHERE name = ?",
  rotate: "UPDATE meta SET value = ? WHERE name = 'journal'",
  call: "SELECT * FROM calls WHERE key = ?",
  claim: `INSERT INTO calls(key, tool, digest, state, boot, started_ms, ended_ms)
    VALUES(:key, :tool, :digest, :state, :boot, :started_ms, :ended_ms)`,
  reclaim: `UPDATE calls SET state = :state, boot = :boot, started_ms = :started_ms, ended_ms = :ended_ms
    WHERE key = :key AND state = 'released'`,
  finish: `UPDATE calls SET state = :state, status = :status, truncated = :truncated, ended_ms = :ended_ms,
    result = CASE forgotten WHEN 1 THEN NULL ELSE :result END WHERE key = :key AND state = 'started'`,
  forget: "UPDATE calls SET result = NULL, digest = NULL, forgotten = 1 WHERE key = ?",
  propose: `INSERT INTO proposals(run, session, call, tool, digest, args, decision, at_ms)
    VALUES(:run, :session, :call, :tool, :digest, :args, :decision, :at)`,
  pruneCalls: `DELETE FROM calls WHERE key IN
    (SELECT key FROM calls WHERE ended_ms < ? AND state <> 'started' LIMIT ${PRUNE_BATCH})`,
  pruneProposals: `DELETE FROM proposals WHERE id IN (SELECT id FROM proposals WHERE at_ms < ? LIMIT ${PRUNE_BATCH})`,
};

/** The database file. Every method throws when the file cannot be read or written. */
export class Store {
  constructor(file) {
    if (typeof file !== "string" || file === "") throw new Error("config.db is not set");
    const full = path.resolve(file);
    fs.mkdirSync(path.dirname(full), { recursive: true, mode: 0o700 });
    fs.closeSync(fs.openSync(full, "a", 0o600));
    this.db = new DatabaseSync(full, { timeout: BUSY_MS });
    try {
      this.#prepare();
    } catch (error) {
      this.db.close();
      throw error;
    }
  }

  #prepare() {
    this.db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;");
    const problem = Object.values(this.db.prepare("PRAGMA quick_check(1)").get())[0];
    if (problem !== "ok") throw new Error(`the journal is damaged: ${problem}`);
    const version = this.db.prepare("PRAGMA user_version").get().user_version;
    if (version > SCHEMA_VERSION) throw new Error(`the journal was written by a newer plugin (schema ${version})`);
    if (version === 0) this.#create();
    this.sql = Object.fromEntries(Object.entries(SQL).map(([name, text]) => [name, this.db.prepare(text)]));
    this.identity();
  }

  #create() {
    this.record(() => {
      this.db.exec(SCHEMA);
      const insert = this.db.prepare("INSERT INTO meta(name, value) VALUES(?, ?)");
      insert.run("journal", randomUUID());
      insert.run("sequence", 1);
      this.db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    });
  }

  /** On disk when it returns. Does not count: only what callers cause may move the sequence. */
  record(work) {
    this.db.exec("BEGIN IMMEDIATE");
    try {
      const result = work(this.sql);
      this.db.exec("COMMIT");
      return result;
    } catch (error) {
      // After a full disk SQLite has rolled back by itself, and a second ROLLBACK throws.
      if (this.db.isTransaction) this.db.exec("ROLLBACK");
      throw error;
    }
  }

  /** Writes `work` together with the next sequence number: what was answered once can never be smaller on disk. */
  commit(work) {
    return this.record((sql) => {
      sql.bump.run();
      return work(sql);
    });
  }

  identity() {
    const value = (name) => this.sql.meta.get(name).value;
    return { journal: value("journal"), sequence: value("sequence") };
  }

  call(key) {
    return this.sql.call.get(key);
  }

  rotate() {
    this.commit((sql) => sql.rotate.run(randomUUID()));
  }

  /** Deletes one batch of what ended before `cutoff`; true when there may be more. */
  prune(cutoff) {
    const due = this.db.prepare(
      "SELECT EXISTS(SELECT 1 FROM calls WHERE ended_ms < :t AND state <> 'started') OR " +
        "EXISTS(SELECT 1 FROM proposals WHERE at_ms < :t) AS due",
    );
    if (!due.get({ t: cutoff }).due) return false;
    this.record((sql) => [sql.pruneCalls.run(cutoff), sql.pruneProposals.run(cutoff)]);
    return true;
  }

  synchronous() {
    return this.db.prepare("PRAGMA synchronous").get().synchronous;
  }
}
