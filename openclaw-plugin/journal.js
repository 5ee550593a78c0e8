import { randomUUID } from "node:crypto";
import { judgeClock } from "./clock-trust.js";
import { clock } from "./clock.js";
import { Store } from "./store.js";
import { MAX_DEPTH, wellFormed } from "./text.js";
import { TurnBook } from "./turn-book.js";

const RETRY_MS = { first: 100, most: 5000 };
const PRUNE_EVERY_MS = 3_600_000;
const PROPOSAL_ARGS_CAP = 32 * 1024;

// Why a result is not there, by the number in the column `truncated`. An older plugin knows 0 and 1.
const OMITTED = [null, "too_large", "too_deep", "unreadable"];

/** The file cannot be opened, read or written. The caller runs nothing then. */
export class Unavailable extends Error {}

/** What one gateway process knows: the file, the calls that run now, and the outcomes it could not write yet. */
export class Journal {
  boot = randomUUID();
  running = new Map();
  book = new TurnBook(this);
  /** Whether a tool has run in a session of ours past the hook. Nothing but a restart makes that good. */
  isFenceBroken = false;
  tickets = new Map();
  #unwritten = new Map();
  #retry = { ms: RETRY_MS.first, timer: undefined };
  #known = { journal: null, sequence: null };
  #opened;
  #pruning;
  /** When this process looked at its clocks the last time, by the one that only runs on. */
  #lookedAt;

  constructor({ file, retentionMs, resultCap, log }) {
    Object.assign(this, { file, retentionMs, resultCap, log });
  }

  /** Opening is tried again at each use, so that a file that was locked at start is usable later without a restart. */
  #store(work) {
    try {
      this.#opened ??= new Store(this.file);
      return work(this.#opened);
    } catch (error) {
      throw new Unavailable(String(error?.message ?? error), { cause: error });
    }
  }

  #commit(work) {
    return this.#store((store) => store.commit(work));
  }

  /** Reads with the statements of the file. */
  read(work) {
    return this.#store((store) => work(store.sql));
  }

  /** Writes what agent runs cause: it does not count, or a restored file would reach the sequence its callers saw. */
  record(work) {
    return this.#store((store) => store.record(work));
  }

  identity() {
    try {
      this.#known = this.#store((store) => store.identity());
    } catch {
      // The last values that were read stand: they were durable when they were read.
    }
    return { protocol: 1, journal: this.#known.journal, boot: this.boot, sequence: this.#known.sequence };
  }

  synchronous() {
    return this.#store((store) => store.synchronous());
  }

  /**
   * Whether this is the journal that the caller means. A sequence that the caller has seen and this file has not
   * means that the file is a restored snapshot: it takes a new id before anybody is told.
   */
  confirm({ journal, sequence }) {
    const own = this.#store((store) => store.identity());
    if (journal === undefined) return true;
    if (journal !== own.journal) return false;
    if (sequence === undefined || sequence <= own.sequence) return true;
    this.#store((store) => store.rotate());
    return false;
  }

  /** The row of a key as it stands, memory included; undefined when the key is free. */
  find(key) {
    const row = this.#store((store) => store.call(key));
    const outcome = this.#unwritten.get(key)?.outcome;
    if (!row || !outcome) return row;
    return { ...row, ...outcome, result: row.forgotten ? null : outcome.result };
  }

  /**
   * Takes a key that is free, or the one whose `released` row is given, on disk when this returns. A key that is
   * claimed as `revoked` never runs. `also` is written in the same transaction.
   */
  claim({ key, kind = "call", tool = null, digest = null, state }, released, also = () => {}) {
    const now = this.now();
    const claim = { key, state, boot: this.boot, started_ms: now, ended_ms: state === "started" ? null : now };
    if (released) this.#reclaim(claim, also);
    else this.#commit((sql) => [sql.claim.run({ ...claim, kind, tool, digest }), also(sql)]);
    if (state === "started") this.running.set(key, tool ?? released?.tool);
    return { ...(released ?? { kind, tool, digest }), ...claim, status: null, result: null, truncated: 0 };
  }

  /** The release of the last claim comes first: written later, it would give back this one. */
  #reclaim(claim, also) {
    if (this.#unwritten.has(claim.key)) this.#write(claim.key);
    this.#commit((sql) => {
      if (sql.reclaim.run(claim).changes !== 1) throw new Error("the key is not released");
      also(sql);
    });
  }

  /**
   * Keeps what came of a call, and counts it unless the gateway caused it by itself. What `also` returns is called when
   * all of it is on disk. The answer is the row as it is now, also while the file cannot be written.
   */
  finish(row, { state, status, result, omitted = null }, also, isCaused) {
    const outcome = { state, status, result, truncated: OMITTED.indexOf(omitted), ended_ms: this.now() };
    this.#settle(row.key, outcome, also, isCaused);
    return { ...row, ...outcome };
  }

  /** Gives a key back that was claimed for a call which the gateway did not start. */
  release(row) {
    return this.finish(row, { state: "released", status: null, result: null });
  }

  /** A call that ended without an answer: its row stays `started` and reads as `interrupted`. */
  abandon(row) {
    this.running.delete(row.key);
    return row;
  }

  #settle(key, outcome, also = () => {}, isCaused = true) {
    this.running.delete(key);
    this.#unwritten.set(key, { outcome, also, isCaused });
    try {
      this.#write(key);
    } catch (error) {
      this.log?.(`an outcome could not be written and will be tried again: ${error.message}`);
      this.#retryLater();
    }
  }

  #write(key) {
    const { outcome, also, isCaused } = this.#unwritten.get(key);
    const write = (sql) => [sql.finish.run({ key, ...outcome }), also(sql)];
    const [, onDisk] = isCaused ? this.#commit(write) : this.record(write);
    this.#unwritten.delete(key);
    onDisk?.();
  }

  #retryLater() {
    this.#retry.timer ??= setTimeout(() => {
      this.#retry.timer = undefined;
      try {
        for (const key of this.#unwritten.keys()) this.#write(key);
        this.#retry.ms = RETRY_MS.first;
      } catch {
        this.#retry.ms = Math.min(this.#retry.ms * 2, RETRY_MS.most);
        this.#retryLater();
      }
    }, this.#retry.ms).unref();
  }

  runningOf = (tool) => [...this.running.values()].filter((name) => name === tool).length;

  forget(keys) {
    return this.#commit((sql) => {
      for (const key of keys) sql.forgetCalls.run(key);
      return keys.reduce((count, key) => count + Number(sql.forget.run(key).changes), 0);
    });
  }

  /** Keeps what an agent run tried. */
  propose(tried) {
    this.record((sql) => this.insertProposal(sql, { turn: null, ...tried }));
  }

  insertProposal(sql, tried) {
    const args = Buffer.byteLength(tried.args ?? "") <= PROPOSAL_ARGS_CAP ? tried.args : null;
    sql.propose.run({ ...tried, args, at: this.now() });
  }

  /**
   * The time that rows are given, never before the last one that was believed: what is written while a machine still
   * believes that it is 1970 must not be the oldest of all when it learns the time.
   */
  now = () => Math.max(clock.now(), this.#store((store) => store.clock.accepted));

  /** What a caller reads of a row. */
  entry(row, replayed) {
    const { key, tool, status, started_ms, ended_ms } = row;
    const lost = row.state === "started" && !this.running.has(key);
    return {
      key, kind: "call", tool, state: lost ? "interrupted" : row.state, status, ...shown(row),
      truncated: row.truncated === 1, replayed, started_ms, ended_ms,
    };
  }

  /** Never touches a call without an outcome, however old, and nothing at all while the clock is not to be believed. */
  prune() {
    try {
      if (!this.#isClockTrusted()) return;
      if (this.#store((store) => store.prune(clock.now() - this.retentionMs))) setImmediate(() => this.prune());
      this.onPrune?.();
    } catch (error) {
      this.log?.(`pruning has to wait: ${error.message}`);
    }
  }

  #isClockTrusted() {
    const [now, elapsed] = [clock.now(), clock.elapsed()];
    const ran = elapsed - (this.#lookedAt ?? elapsed);
    this.#lookedAt = elapsed;
    return this.#store((store) => {
      const { isTrusted, ...kept } = judgeClock(store.clock, { now, ran });
      const wasSuspect = store.clock.suspect !== null;
      store.keepClock(kept);
      const at = (ms) => new Date(ms).toISOString();
      if (!isTrusted && !wasSuspect) {
        this.log?.(`the clock shows ${at(now)}, the journal knows ${at(kept.accepted)}; nothing is deleted for a day`);
      }
      return isTrusted;
    });
  }

  pruneHourly() {
    this.prune();
    this.#pruning ??= setInterval(() => this.prune(), PRUNE_EVERY_MS).unref();
  }
}

/** The result of a row. One of an older plugin may hold what no reader takes; its state stands all the same. */
function shown({ result, truncated }) {
  const { value = null, omitted } = result ? wellFormed(JSON.parse(result), MAX_DEPTH + 1) : {};
  return { result: value, omitted: omitted ?? OMITTED[truncated] ?? null };
}
