import { randomUUID } from "node:crypto";
import { judgeClock } from "./clock-trust.js";
import { clock } from "./clock.js";
import { Store } from "./store.js";
import { MAX_DEPTH, wellFormed } from "./text.js";
import { TurnBook } from "./turn-book.js";

const RETRY_MS = { first: 100, most: 5000 };
const PRUNE_EVERY_MS = 3_600_000;
const PROPOSAL_ARGS_CAP = 32 * 1024;

// Why a result is omitted, by the number in the column `truncated`. An older plugin writes 0 and 1 only.
const OMITTED = [null, "too_large", "too_deep", "unreadable"];

/** The file cannot be opened, read or written, so no tool is run. */
export class Unavailable extends Error {}

/** State of one gateway process: the file, the running calls, and the outcomes that could not be written yet. */
export class Journal {
  boot = randomUUID();
  running = new Map();
  book = new TurnBook(this);
  /** Whether a tool has run in a turn's session without passing the hook. Reset only by a restart. */
  isGuardBroken = false;
  tickets = new Map();
  #unwritten = new Map();
  #retry = { ms: RETRY_MS.first, timer: undefined };
  #known = { journal: null, sequence: null };
  #opened;
  #pruning;
  /** Time of the last reading of the clocks, by the monotonic one. */
  #lookedAt;

  constructor({ file, retentionMs, resultCap, log }) {
    Object.assign(this, { file, retentionMs, resultCap, log });
  }

  /** Opening is retried at each use, so that a file that was locked at start can be used later without a restart. */
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

  /** Writes without incrementing the sequence, for agent runs: otherwise a restored file could reach the sequence that its callers saw. */
  record(work) {
    return this.#store((store) => store.record(work));
  }

  identity() {
    try {
      this.#known = this.#store((store) => store.identity());
    } catch {
      // The last values that were read are used: they were durable when they were read.
    }
    return { protocol: 1, journal: this.#known.journal, boot: this.boot, sequence: this.#known.sequence };
  }

  synchronous() {
    return this.#store((store) => store.synchronous());
  }

  /**
   * Whether this is the journal that the caller means. A sequence that the caller has seen and this file has not
   * means that the file is a restored snapshot: it takes a new id before it answers.
   */
  confirm({ journal, sequence }) {
    const own = this.#store((store) => store.identity());
    if (journal === undefined) return true;
    if (journal !== own.journal) return false;
    if (sequence === undefined || sequence <= own.sequence) return true;
    this.#store((store) => store.rotate());
    return false;
  }

  /** The current row of a key, from file and memory; undefined when the key is free. */
  find(key) {
    const row = this.#store((store) => store.call(key));
    const outcome = this.#unwritten.get(key)?.outcome;
    if (!row || !outcome) return row;
    return { ...row, ...outcome, result: row.forgotten ? null : outcome.result };
  }

  /**
   * Claims a key that is free, or the one whose `released` row is given; on disk when this returns. A key that is
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

  /** Writes the release of the previous claim first: written later, it would release this one. */
  #reclaim(claim, also) {
    if (this.#unwritten.has(claim.key)) this.#write(claim.key);
    this.#commit((sql) => {
      if (sql.reclaim.run(claim).changes !== 1) throw new Error("the key is not released");
      also(sql);
    });
  }

  /**
   * Stores the outcome of a call, and increments the sequence unless the gateway caused it by itself. The function that `also` returns is called when
   * all of it is on disk. Returns the current row, also while the file cannot be written.
   */
  finish(row, { state, status, result, omitted = null }, also, isCaused) {
    const outcome = { state, status, result, truncated: OMITTED.indexOf(omitted), ended_ms: this.now() };
    this.#settle(row.key, outcome, also, isCaused);
    return { ...row, ...outcome };
  }

  /** Releases a key whose call the gateway did not start. */
  release(row) {
    return this.finish(row, { state: "released", status: null, result: null });
  }

  /** Ends a call without a response: its row stays `started` and is reported as `interrupted`. */
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
    const forgotten = this.#commit((sql) => {
      for (const key of keys) sql.forgetCalls.run(key);
      return keys.reduce((count, key) => count + Number(sql.forget.run(key).changes), 0);
    });
    this.#store((store) => store.emptyLog());
    return forgotten;
  }

  /** Stores a call that an agent run attempted. */
  propose(tried) {
    this.record((sql) => this.insertProposal(sql, { turn: null, ...tried }));
  }

  insertProposal(sql, tried) {
    const args = Buffer.byteLength(tried.args ?? "") <= PROPOSAL_ARGS_CAP ? tried.args : null;
    sql.propose.run({ ...tried, args, at: this.now() });
  }

  /**
   * The time of new rows, never before the last trusted one: rows that are written while a machine's clock still
   * shows 1970 must not be the oldest ones after it is corrected.
   */
  now = () => Math.max(clock.now(), this.#store((store) => store.clock.accepted));

  /** The public form of a row. */
  entry(row, replayed) {
    const { key, tool, status, started_ms, ended_ms } = row;
    const lost = row.state === "started" && !this.running.has(key);
    return {
      key, kind: "call", tool, state: lost ? "interrupted" : row.state, status, ...shown(row),
      truncated: row.truncated === 1, replayed, started_ms, ended_ms,
    };
  }

  /** Deletes old rows: never a call without an outcome, and nothing while the clock is not trusted. */
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

/** The result of a row. An older plugin may have stored JSON that other parsers refuse; the state of the row is valid nevertheless. */
function shown({ result, truncated }) {
  const { value = null, omitted } = result ? wellFormed(JSON.parse(result), MAX_DEPTH + 1) : {};
  return { result: value, omitted: omitted ?? OMITTED[truncated] ?? null };
}
