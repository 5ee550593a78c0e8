import { type PhoneClock, phoneClock, serverClock } from "./clock.ts";
import { connect, type Reply, type Request } from "./connection.ts";
import { engineOf } from "./engine.ts";
import { pathOf } from "./handle.ts";
import { intentsOf } from "./intents.ts";
import { sessionsOf, successOf } from "./session.ts";
import { subscribe } from "./subscribe.ts";
import type { Client, ClientError, ClientOptions, ClientStorage, IntentOptions, JobHandle, PageOptions, Submission, Wx } from "./types.ts";

declare const wx: Wx | undefined;

/** The client of a service. Make one, in `app.ts`, and keep it as long as the app runs. */
export function createClient(options: ClientOptions & { clock?: PhoneClock }): Client {
  const { baseUrl } = options;
  const phone = options.wx ?? wx!;
  const storage = options.storage ?? storageOf(phone);
  const clock = serverClock(options.clock ?? phoneClock);
  const intents = intentsOf(storage, clock, `openclaw:intents:${baseUrl}`, options.maxIntents ?? 32);
  const connection = connect(phone, baseUrl, clock);
  const sessions = sessionsOf(connection, storage, phone, clock, `openclaw:session:${baseUrl}`);
  const engine = engineOf(clock, connection, sessions, intents, options.doubleTapMs ?? 1000);

  const network = ({ isConnected }: { isConnected: boolean }): void => {
    if (isConnected) engine.retry_();
  };
  phone.onAppShow?.(engine.show_);
  phone.onAppHide?.(engine.hide_);
  phone.onNetworkStatusChange?.(network);
  engine.wake_();

  const call = async (method: Request["method"], path_: string): Promise<Reply> => successOf(await sessions.call_({ method, path_ }));
  const read = async <T>(path: string): Promise<T> => (await call("GET", path)).body_ as T;
  const add = (body: Submission, { intent, validForMs }: IntentOptions = {}): JobHandle => engine.add_(body, intent, validForMs);

  return {
    login: async () => {
      const { userId, expiresAt } = await sessions.get_();
      // After a logout as well.
      engine.show_();
      return { userId, expiresAt };
    },
    logout: async () => {
      // What is open would log in again.
      engine.hide_();
      await call("DELETE", "/v1/sessions").catch((error: ClientError) => {
        engine.show_();
        throw error;
      });
      sessions.drop_();
    },
    tools: async () => (await read<{ tools: [] }>("/v1/tools")).tools,
    agents: async () => (await read<{ agents: [] }>("/v1/agents")).agents,
    submit: (tool, args, more) => add({ tool, arguments: args }, more),
    // The copy that is kept has no member that is undefined.
    say: (message, more = {}) => add({ message, agent: more.agent || undefined, conversation: more.conversation || undefined } as Submission, more),
    run: (steps, more) => add({ steps }, more),
    open: engine.open_,
    follow: (requestId) => engine.follow_(requestId),
    jobs: (page) => read(`/v1/jobs${query(page)}`),
    job: (requestId) => read(pathOf(requestId)),
    step: (requestId, place) => read(`${pathOf(requestId)}/steps/${place}`),
    audit: (requestId) => read(`${pathOf(requestId)}/audit`),
    conversations: (page) => read(`/v1/conversations${query(page)}`),
    deleteConversation: async (name) => {
      const reply = await call("DELETE", `/v1/conversations/${encodeURIComponent(name)}`);
      return engine.follow_(String(reply.body_?.["request_id"]), reply);
    },
    requestSubscribe: (templates) => subscribe(phone, templates),
    onChange: (listener) => {
      engine.listeners_.add(listener);
      return () => engine.listeners_.delete(listener);
    },
    now: clock.now_,
    show: engine.show_,
    hide: engine.hide_,
    close: () => {
      engine.close_();
      phone.offAppShow?.(engine.show_);
      phone.offAppHide?.(engine.hide_);
      phone.offNetworkStatusChange?.(network);
    },
  };
}

function query({ limit, cursor }: PageOptions = {}): string {
  return `?limit=${limit ?? 20}` + (cursor ? `&cursor=${encodeURIComponent(cursor)}` : "");
}

function storageOf(phone: Wx): ClientStorage {
  return {
    get: (key) => phone.getStorageSync!(key),
    set: (key, value) => phone.setStorageSync!(key, value),
    remove: (key) => phone.removeStorageSync!(key),
  };
}
