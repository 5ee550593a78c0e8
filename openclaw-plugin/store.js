import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { clock } from "./clock.js";
import { takeOver } from "./takeover.js";

// SQLite blocks the gateway's only thread while it waits, so the wait for a lock of another process is short.
const BUSY_MS = 250;
const PRUNE_BATCH = 1000;
const SESSIONS_BATCH = 50;

// What each version adds to the one before it. A file of an older plugin takes the missing ones when it is opened.
const SCHEMAS = [`
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
CREATE INDEX proposals_at ON proposals(at_ms);`, `
ALTER TABLE calls ADD COLUMN kind TEXT NOT NULL DEFAULT 'call';
CREATE INDEX calls_open ON calls(kind) WHERE state = 'started';
CREATE TABLE turns(
  key TEXT PRIMARY KEY, session TEXT NOT NULL, agent TEXT NOT NULL, tools TEXT NOT NULL, proposals INTEGER NOT NULL,
  calls_at_most INTEGER NOT NULL, deadline_ms INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  resumed INTEGER NOT NULL DEFAULT 0, error TEXT) STRICT;
CREATE INDEX turns_session ON turns(session);
ALTER TABLE proposals ADD COLUMN turn TEXT;
ALTER TABLE proposals ADD COLUMN failed INTEGER;
CREATE INDEX proposals_turn ON proposals(turn) WHERE turn IS NOT NULL;`, `
ALTER TABLE turns ADD COLUMN ring TEXT;`];
const SCHEMA_VERSION = SCHEMAS.length;

const SQL = {
  bump: "UPDATE meta SET value = value + 1 WHERE name = 'sequence'",
  meta: "SELECT value FROM meta WHERE name = ?",
  keepClock: "INSERT INTO meta(name, value) VALUES('clock', ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value",
  newest: "SELECT max(max(started_ms, coalesce(ended_ms, 0))) AS ms FROM calls",
  rotate: "UPDATE meta SET value = ? WHERE name = 'journal'",
  call: "SELECT * FROM calls WHERE key = ?",
  turn: "SELECT * FROM turns WHERE key = ?",
  openTurns: "SELECT turns.*, calls.boot FROM turns JOIN calls USING(key) WHERE kind = 'turn' AND state = 'started'",
  callsOfTurn: "SELECT tool, decision, args, failed, at_ms FROM proposals WHERE turn = ? ORDER BY id LIMIT ?",
  countOfTurn: "SELECT count(*) AS total FROM proposals WHERE turn = ?",
  known: "SELECT 1 FROM proposals WHERE turn = ? AND tool = ? AND digest = ? AND decision = ?",
  claim: `INSERT INTO calls(key, kind, tool, digest, state, boot, started_ms, ended_ms)
    VALUES(:key, :kind, :tool, :digest, :state, :boot, :started_ms, :ended_ms)`,
  claimTurn: `INSERT OR REPLACE INTO turns(key, session, agent, tools, proposals, calls_at_most, deadline_ms, ring)
    VALUES(:key, :session, :agent, :tools, :proposals, :calls_at_most, :deadline_ms, :ring)`,
  reclaim: `UPDATE calls SET state = :state, boot = :boot, started_ms = :started_ms, ended_ms = :ended_ms
    WHERE key = :key AND state = 'released'`,
  finish: `UPDATE calls SET state = :state, status = :status, truncated = :truncated, ended_ms = :ended_ms,
    result = CASE forgotten WHEN 1 THEN NULL ELSE :result END WHERE key = :key AND state = 'started'`,
  leftBehind: `SELECT session FROM turns JOIN calls USING(key) WHERE session GLOB '*:once.*'
    GROUP BY session HAVING max(coalesce(ended_ms, 9e15)) < ? LIMIT ${SESSIONS_BATCH}`,
  forgetSession: "UPDATE turns SET session = '' WHERE session = ?",
  settle: "UPDATE turns SET error = :error, ring = NULL WHERE key = :key",
  resume: `UPDATE turns SET resumed = 1 WHERE resumed = 0 AND key IN
    (SELECT key FROM calls WHERE kind = 'turn' AND state = 'started')`,
  attempt: "UPDATE turns SET attempts = attempts + 1 WHERE key = ?",
  forget: "UPDATE calls SET result = NULL, digest = NULL, forgotten = 1 WHERE key = ?",
  forgetCalls: "UPDATE proposals SET args = NULL, digest = '' WHERE turn = ?",
  propose: `INSERT INTO proposals(run, session, call, turn, tool, digest, args, decision, at_ms)
    VALUES(:run, :session, :call, :turn, :tool, :digest, :args, :decision, :at)`,
  ended: `UPDATE proposals SET failed = :failed
    WHERE turn = :turn AND run = :run AND call = :call AND decision = 'allowed'`,
  pruneCalls: `DELETE FROM calls WHERE key IN
    (SELECT key FROM calls WHERE ended_ms < ? AND state NOT IN ('started', 'interrupted') LIMIT ${PRUNE_BATCH})`,
  pruneTurns: "DELETE FROM turns WHERE key NOT IN (SELECT key FROM calls)",
  pruneProposals: `DELETE FROM proposals WHERE id IN (SELECT id FROM proposals WHERE at_ms < ? LIMIT ${PRUNE_BATCH})`,
};

/** The database file. Every method throws when the file cannot be read or written. */
export class Store {
  constructor(file) {
    if (typeof file !== "string" || file === "") throw new Error("config.db is not set");
    const full = path.resolve(file);
    fs.mkdirSync(path.dirname(full), { recursive: true, mode: 0o700 });
    takeOver(full);
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
    if (version < SCHEMA_VERSION) this.#migrate(version);
    this.sql = Object.fromEntries(Object.entries(SQL).map(([name, text]) => [name, this.db.prepare(text)]));
    this.identity();
    this.clock = this.#readClock();
  }

  /** The stored state of the clock (`clock-trust.js`); without one, the time of the newest row. */
  #readClock() {
    const kept = this.sql.meta.get("clock")?.value;
    return kept ? JSON.parse(kept) : { accepted: this.sql.newest.get().ms ?? clock.now(), suspect: null };
  }

  /** Stored before rows are deleted by it. */
  keepClock(kept) {
    this.record((sql) => sql.keepClock.run(JSON.stringify(kept)));
    this.clock = kept;
  }

  /** Runs work in one transaction. */
  #migrate(version) {
    this.record(() => {
      for (const schema of SCHEMAS.slice(version)) this.db.exec(schema);
      if (version === 0) {
        const insert = this.db.prepare("INSERT INTO meta(name, value) VALUES(?, ?)");
        insert.run("journal", randomUUID());
        insert.run("sequence", 1);
      }
      this.db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    });
  }

  /** Writes durably without incrementing the sequence, which only callers' commits increment. */
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

  /** Writes `work` together with the next sequence number, so that no response names a higher sequence than the file has. */
  commit(work) {
    return this.record((sql) => {
      sql.bump.run();
      return work(sql);
    });
  }

  /** Checkpoints and truncates the write-ahead log, which still contains the erased content. While another process reads, the log stays until the next call. */
  emptyLog() {
    this.db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
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
      "SELECT EXISTS(SELECT 1 FROM calls WHERE ended_ms < :t AND state NOT IN ('started', 'interrupted')) OR " +
        "EXISTS(SELECT 1 FROM proposals WHERE at_ms < :t) AS due",
    );
    if (!due.get({ t: cutoff }).due) return false;
    this.record((sql) => [sql.pruneCalls.run(cutoff), sql.pruneProposals.run(cutoff), sql.pruneTurns.run()]);
    return true;
  }

  synchronous() {
    return this.db.prepare("PRAGMA synchronous").get().synchronous;
  }
}
