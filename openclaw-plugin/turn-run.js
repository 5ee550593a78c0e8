import { toolName } from "./canonical.js";
import { clock } from "./clock.js";
import { asPlainText } from "./prompt.js";
import { isFinal, isUnknownAgent } from "./refusal.js";
import { cut, cutToJson, isBlank, wellFormedText } from "./text.js";
import { foundEnd } from "./transcript.js";
import { isOurs } from "./turn-book.js";

// Bytes in JSON. The service counts a result like that, at most 64 KiB of it with the names around the reply.
const REPLY_CAP = 60 * 1024;
const WAIT_MS = 20_000;
const PAUSE_MS = 500;
const TICK_MS = 200;
const SHUT_MS = 5000;
// How long a stopped run may take to end; after that its turn ends without it, and the tool guard blocks its calls.
const STOP_GRACE_MS = 10_000;
// The gateway resumes interrupted runs by itself, about ten seconds after its start.
const LOST_MS = 60_000;
const LOST = { lost: true };

// The gateway reports at most 4096 characters of a reply.
const TOLD_LETTERS = 4000;
const ATTEMPTS = 5;
const LEFT_BEHIND_MS = 86_400_000;
// An agent may choose to be silent (`silent`), or reply with no text.
const SAYS_NOTHING = new Set(["empty", "silent"]);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref());

/**
 * Runs turns on the gateway and follows those that the gateway resumes. `gateway` is `{run, wait, messages, forget,
 * stop, isStuck, free}`, none of them bound to a request.
 */
export class TurnRunner {
  #timer;
  #notBefore = 0;
  /** The active run of each session. */
  #active = new Map();
  /** Ended turns whose run was told to stop and has not ended. */
  #strays = new Set();
  /** Sessions that are being deleted, with the promise of the result. */
  #forgetting = new Map();

  constructor(book, gateway, log) {
    Object.assign(this, { book, gateway, log });
  }

  /** Follows open turns, those of an earlier process included, until none is left. */
  begin() {
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
  }

  #tick() {
    if (Date.now() < this.#notBefore) return;
    try {
      for (const turn of this.book.open().values()) this.#look(turn);
      for (const turn of this.#strays) void this.#nowAndThen(turn, () => this.#tellToStop(turn));
    } catch {
      // The file cannot be read, so no turn runs. Each attempt may block the gateway for a moment, so there are few.
      this.#notBefore = Date.now() + SHUT_MS;
    }
  }

  #look(turn) {
    const now = clock.now();
    const isAtWork = turn.run !== null || !turn.resumed;
    if (turn.stopping && now >= turn.stopBy) this.#giveUpStopping(turn);
    else if (turn.stopping) void this.#nowAndThen(turn, () => this.#tellToStop(turn));
    else if (isAtWork && now >= turn.deadline) void this.stop(turn, "turn_timed_out");
    else if (!isAtWork) void this.#nowAndThen(turn, () => this.#search(turn));
  }

  /** One read of the transcript at a time for each turn, and not at every tick. */
  async #nowAndThen(turn, work) {
    if (turn.busy) return;
    turn.busy = true;
    await work();
    setTimeout(() => (turn.busy = false), PAUSE_MS).unref();
  }

  start(turn, { message, key, tools }) {
    this.begin();
    // An agent without reads may still propose calls.
    const hasNoTools = tools.length === 0 && !turn.proposals;
    const told = { message: asPlainText(message), idempotencyKey: key };
    const request = { sessionKey: turn.session, ...told, disableTools: hasNoTools };
    this.gateway.outside(() => void this.#run(turn, request));
  }

  /** The gateway treats a run with the same id as the same run, so one that it did not accept may be requested again. */
  async #run(turn, request) {
    await this.#free(turn.session);
    for (let attempt = 1; this.#isOpen(turn); attempt += 1) {
      // A run that the gateway has accepted nevertheless is requested again, and then stopped.
      if (turn.stopping && !turn.isHeard) return this.#fail(turn, turn.stopping);
      try {
        turn.run = (await this.gateway.run({ ...request, deliver: false })).runId;
        return this.#follow(turn, turn.run);
      } catch (error) {
        if (turn.stopping) return this.#fail(turn, turn.stopping);
        if (isUnknownAgent(error)) return this.#fail(turn, "agent_unknown");
        this.log?.(`a turn was not accepted: ${withoutIds(error)}`);
        if (isFinal(error) && !turn.isHeard) return this.#fail(turn, "refused_by_gateway");
        if (attempt === ATTEMPTS) return this.#notAccepted(turn);
        await pause(attempt * PAUSE_MS);
      }
    }
    return undefined;
  }

  /** A session in which the gateway abandoned a run after a crash accepts another one only after it is freed. */
  #free(session) {
    return this.gateway.free(session).catch((error) => this.log?.(`a session was not freed: ${withoutIds(error)}`));
  }

  /** No event of a run was seen: the same turn may be sent again. */
  #notAccepted(turn) {
    if (!turn.isHeard) return this.#settle(turn, { state: "released" });
    turn.run = turn.key;
    return this.#follow(turn, turn.key);
  }

  /** Waits for the end of a run, however often the gateway says that it is not over. */
  async #follow(turn, run) {
    while (this.#isOpen(turn) && turn.run === run) {
      const seen = await this.gateway.wait({ runId: run, timeoutMs: WAIT_MS }).catch(() => null);
      if (seen && seen.status !== "pending" && seen.endedAt !== undefined) return this.#conclude(turn, seen);
      if (!seen || seen.status !== "timeout") await pause(PAUSE_MS);
    }
    return undefined;
  }

  async #conclude(turn, { status, terminalReply }) {
    if (turn.stopping) return this.#fail(turn, turn.stopping);
    if (status === "timeout") return this.#fail(turn, "turn_timed_out");
    if (status === "ok") return this.#keep(turn, terminalReply?.disposition === "visible" ? terminalReply.text : "");
    const end = await this.#end(turn).catch(() => null);
    return this.#fail(turn, end?.error ?? (SAYS_NOTHING.has(terminalReply?.disposition) ? "reply_empty" : "model_failed"));
  }

  #end = async (turn) => foundEnd(await this.gateway.messages(turn.session), turn.key);

  /** A turn that the gateway will not resume is lost, even if the transcript has no sign of it. */
  #found = async (turn) => (await this.#end(turn)) ?? ((await this.gateway.isStuck(turn.session)) ? LOST : null);

  #fail = (turn, error) => this.#settle(turn, { state: "failed", error });

  /** The gateway reports only the beginning of a long reply; the transcript has all of it. */
  async #keep(turn, told) {
    if (told.length < TOLD_LETTERS) return this.#finish(turn, told);
    const whole = (await this.#end(turn).catch(() => null))?.reply;
    return whole === undefined ? this.#finish(turn, told, true) : this.#finish(turn, whole);
  }

  #finish(turn, text, isPart = false) {
    if (isBlank(text)) return this.#fail(turn, "reply_empty");
    const whole = wellFormedText(text);
    const reply = cutToJson(whole, REPLY_CAP);
    return this.#settle(turn, { state: "finished", reply, isCut: reply !== whole || isPart });
  }

  #isOpen = (turn) => this.book.ofSession(turn.session) === turn;

  #settle(turn, end) {
    this.book.settle(turn, end);
    for (const tell of turn.waiting) tell();
  }

  /** Resolves when the turn is over, or after `waitMs`. */
  async stop(turn, why, waitMs = 0) {
    if (!turn.stopping) {
      turn.stopping = why;
      turn.stopBy = clock.now() + STOP_GRACE_MS;
    }
    const over = new Promise((resolve) => turn.waiting.push(resolve));
    await this.#tellToStop(turn);
    if (waitMs > 0) await Promise.race([over, pause(waitMs)]);
  }

  /** Stops only the run of this turn. A run that has not begun cannot be stopped, so the request is repeated. */
  async #tellToStop(turn) {
    if (this.#active.get(turn.session) !== runOf(turn)) return;
    await this.gateway.stop(turn.session).catch((error) => this.log?.(`a run cannot be stopped: ${withoutIds(error)}`));
  }

  /** Ends the turn without its run, whose calls the tool guard blocks from then on. */
  #giveUpStopping(turn) {
    this.#strays.add(turn);
    this.#fail(turn, turn.stopping);
  }

  /** Deletes a session. Resolves to whether the gateway had it; null when it was not deleted. Meanwhile no turn may begin in it. */
  forget(session) {
    const underWay = this.#forgetting.get(session);
    if (underWay) return underWay;
    const forgotten = this.#forget(session).finally(() => this.#forgetting.delete(session));
    this.#forgetting.set(session, forgotten);
    return forgotten;
  }

  /** Deletions continue after their caller has disconnected. */
  isForgetting = (session) => this.#forgetting.has(session);

  /** The session may still be busy with its last run. A session in which a turn has begun is not deleted. */
  async #forget(session) {
    for (let attempt = 1; attempt <= ATTEMPTS && !this.book.ofSession(session); attempt += 1) {
      try {
        const ended = await this.gateway.forget(session);
        this.book.forgetSession(session);
        return ended;
      } catch (error) {
        this.log?.(`a session cannot be deleted: ${withoutIds(error)}`);
        await pause(PAUSE_MS);
      }
    }
    return null;
  }

  /** Ends sessions of single turns that the service has not ended. */
  async sweep() {
    for (const session of this.book.leftBehind(clock.now() - LEFT_BEHIND_MS)) await this.forget(session);
  }

  /** Handles an event of a run in a turn's session. A run that this plugin did not start is the gateway's own resumption. */
  heard({ sessionKey, runId, stream, data }) {
    if (!sessionKey || !isOurs(sessionKey)) return;
    if (stream === "lifecycle") this.#track(sessionKey, runId, data.phase);
    const turn = this.#turnOf(sessionKey);
    if (!turn) return;
    if (turn.resumed && !turn.run && turn.isOwn(runId) && this.#active.get(sessionKey) === runId) {
      turn.run = runId;
      this.gateway.outside(() => void this.#follow(turn, runId));
    }
    if (runId !== runOf(turn)) return;
    turn.isHeard = true;
    if (stream === "tool" && data.phase === "result") this.#check(turn, data);
    if (stream === "assistant" && typeof data.text === "string") turn.say(data.text);
    else if (stream === "lifecycle" && data.phase === "model" && data.provider) turn.note("thinking");
  }

  /** A tool has run whose call the hook did not allow: tool calls can bypass the tool guard at this gateway. */
  #check(turn, { toolCallId, name, isError }) {
    if (isError || turn.wasLet(toolCallId, toolName(name))) return;
    this.book.journal.isGuardBroken = true;
    this.log?.("a tool has run in a turn past the hook; writes and turns stop until the gateway is started again");
    void this.stop(turn, "turn_aborted");
  }

  #track(sessionKey, runId, phase) {
    if (phase === "start") this.#active.set(sessionKey, runId);
    if (phase !== "end" && phase !== "error") return;
    if (this.#active.get(sessionKey) === runId) this.#active.delete(sessionKey);
    for (const turn of this.#strays) if (runOf(turn) === runId) this.#strays.delete(turn);
  }

  #turnOf(sessionKey) {
    try {
      return this.book.ofSession(sessionKey);
    } catch {
      return undefined; // While the file cannot be read, no progress is shown.
    }
  }

  /** A turn of an earlier process: it may have ended, or the gateway may resume or abandon it. */
  async #search(turn) {
    const isLate = clock.now() - turn.movedAt >= LOST_MS;
    const end = await this.#found(turn).catch((error) => {
      this.log?.(`the transcript of a turn cannot be read: ${withoutIds(error)}`);
      return null;
    });
    if (turn.run || !this.#isOpen(turn)) return;
    if (end?.reply) this.#finish(turn, end.reply);
    else if (end?.error) this.#fail(turn, end.error);
    else if (end?.lost || isLate) this.#settle(turn, { state: "interrupted", error: "turn_lost" });
  }
}

/** The key of a turn is the id of its run, until the gateway resumes it under another. */
const runOf = (turn) => turn.run ?? turn.key;

/** Removes names of sessions and runs, which contain user ids. */
const IDS = /\S*[0-9a-f]{8}-[0-9a-f]{4}-\S*/g;
const withoutIds = (error) => cut(String(error?.message ?? error), 200).replace(IDS, "…");
