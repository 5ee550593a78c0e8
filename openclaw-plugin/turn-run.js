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
// What a run that was told to stop may take; after that its turn ends without it, and the fence keeps it shut.
const STOP_GRACE_MS = 10_000;
// The gateway resumes by itself what a crash cut off, about ten seconds after its start.
const LOST_MS = 60_000;
const LOST = { lost: true };

// The gateway tells 4096 letters of a reply at most.
const TOLD_LETTERS = 4000;
const ATTEMPTS = 5;
const LEFT_BEHIND_MS = 86_400_000;
// An agent may choose to say nothing (`silent`), or have nothing to say.
const SAYS_NOTHING = new Set(["empty", "silent"]);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref());

/**
 * Runs turns on the gateway and follows those that the gateway resumes. `gateway` is `{run, wait, messages, forget,
 * stop, isStuck, free}`, none of them bound to a request.
 */
export class TurnRunner {
  #timer;
  #notBefore = 0;
  /** The run that is at work in a session of ours, by the session. */
  #active = new Map();
  /** Turns that are over, and whose run was told to stop and has not. */
  #strays = new Set();
  /** Sessions that are being deleted, and what will have come of it. */
  #forgetting = new Map();

  constructor(book, gateway, log) {
    Object.assign(this, { book, gateway, log });
  }

  /** Looks after open turns, those of a former process included, until none is left. */
  begin() {
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
  }

  #tick() {
    if (Date.now() < this.#notBefore) return;
    try {
      for (const turn of this.book.open().values()) this.#look(turn);
      for (const turn of this.#strays) void this.#nowAndThen(turn, () => this.#tellToStop(turn));
    } catch {
      // The file cannot be read: nothing runs. Each try may hold the gateway for a moment, so there are few.
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

  /** One at a time for each turn, and not at every tick. */
  async #nowAndThen(turn, work) {
    if (turn.busy) return;
    turn.busy = true;
    await work();
    setTimeout(() => (turn.busy = false), PAUSE_MS).unref();
  }

  start(turn, { message, key, tools }) {
    this.begin();
    // Without a tool of its own an agent may still propose what others do.
    const hasNoTools = tools.length === 0 && !turn.proposals;
    const told = { message: asPlainText(message), idempotencyKey: key };
    const request = { sessionKey: turn.session, ...told, disableTools: hasNoTools };
    this.gateway.outside(() => void this.#run(turn, request));
  }

  /** The gateway takes a run with the same id as the same run, so one that it did not accept may be asked for again. */
  async #run(turn, request) {
    await this.#free(turn.session);
    for (let attempt = 1; this.#isOpen(turn); attempt += 1) {
      // One that the gateway has taken all the same is asked for again, and told to stop.
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

  /** A session in which the gateway has given up a run after a crash takes another one only when it is freed. */
  #free(session) {
    return this.gateway.free(session).catch((error) => this.log?.(`a session was not freed: ${withoutIds(error)}`));
  }

  /** Not a sign of a run was seen: the same turn may be sent again. */
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

  /** One that the gateway will not go on with is lost, though nothing in the transcript says so. */
  #found = async (turn) => (await this.#end(turn)) ?? ((await this.gateway.isStuck(turn.session)) ? LOST : null);

  #fail = (turn, error) => this.#settle(turn, { state: "failed", error });

  /** What the gateway tells of a long reply is its beginning; the whole of it stands in the transcript. */
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

  /** Only the run of this turn, and one that has not begun cannot be stopped: so it is told again and again. */
  async #tellToStop(turn) {
    if (this.#active.get(turn.session) !== runOf(turn)) return;
    await this.gateway.stop(turn.session).catch((error) => this.log?.(`a run cannot be stopped: ${withoutIds(error)}`));
  }

  /** The turn ends without its run, which nothing lets through any more. */
  #giveUpStopping(turn) {
    this.#strays.add(turn);
    this.#fail(turn, turn.stopping);
  }

  /** Whether the gateway knew the session; null when it has not deleted it. No turn may begin there meanwhile. */
  forget(session) {
    const underWay = this.#forgetting.get(session);
    if (underWay) return underWay;
    const forgotten = this.#forget(session).finally(() => this.#forgetting.delete(session));
    this.#forgetting.set(session, forgotten);
    return forgotten;
  }

  /** These may go on when their caller has gone. */
  isForgetting = (session) => this.#forgetting.has(session);

  /** It may still be busy with its last run. What a turn has begun in is not deleted. */
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

  /** An event of a run in a session of ours. A run that we did not start is the gateway's own resumption. */
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

  /** A tool that has run, and whose call the hook did not let through: this gateway has a way around the fence. */
  #check(turn, { toolCallId, name, isError }) {
    if (isError || turn.wasLet(toolCallId, toolName(name))) return;
    this.book.journal.isFenceBroken = true;
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
      return undefined; // The file cannot be read, and what cannot be read shows no progress.
    }
  }

  /** A turn whose process has died: perhaps it had ended, perhaps the gateway resumes it or has given it up. */
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

/** Sessions and runs are named after people. */
const IDS = /\S*[0-9a-f]{8}-[0-9a-f]{4}-\S*/g;
const withoutIds = (error) => cut(String(error?.message ?? error), 200).replace(IDS, "…");
