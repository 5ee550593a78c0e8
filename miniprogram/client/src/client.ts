import { type PhoneClock, phoneClock, serverClock } from "./clock.ts";
import { connect, type Reply, type Request } from "./connection.ts";
import { engineOf } from "./engine.ts";
import { listen, pathOf } from "./handle.ts";
import { intentsOf } from "./intents.ts";
import { sessionsOf, successOf } from "./session.ts";
import { subscribe } from "./subscribe.ts";
import type { Client, ClientError, ClientOptions, ClientStorage, Erasure, PageOptions, Submission, Wx } from "./types.ts";

declare const wx: Wx | undefined;

/** The clients that are not closed, by the object that they store with and by service: two that share an outbox would send it twice. */
const clients = new WeakMap<object, Record<string, Client>>();

/** The client of a service. For the same storage and service it is the same one until it is closed; the options are those of the first call. */
export function createClient(options: ClientOptions & { clock?: PhoneClock }): Client {
  const baseUrl = options.baseUrl.replace(/\/+$/, "");
  const phone = options.wx ?? wx!;
  const owner = options.storage ?? phone;
  const made = clients.get(owner) ?? {};
  if (made[baseUrl]) return made[baseUrl];
  clients.set(owner, made);
  const storage: ClientStorage = options.storage ?? {
    get: (key) => phone.getStorageSync!(key),
    set: (key, value) => phone.setStorageSync!(key, value),
    remove: (key) => phone.removeStorageSync!(key),
  };
  const clock = serverClock(options.clock ?? phoneClock);
  const intents = intentsOf(storage, clock, `openclaw:intents:${baseUrl}`, options.maxIntents ?? 32);
  const connection = connect(phone, baseUrl, clock, () => engine.wake_());
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
  const list = <T>(path: string, { limit = 20, cursor }: PageOptions = {}): Promise<T> =>
    read(`${path}?limit=${limit}` + (cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""));

  const client: Client = {
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
    notifications: async () => (await read<{ notifications: [] }>("/v1/tools")).notifications,
    agents: async () => (await read<{ agents: [] }>("/v1/agents")).agents,
    submit: (tool, args, more) => engine.add_({ tool, arguments: args }, more),
    // The copy that is kept has no member that is undefined.
    say: (message, more = {}) =>
      engine.add_({ message, agent: more.agent || undefined, conversation: more.conversation || undefined } as Submission, more),
    run: (steps, more) => engine.add_({ steps }, more),
    open: engine.open_,
    follow: (requestId) => engine.follow_(requestId),
    jobs: (page) => list("/v1/jobs", page),
    job: (requestId) => read(pathOf(requestId)),
    step: (requestId, place) => read(`${pathOf(requestId)}/steps/${place}`),
    audit: (requestId) => read(`${pathOf(requestId)}/audit`),
    conversations: (page) => list("/v1/conversations", page),
    deleteConversation: async (name) => {
      const reply = await call("DELETE", `/v1/conversations/${encodeURIComponent(name)}`);
      return engine.follow_(reply.body_?.["request_id"] as string, reply);
    },
    exportUser: (page) => list("/v1/users/me/export", page),
    eraseUser: async () => {
      const { userId } = await sessions.get_();
      // What is open would log in again, as a new user.
      engine.hide_();
      try {
        const body_ = JSON.stringify({ code: await sessions.code_() });
        const { body_: erasure } = successOf(await sessions.call_({ method: "DELETE", path_: "/v1/users/me", body_ }, userId));
        for (const intent of intents.all_.filter(({ user = userId }) => user === userId)) intents.remove_(intent);
        sessions.drop_();
        return erasure as unknown as Erasure;
      } catch (error) {
        engine.show_();
        throw error;
      }
    },
    requestSubscribe: (notifications) =>
      subscribe(phone, notifications, async (accepted) =>
        successOf(await sessions.call_({ method: "POST", path_: "/v1/notifications", body_: JSON.stringify({ accepted }) }))),
    onChange: (listener) => listen(engine.listeners_, listener),
    now: clock.now_,
    show: engine.show_,
    hide: engine.hide_,
    close: () => {
      if (made[baseUrl] === client) delete made[baseUrl];
      engine.close_();
      phone.offAppShow?.(engine.show_);
      phone.offAppHide?.(engine.hide_);
      phone.offNetworkStatusChange?.(network);
    },
  };
  return (made[baseUrl] = client);
}
