// Drains the outbox and follows open jobs, in the foreground only.
import type { ServerClock } from "./clock.ts";
import type { Connection, Reply } from "./connection.ts";
import { HOUR_MS, phoneError } from "./errors.ts";
import { Handle, type Owner } from "./handle.ts";
import { type Intent, type Intents, bodyOf, judge, keyOf } from "./intents.ts";
import { requestId, timeOf } from "./request-id.ts";
import { type Sessions, errorOf } from "./session.ts";
import type { ClientError, IntentOptions, Problem, Submission } from "./types.ts";

export interface Engine extends Owner {
  /** The intents of the user who is logged in; none before the first login. */
  open_(): Handle[];
  /** A new intent, or the one that this tap repeats. */
  add_(body: Submission, options?: IntentOptions): Handle;
  follow_(id: string, reply?: Reply): Handle;
  show_(): void;
  hide_(): void;
  /** Retries requests that had no network; delays that the service requested continue. */
  retry_(): void;
  /** Sends the next submissions that may be sent, and polls jobs that are due. */
  wake_(): void;
  close_(): void;
}

export function engineOf(clock: ServerClock, connection: Connection, sessions: Sessions, intents: Intents, doubleTapMs: number): Engine {
  // Inside the function the build puts the numbers in their places.
  const WAIT_S = 20;
  const LONGEST_PAUSE_MS = 60_000;
  /** Number of handles of ended jobs that are kept for a second tap of the same intent. */
  const RECENT = 32;
  /** From here on an id that was made by the phone's clock is corrected before it is used. */
  const WRONG_MS = 60_000;

  const phone = clock.phone_;
  let handles: Handle[] = [];
  let recent: Handle[] = [];
  let stopped = false;
  /** How often the app came to the foreground: results of earlier requests are not used for the network state. */
  let shows = 0;
  let sending = false;

  const wakeUp = (handle: Handle): void => {
    handle.resting_?.();
    handle.resting_ = undefined;
  };
  const rest = (handle: Handle, ms: number): void => {
    wakeUp(handle);
    handle.resting_ = phone.after_(ms, () => {
      handle.resting_ = undefined;
      engine.wake_();
    });
  };
  const mine = ({ intent_: intent }: Handle): boolean => {
    const user = sessions.user_();
    return !intent?.user || !user || intent.user === user;
  };

  /** Waits as long as the service says, less the time for which it held the response. */
  const next = (handle: Handle, reply: Reply, heldMs: number): void => {
    const ms = Math.min(Number(reply.header_("next-poll-ms")) || 2000, HOUR_MS);
    rest(handle, Math.max(50, ms - Math.max(0, heldMs)));
  };

  const recorded = (handle: Handle, intent: Intent, reply: Reply): void => {
    handle.take_(reply);
    if (handle.over) return;
    const { cancel } = intent;
    intent.accepted = true;
    delete intent.cancel;
    intents.save_();
    next(handle, reply, 0);
    if (cancel) handle.cancel().catch(() => undefined);
  };

  /** The service does not know the id, and does not take its time. */
  const misdated = (handle: Handle, intent: Intent, error: ClientError, sent?: boolean): void => {
    const told = Date.parse((error as { problem?: Problem }).problem?.server_time as string);
    clock.observe_(told, true);
    const verdict = judge(intent, error.code, told, sent);
    if (typeof verdict === "string") return handle.end_(error, verdict);
    if (verdict === 0) intent.id = requestId(clock.now_());
    else error.retryAfterMs = verdict;
    intents.save_();
    throw error;
  };

  /** A request may have left before the user took it back. */
  const takeBack = async (handle: Handle, intent: Intent): Promise<void> => {
    const reply = await sessions.call_({ method: "POST", path_: `${handle.path_}/cancel` }, intent.user);
    const error = errorOf(reply);
    if (error?.code === "not_found") return handle.end_(phoneError("cancelled", "not recorded"), "unknown");
    delete intent.cancel;
    if (error?.code === "job_over") return void (await handle.ask_("GET"));
    if (error) throw error;
    recorded(handle, intent, reply);
  };

  const send = async (handle: Handle, intent: Intent): Promise<void> => {
    const { userId } = await sessions.get_();
    if (intents.closed_ || (intent.user && intent.user !== userId)) return;
    intent.user = userId;
    if (handle.guessed_ && !intent.sent && Math.abs(clock.skew_ ?? 0) > WRONG_MS) {
      intent.id = requestId(Math.max(timeOf(intent.id) + clock.skew_!, intent.seen));
    }
    handle.guessed_ = false;
    if (intent.cancel) return takeBack(handle, intent);
    const { sent } = intent;
    intent.sent = true;
    intents.save_();
    const header_ = { "idempotency-key": intent.id };
    const reply = await sessions.call_({ method: "POST", path_: "/v1/jobs", body_: bodyOf(intent), header_ }, userId);
    const error = errorOf(reply);
    if (!error) recorded(handle, intent, reply);
    else if (error.code.startsWith("request_id_")) misdated(handle, intent, error, sent);
    // A limit, the platform, or a session that could not be renewed: the same again later, under the same id.
    else if (error.retryable) throw error;
    else handle.end_(error, "not_run");
  };

  const poll = async (handle: Handle, wait: number): Promise<void> => {
    const began = phone.now();
    const { job } = handle;
    const path_ = `${handle.path_}?wait=${wait}`;
    const header_: Record<string, string> = handle.etag_ ? { "if-none-match": handle.etag_ } : {};
    const reply = await sessions.call_({ method: "GET", path_, header_, timeout_: (wait + 10) * 1000, yields_: true }, handle.intent_?.user);
    const error = errorOf(reply);
    // The service has lost it, or it is another user's.
    if (error?.code === "not_found") return handle.end_(error, "unknown");
    if (reply.status_ === 304) {
      handle.error = undefined;
      handle.failures_ = 0;
    } else handle.take_(reply, job);
    if (!handle.over) next(handle, reply, phone.now() - began);
  };

  /** Runs one request for a handle; one that failed rests, longer each time. */
  const work = async (handle: Handle, run: () => Promise<void>): Promise<void> => {
    const shown = shows;
    handle.busy_ = true;
    await run().catch((error: ClientError) => {
      // Aborted for something more urgent, or for the background: nothing has gone wrong.
      if (handle.over || /aborted$/.test(error.message)) return;
      handle.error = error;
      // The app is in the background, unless it has come back since that request was sent.
      if (/interrupted$/.test(error.message) && shown === shows) engine.hide_();
      const pause = Math.min(LONGEST_PAUSE_MS, 500 * 2 ** handle.failures_++) * (0.75 + Math.random() / 2);
      // A request from before the app went to the background says nothing about the present network.
      if (shown === shows || error.retryAfterMs) rest(handle, error.retryAfterMs || pause);
      handle.changed_();
    });
    handle.busy_ = false;
  };

  const engine: Engine = {
    listeners_: new Set(),
    sessions_: sessions,
    open_: () => handles.filter(mine),
    add_: (body, { intent: key, validForMs: validMs, notify } = {}) => {
      if (intents.closed_) throw phoneError("closed", "by close()");
      stopped = false;
      // A copy: the page may go on with what it has given, and every request of an intent is the same.
      const text = JSON.stringify({ ...body, notify });
      const wanted = key ?? text;
      const twin = (handle: Handle): boolean => !!handle.intent_ && keyOf(handle.intent_) === wanted && mine(handle);
      const same = handles.find(twin) ?? recent.find((handle) => twin(handle) && (key || handle.young_));
      if (same) return same;
      const intent = intents.add_({ key, body: JSON.parse(text) as Submission, validMs, user: sessions.user_() });
      const handle = new Handle(engine, intent.id, intent);
      handle.young_ = true;
      handle.guessed_ = clock.skew_ === undefined;
      phone.after_(doubleTapMs, () => (handle.young_ = false));
      handles.push(handle);
      handle.changed_();
      engine.wake_();
      return handle;
    },
    follow_: (id, reply) => {
      let handle = [...handles, ...recent].find((known) => known.requestId === id);
      if (!handle) {
        handles.push((handle = new Handle(engine, id)));
        if (reply) handle.take_(reply);
        engine.wake_();
      }
      return handle;
    },
    takeBack_: (handle) => {
      const intent = handle.intent_!;
      if (!intent.sent && !handle.busy_) return handle.end_(phoneError("cancelled", "not sent"), "not_run");
      intent.cancel = true;
      intents.save_();
      engine.wake_();
    },
    ended_: (handle) => {
      wakeUp(handle);
      handles = handles.filter((other) => other !== handle);
      if (handle.intent_) intents.remove_(handle.intent_);
      recent = [handle, ...recent].slice(0, RECENT);
    },
    show_: () => {
      stopped = false;
      shows += 1;
      engine.retry_();
    },
    hide_: () => {
      stopped = true;
      connection.yield_();
    },
    retry_: () => {
      sessions.retry_();
      for (const handle of handles) if (!handle.error?.retryAfterMs) wakeUp(handle);
      engine.wake_();
    },
    close_: () => {
      intents.closed_ = true;
      connection.yield_();
      handles.forEach(wakeUp);
    },
    wake_: () => {
      if (intents.closed_ || stopped) return;
      const lanes = new Set<string | undefined>();
      const mineNow = engine.open_();
      const due = mineNow.filter((handle) => handle.recorded_);
      // One intent waits for all that the limit holds for: when its rest is over, one request shows whether it still does.
      const limited = ({ body, cancel }: Intent): boolean =>
        !cancel && mineNow.some(({ resting_, error, submission }) =>
          resting_ && (error?.code === "rate_limited" || (error?.code === "in_flight_full" && submission && "tool" in submission === "tool" in body)));
      for (const handle of mineNow) {
        const intent = handle.intent_!;
        const idle = !handle.busy_ && handle.resting_ === undefined;
        if (handle.recorded_) {
          // With more jobs than connections they are polled in rotation.
          if (idle && connection.free_()) void work(handle, () => poll(handle, due.length <= 2 && handle.job ? WAIT_S : 0)).then(engine.wake_);
          continue;
        }
        // Submissions of one conversation are sent in order: the earlier one has to be recorded first.
        const { steps = [intent.body] } = intent.body as { steps?: object[] };
        const own = (steps as { conversation?: string }[]).map(({ conversation }) => conversation).filter(Boolean);
        if (idle && !sending && !limited(intent) && !own.some((lane) => lanes.has(lane))) {
          sending = true;
          void work(handle, () => send(handle, intent)).then(() => {
            sending = false;
            engine.wake_();
          });
        }
        for (const lane of own) lanes.add(lane);
      }
    },
  };
  handles = intents.all_.map((intent) => new Handle(engine, intent.id, intent));
  return engine;
}
