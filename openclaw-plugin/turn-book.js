import { toolName } from "./canonical.js";
import { clock } from "./clock.js";
import { WakeUps } from "./wake-ups.js";
import { cutToLast, readableJson, wellFormedText } from "./text.js";

const CALLS_SHOWN = 50;
const ARGS_CAP = 256 * 1024;
const PROGRESS_SHOWN = 8;
const PARTIAL_LETTERS = 400;
const SESSION = /^agent:([a-z0-9][a-z0-9_-]{0,63}):miniprogram:[a-z0-9-]{1,64}:[a-z0-9._-]{1,128}$/;

/** The agent in the key of a session for turns; null for any other text. */
export const agentOf = (session) => (typeof session === "string" && SESSION.exec(session)?.[1]) || null;

/** Whether only turns of this journal run in this session, with or without an open one. */
export const isOurs = (session) => /^agent:[^:]*:miniprogram:/.test(session);

/** An open turn. State that is not in the file is lost at a restart, and nothing depends on it. */
class OpenTurn {
  progress = [];
  partial = null;
  /** Why it is being stopped; from then on the tool guard blocks every call. */
  stopping = null;
  /** Id of the gateway's run for it: the key, until the gateway resumes it under another id. */
  run = null;
  /** Calls that the hook allowed, by id, and their number by tool. */
  seen = new Map();
  /** Whether an event of that run was seen. */
  isHeard = false;
  /** Listeners for its end. */
  waiting = [];

  constructor(row, resumed, book) {
    const { key, session, agent, tools, proposals, calls_at_most, deadline_ms, attempts, ring } = row;
    Object.assign(this, { key, session, agent, resumed, attempts, wakeUpToken: ring, book, movedAt: clock.now() });
    this.tools = new Set(JSON.parse(tools));
    this.proposals = proposals === 1;
    this.callsAtMost = calls_at_most;
    this.deadline = deadline_ms;
    this.note("thinking");
  }

  /** Whether a run is the turn's own. Other runs in its session are announcements of children, or of an earlier turn. */
  isOwn(run) {
    if (this.run !== null || !this.resumed) return run === (this.run ?? this.key);
    return !run.includes(":");
  }

  let(call, tool) {
    this.seen.set(call, 1);
    this.seen.set(`tool:${tool}`, (this.seen.get(`tool:${tool}`) ?? 0) + 1);
  }

  /** Whether a tool that has run was allowed. Where the gateway reports ids in two forms, one allowed call for each run suffices. */
  wasLet(call, tool) {
    const left = this.seen.get(`tool:${tool}`) ?? 0;
    this.seen.set(`tool:${tool}`, left - 1);
    return this.seen.has(call) || left > 0;
  }

  /** Adds an entry of progress. Repeated equal entries are one. */
  note(what, more = {}) {
    this.movedAt = clock.now();
    const last = this.progress.at(-1);
    if (last?.what === what && what !== "tool") return;
    this.progress.push({ at_ms: this.movedAt, what, ...more });
    this.progress.splice(0, this.progress.length - PROGRESS_SHOWN);
    if (what === "tool") this.book.wakeUps.changed(this);
  }

  /** Marks a running tool as ended. */
  noteEnd(tool, failed) {
    this.movedAt = clock.now();
    const line = this.progress.findLast((one) => one.tool === tool && one.state === "running");
    if (line) line.state = failed ? "failed" : "done";
    this.book.wakeUps.changed(this);
  }

  say(text) {
    this.partial = wellFormedText(cutToLast(text, PARTIAL_LETTERS));
    this.note("replying");
  }
}

/** The turns of this journal: one open turn at most for each session, found by it, and the rows of all others. */
export class TurnBook {
  wakeUps = new WakeUps();
  #open;
  #unwritten = new Map();

  constructor(journal) {
    this.journal = journal;
  }

  /** Open turns of an earlier process are read once, when the file can first be read. */
  open() {
    this.#open ??= new Map(this.#left().map((row) => [row.session, new OpenTurn(row, true, this)]));
    return this.#open;
  }

  #left() {
    const left = this.journal.read((sql) => sql.openTurns.all());
    if (left.some((row) => row.resumed === 0)) this.journal.record((sql) => sql.resume.run());
    return left;
  }

  ofSession = (session) => this.open().get(session);
  ofKey = (key) => [...this.open().values()].find((turn) => turn.key === key);
  countOf = (agent) => [...this.open().values()].filter((turn) => turn.agent === agent).length;

  /** Claims the key and opens the turn, both on disk when this returns. */
  claim(call, released) {
    const row = {
      key: call.key, session: call.session, agent: call.agent, tools: JSON.stringify(call.tools.map(toolName)),
      proposals: call.proposals ? 1 : 0, calls_at_most: call.callsAtMost, deadline_ms: clock.now() + call.timeoutMs,
      ring: call.wakeUpToken ?? null,
    };
    const claimed = this.journal.claim({ ...call, kind: "turn" }, released, (sql) => sql.claimTurn.run(row));
    if (call.state === "started") this.open().set(call.session, new OpenTurn({ ...row, attempts: 0 }, false, this));
    return claimed;
  }

  /** Ends a turn. From then on its session is free, and the tool guard blocks every call in it. */
  settle(turn, { state, reply = null, isCut = false, error = null }) {
    if (this.open().get(turn.session) !== turn) return;
    this.open().delete(turn.session);
    const result = reply === null ? null : JSON.stringify(reply);
    const outcome = { state, status: null, result, omitted: isCut ? "too_large" : null };
    this.#unwritten.set(turn.key, error);
    const end = (sql) => {
      sql.settle.run({ key: turn.key, error });
      return () => {
        this.#unwritten.delete(turn.key);
        this.wakeUps.ended(turn);
      };
    };
    // A turn of an earlier process ends without a caller, in a restored file too, so it must not increment the sequence.
    this.journal.finish({ key: turn.key }, outcome, end, !turn.resumed);
  }

  /** Sessions of single turns without a request since `cutoff`. */
  leftBehind = (cutoff) => this.journal.read((sql) => sql.leftBehind.all(cutoff)).map(({ session }) => session);

  /** Removes a session that the gateway has deleted. */
  forgetSession = (session) => this.journal.record((sql) => sql.forgetSession.run(session));

  /** Decides about a call in a turn: `allowed`, `proposed` or `vetoed`, on disk when this returns. */
  decide(turn, isListed, { run, session, call, tool, digest, args, isShut }) {
    const isExhausted = turn.attempts >= turn.callsAtMost;
    const isVetoed = isShut || isExhausted || turn.stopping !== null;
    const decision = isVetoed ? "vetoed" : isListed ? "allowed" : turn.proposals ? "proposed" : "vetoed";
    this.journal.record((sql) => {
      sql.attempt.run(turn.key);
      if (decision !== "allowed" && sql.known.get(turn.key, tool, digest, decision)) return;
      this.journal.insertProposal(sql, { run, session, call, turn: turn.key, tool, digest, args, decision });
    });
    turn.attempts += 1;
    if (decision === "allowed") turn.let(call, tool);
    turn.note("tool", { tool, state: decision === "allowed" ? "running" : decision });
    if (isExhausted) this.onExhausted?.(turn);
    return decision;
  }

  /** For display only: if the file cannot be written, nothing else is affected. */
  ended({ session, run, call, tool, failed }) {
    try {
      const turn = this.ofSession(session);
      if (!turn) return;
      turn.noteEnd(tool, failed);
      this.journal.record((sql) => sql.ended.run({ turn: turn.key, run, call, failed: failed ? 1 : 0 }));
    } catch (error) {
      this.journal.log?.(`the end of a tool in a turn was not recorded: ${error.message}`);
    }
  }

  /** The public form of any row. */
  anyEntry = (row, replayed) => (row.kind === "turn" ? this.entry(row, replayed) : this.journal.entry(row, replayed));

  /** The public form of a turn. */
  entry(row, replayed) {
    const { key, state, started_ms, ended_ms } = row;
    const open = this.ofKey(key);
    const { turn, calls, total } = this.journal.read((sql) => ({
      turn: sql.turn.get(key), calls: sql.callsOfTurn.all(key, CALLS_SHOWN), total: sql.countOfTurn.get(key).total,
    }));
    const shown = withinCap(calls, open ? PROGRESS_SHOWN : CALLS_SHOWN);
    return {
      key, kind: "turn", tool: null, state, started_ms, ended_ms, replayed, resumed: turn?.resumed === 1,
      reply: row.result ? wellFormedText(JSON.parse(row.result)) : null, truncated: row.truncated === 1,
      error: this.#unwritten.get(key) ?? turn?.error ?? null,
      progress: open?.progress ?? [], partial: open?.partial ?? null, calls: shown, calls_total: total,
      rings: open ? this.wakeUps.reaches(open.wakeUpToken) : false,
    };
  }
}

/**
 * The public form of the calls. Their arguments together stay under a cap, proposals first, so that the response stays below the
 * size that callers read. For an open turn only the last calls have arguments.
 */
function withinCap(recorded, last) {
  const calls = recorded.map((call) => ({ ...call, args: call.args === null ? null : readableJson(call.args) }));
  let left = ARGS_CAP;
  const from = calls.length - last;
  const keeps = (call, at) => {
    const size = at >= from && call.args !== null ? Buffer.byteLength(JSON.stringify(call.args)) : Infinity;
    if (size > left) return false;
    left -= size;
    return true;
  };
  const kept = new Set();
  for (const isProposal of [true, false]) {
    calls.forEach((call, at) => (call.decision === "proposed") === isProposal && keeps(call, at) && kept.add(call));
  }
  return calls.map((call) => ({
    tool: call.tool, decision: call.decision, args: kept.has(call) ? call.args : null,
    failed: call.failed === null ? null : call.failed === 1, at_ms: call.at_ms,
  }));
}
