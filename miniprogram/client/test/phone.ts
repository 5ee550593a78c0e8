// A simulated phone with WeChat, by WeChat's documentation: every status arrives in `success`, ten connections,
// `interrupted` five seconds after the app went to the background, four logins a second, a bottom layer that repeats requests
// by itself, header names in lower case, and a storage that may be full.
import type { PhoneClock } from "../src/clock.ts";
import type { Time } from "./time.ts";
import type { ClientStorage, Wx, WxFailure } from "../src/types.ts";

export interface WireRequest {
  method: string;
  url: string;
  header: Record<string, string>;
  data?: string;
}
export interface WireResponse {
  status: number;
  header: Record<string, string>;
  body: string;
}
/** Answers a request; rejects when the connection breaks. */
export type Server = (request: WireRequest) => Promise<WireResponse>;

/** What happens to one request. `resent`: the bottom layer sends it twice, and shows the second answer. */
export type Fate = "ok" | "lost" | "answer lost" | "resent" | "late" | { status: number; after: boolean; code: string; retryAfter?: number };

const SUSPENDED_AFTER_MS = 5_000;
const CONNECTIONS = 10;
const LOGINS_A_SECOND = 4;
const STORAGE_LETTERS_A_KEY = 1_000_000;

export class Phone {
  time: Time;
  server: Server;
  user: string;
  online = true;
  storageFull = false;
  /** Whether WeChat's own session holds. */
  sessionHolds = true;
  /** Planned faults of the next requests. */
  fates: Fate[] = [];
  fate: (request: WireRequest) => Fate = () => this.fates.shift() ?? "ok";
  /** How long the network takes each way. */
  latencyMs = 0;
  headerCase: "lower" | "title" = "lower";
  stored = new Map<string, string>();
  sent: WireRequest[] = [];
  logins = 0;
  mostAtOnce = 0;
  /** Requests of the user's session that the server has to answer with another user. */
  #codes = 0;
  #run: AppRun | undefined;
  #loginTimes: number[] = [];

  constructor(time: Time, server: Server, user: string) {
    this.time = time;
    this.server = server;
    this.user = user;
  }

  /** Starts the app: what it gets as `wx`. */
  start(): Wx {
    this.#run?.kill();
    this.#run = new AppRun(this);
    return this.#run.wx;
  }

  /** The clock of the app that runs: its timers stand still while it is suspended. */
  get clock(): PhoneClock {
    return this.#run!.clock;
  }

  /** The system ends the app: none of its callbacks and timers runs any more. Sent requests still arrive. */
  kill(): void {
    this.#run?.kill();
    this.#run = undefined;
  }
  get running(): boolean {
    return this.#run !== undefined;
  }
  /** Requests of the app that are out. */
  get inFlight(): number {
    return this.#run?.inFlight ?? 0;
  }
  get inForeground(): boolean {
    return this.#run !== undefined && !this.#run.inBackground;
  }
  background(): void {
    this.#run?.toBackground();
  }
  foreground(): void {
    this.#run?.toForeground();
  }
  connect(online: boolean): void {
    this.online = online;
    this.#run?.network(online);
  }

  storage(): ClientStorage {
    return {
      get: (key) => this.stored.get(key) ?? "",
      set: (key, value) => {
        if (this.storageFull || value.length > STORAGE_LETTERS_A_KEY) throw new Error("setStorageSync:fail exceed storage max size 10Mb");
        this.stored.set(key, value);
      },
      remove: (key) => void this.stored.delete(key),
    };
  }

  /** A code for `wx.login`, good once. */
  code(): string {
    this.#codes += 1;
    return `dev-${this.user}.${Math.floor(Math.random() * 1e9)}x${this.#codes}`;
  }

  mayLogIn(): boolean {
    const now = this.time.elapsed;
    this.#loginTimes = [...this.#loginTimes.filter((at) => now - at < 1000), now];
    return this.#loginTimes.length <= LOGINS_A_SECOND;
  }

  /** The network between phone and server. */
  async carry(request: WireRequest): Promise<WireResponse> {
    const broken = new Error("request:fail timeout");
    if (!this.online) throw new Error("request:fail net::ERR_INTERNET_DISCONNECTED");
    const fate = this.fate(request);
    const { latencyMs } = this;
    await this.#pause(latencyMs);
    if (fate === "lost") throw broken;
    if (typeof fate === "object" && !fate.after) return refusal(fate);
    if (fate === "late") {
      // It arrives long after the phone has given it up.
      this.time.setTimeout(() => void this.server(request).catch(() => undefined), 20_000);
      throw broken;
    }
    if (fate === "resent") await this.server(request).catch(() => undefined);
    const response = await this.server(request);
    await this.#pause(latencyMs);
    if (fate === "answer lost" || !this.online) throw broken;
    return typeof fate === "object" ? refusal(fate) : response;
  }

  #pause(ms: number): Promise<void> {
    return ms > 0 ? new Promise((resolve) => this.time.setTimeout(resolve, ms)) : Promise.resolve();
  }
}

function refusal({ status, code, retryAfter }: { status: number; code: string; retryAfter?: number }): WireResponse {
  const header: Record<string, string> = { "Content-Type": "application/problem+json", "Cache-Control": "no-store" };
  if (retryAfter) header["Retry-After"] = String(retryAfter);
  return { status, header, body: code ? JSON.stringify({ type: `urn:openclaw-miniprogram:${code}`, title: code, status, code }) : "<html>" };
}

/** One run of the app, from its start to its end. */
class AppRun {
  phone: Phone;
  inBackground = false;
  dead = false;
  #suspended = false;
  #suspendTimer: unknown;
  #queued: (() => void)[] = [];
  #flights = new Set<(failure: WxFailure) => void>();
  #listeners = { show: new Set<() => void>(), hide: new Set<() => void>(), network: new Set<(status: { isConnected: boolean }) => void>() };

  constructor(phone: Phone) {
    this.phone = phone;
  }

  /** Runs in the app's JavaScript: now, later if it is suspended, never if it is dead. */
  #call(run: () => void): void {
    if (this.dead) return;
    if (this.#suspended) this.#queued.push(run);
    else run();
  }

  get inFlight(): number {
    return this.#flights.size;
  }

  get clock(): PhoneClock {
    const { time } = this.phone;
    // As JavaScript has it: a delay that is no number, or of more than 31 bits, is none.
    const delay = (ms: number): number => (ms > 0 && ms < 2 ** 31 ? ms : 1);
    const after_ = (ms: number, run: () => void): (() => void) => {
      const timer = time.setTimeout(() => this.#call(run), delay(ms));
      return () => time.clearTimeout(timer);
    };
    return { now: time.now, after_ };
  }

  kill(): void {
    this.dead = true;
    this.phone.time.clearTimeout(this.#suspendTimer);
  }

  toBackground(): void {
    if (this.inBackground) return;
    this.inBackground = true;
    for (const listener of this.#listeners.hide) listener();
    this.#suspendTimer = this.phone.time.setTimeout(() => {
      this.#suspended = true;
      const failure = { errMsg: "request:fail interrupted", errno: 600003 };
      for (const fail of this.#flights) fail(failure);
    }, SUSPENDED_AFTER_MS);
  }

  toForeground(): void {
    if (!this.inBackground) return;
    this.inBackground = false;
    this.phone.time.clearTimeout(this.#suspendTimer);
    const queued = this.#queued.splice(0);
    this.#suspended = false;
    // The order of onShow and of what was queued is not documented.
    const shown = (): void => this.#listeners.show.forEach((listener) => listener());
    const both = queued.length % 2 === 0 ? [shown, ...queued] : [...queued, shown];
    for (const run of both) this.#call(run);
  }

  network(isConnected: boolean): void {
    this.#call(() => this.#listeners.network.forEach((listener) => listener({ isConnected })));
  }

  get wx(): Wx {
    const { phone } = this;
    const { show, hide, network } = this.#listeners;
    const storage = phone.storage();
    // The JavaScript of an app that was ended writes nothing any more.
    const alive = <A extends unknown[]>(run: (...args: A) => void) => (...args: A): void => void (this.dead || run(...args));
    return {
      request: (options) => this.#request(options),
      login: ({ success, fail }) => {
        phone.logins += 1;
        const answer = (): void => {
          if (phone.online && phone.mayLogIn()) success({ code: phone.code() });
          else fail({ errMsg: "login:fail" });
        };
        phone.time.setTimeout(() => this.#call(answer), phone.latencyMs);
      },
      checkSession: ({ success, fail }) => this.#call(phone.online && phone.sessionHolds ? success : fail),
      getStorageSync: storage.get,
      setStorageSync: alive(storage.set),
      removeStorageSync: alive(storage.remove),
      onAppShow: (listener) => show.add(listener),
      offAppShow: (listener) => show.delete(listener),
      onAppHide: (listener) => hide.add(listener),
      offAppHide: (listener) => hide.delete(listener),
      onNetworkStatusChange: (listener) => network.add(listener),
      offNetworkStatusChange: (listener) => network.delete(listener),
    };
  }

  #request({ url, method, header, data, timeout, success, fail }: Parameters<Wx["request"]>[0]): { abort(): void } {
    const { phone } = this;
    for (const name of Object.keys(header)) if (/^x-wx-/i.test(name)) throw new Error(`WeChat drops the header ${name}`);
    if (this.dead) return { abort: () => undefined };
    let over = false;
    const end = (run: () => void): void => {
      if (over) return;
      over = true;
      this.#flights.delete(failed);
      phone.time.clearTimeout(timer);
      this.#call(run);
    };
    const failed = (failure: WxFailure): void => end(() => fail(failure));
    const timer = phone.time.setTimeout(() => failed({ errMsg: "request:fail timeout" }), timeout);
    if (this.#flights.size >= CONNECTIONS) {
      queueMicrotask(() => failed({ errMsg: "request:fail exceed max task count", errno: 600007 }));
      return { abort: () => undefined };
    }
    if (this.#suspended) {
      queueMicrotask(() => failed({ errMsg: "request:fail interrupted", errno: 600003 }));
      return { abort: () => undefined };
    }
    this.#flights.add(failed);
    phone.mostAtOnce = Math.max(phone.mostAtOnce, this.#flights.size);
    const request: WireRequest = { method, url, header: { ...header }, ...(data === undefined ? {} : { data }) };
    phone.sent.push(request);
    phone.carry(request).then(
      (response) => {
        const { status, body } = response;
        const names = Object.entries(response.header).map(([name, value]) => [phone.headerCase === "lower" ? name.toLowerCase() : title(name), value]);
        let parsed: unknown = body;
        try {
          parsed = JSON.parse(body);
        } catch {
          // As wx.request does: what is no JSON stays text.
        }
        end(() => success({ statusCode: status, data: parsed, header: Object.fromEntries(names) }));
      },
      (error: Error) => {
        // Not at once: a broken connection is noticed by its timeout.
        const offline = /DISCONNECTED/.test(error.message);
        if (offline) phone.time.setTimeout(() => failed({ errMsg: error.message, errno: 600001 }), 1);
      },
    );
    return { abort: () => failed({ errMsg: "request:fail abort" }) };
  }
}

const title = (name: string): string => name.toLowerCase().replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
