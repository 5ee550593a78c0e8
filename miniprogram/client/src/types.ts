// The interface of the library: what a page sees.
import type { components } from "./api.gen.ts";

type Schemas = components["schemas"];
export type Job = Schemas["Job"];
export type JobStatus = Schemas["JobStatus"];
export type JobPage = Schemas["JobPage"];
export type Step = Schemas["Step"];
export type WholeStep = Schemas["WholeStep"];
export type Approval = Schemas["Approval"];
export type Submission = Schemas["Submission"];
/** One step of `run`: a call `{tool, arguments}` or a turn `{message, agent?, conversation?}`. */
export type RunStep = Schemas["CallStep"] | Schemas["TurnStep"];
export type Tool = Schemas["Tool"];
export type Notification = Schemas["Notification"];
export type Agent = Schemas["Agents"]["agents"][number];
export type AuditChain = Schemas["AuditChain"];
export type ConversationPage = Schemas["ConversationPage"];
export type Erasure = Schemas["Erasure"];
export type UserExport = Schemas["UserExport"];
export type Problem = Schemas["Problem"];
/** Every code that the service documents. */
export type ServiceCode = Schemas["Code"];

/** Codes of the phone: no answer of the service is behind them. */
export type PhoneCode =
  /** No answer: no network, a timeout, a broken connection, or something in between answered instead. Sent again by itself. */
  | "offline"
  /** `wx.login` gave no code. */
  | "login_failed"
  /** The address is not among the request domains of the Mini Program (errno 600002). */
  | "domain_not_listed"
  /** As many intents are kept already as may be. Nothing was stored or sent. */
  | "outbox_full"
  /** The phone's storage refused the intent. Nothing was sent. */
  | "storage_failed"
  /** Cancelled before the service recorded it. */
  | "cancelled"
  /** The library was closed, or the user changed. */
  | "closed";

/** A sentence for the user of the Mini Program: `errorText` and `jobText` of `openclaw-miniprogram-client/text` give one. */
export interface Text {
  zh: string;
  en: string;
}

/**
 * What is known about the effect of an intent that was not recorded.
 * `not_run`: nothing happened, asking again is safe. `unknown`: it may have happened; look before asking again.
 */
export type NotRecordedEffect = "not_run" | "unknown";

interface ErrorCommon extends Error {
  /** The same request may succeed later. What the library repeats by itself it does not throw. */
  retryable: boolean;
  /** Milliseconds to wait before that, where they are known. */
  retryAfterMs?: number;
  /** Of an error that ended an intent. */
  effect?: NotRecordedEffect;
}

/** Members that only some codes have; see `Problem`. */
interface ProblemMembers {
  arguments_invalid: { errors: NonNullable<Problem["errors"]> };
  request_id_in_future: { server_time: string };
  request_id_expired: { server_time: string };
  not_after_invalid: { server_time: string };
  deadline_invalid: { server_time: string };
  job_over: { job_status: JobStatus };
  approval_not_asked: { job_status: JobStatus };
}
type MembersOf<C> = C extends keyof ProblemMembers ? ProblemMembers[C] : unknown;

/** The service refused: one member of the union for each documented code. */
export type ServiceError = {
  [C in ServiceCode]: ErrorCommon & { origin: "service"; code: C; status: number; problem: Problem & { code: C } & MembersOf<C> };
}[ServiceCode];
/** The phone or the network failed: one member of the union for each code. */
export type PhoneError = { [C in PhoneCode]: ErrorCommon & { origin: "phone"; code: C; errno?: number } }[PhoneCode];
/** What every call of the library throws or rejects with. Narrow it with `error.code`. */
export type ClientError = ServiceError | PhoneError;

/** Where an intent is. `stored`: on the phone, not known to be at the service. `not_recorded`: it never became a job, see `error`. */
export type HandleStatus = "stored" | JobStatus | "not_recorded";

/** One intent of the user, and the job that it becomes. Two handles of one intent are the same object. */
export interface JobHandle {
  /** The id of the intent and of its job. It may change as long as nothing was recorded under it. */
  readonly requestId: string;
  /** A status that this version does not know is `running`; `job.status` has it. */
  readonly status: HandleStatus;
  /** Nothing changes any more. */
  readonly over: boolean;
  /** The job as it was last seen. */
  readonly job: Job | undefined;
  /** While open: what keeps the phone from the service just now. Once `not_recorded`: why. */
  readonly error: ClientError | undefined;
  /** A text for the user to give to an operator. */
  readonly supportCode: string | undefined;
  /** What was submitted. Absent for a job that this phone did not submit. */
  readonly submission: Submission | undefined;
  /** Calls the listener after each change, and once soon after it was added. Returns what removes it. */
  onProgress(listener: (handle: JobHandle) => void): () => void;
  /** The job once it is over, however it ended: look at `status` and `effect`. Rejects when it never became a job. */
  result(): Promise<Job>;
  /** Cancels the job. A call that was sent runs to its end: see `result()`. */
  cancel(): Promise<void>;
  /** Approves what `job.approval` shows, with a fresh code of `wx.login`. */
  approve(): Promise<Job>;
  /** Rejects what `job.approval` shows. */
  reject(): Promise<Job>;
}

export interface IntentOptions {
  /**
   * What makes two calls the same intent: the second gets the handle of the first while that is kept (open, or among the last
   * 32 of this run of the app). Make one per form or message. Without it two equal submissions are the same intent while the
   * first is open, and for `doubleTapMs` after it was made.
   */
  intent?: string;
  /** Start nothing later than so many milliseconds from now. Without it the tool's own limit counts from when it is sent. */
  validForMs?: number;
  /** Name of one of `notifications()`: the user gets a message of WeChat at the end, and for each approval that a later step needs. */
  notify?: string;
}

export interface SayOptions extends IntentOptions {
  /** A name of `agents()`; default `main`. */
  agent?: string;
  /** Turns under one name share the agent's memory: `^[a-z0-9][a-z0-9_-]{0,63}$`. */
  conversation?: string;
}

export interface Session {
  userId: string;
  /** Milliseconds since 1970, by the service's clock. */
  expiresAt: number;
}

export interface PageOptions {
  limit?: number;
  cursor?: string;
}

/** What `wx.requestSubscribeMessage` said of each notification, by name, and whether the service knows what was accepted. */
export interface SubscribeResult {
  notifications: Record<string, "accept" | "reject" | "ban" | "filter">;
  /** The service has counted what was accepted. */
  recorded: boolean;
  error?: { code: number; message: string };
}

export interface Client {
  /** The session, from storage or by a login. One login at a time, however often it is called. */
  login(): Promise<Session>;
  /** Ends every session of the user, on every device. Open intents stay, and go on after the next `login()`, submission or `onShow`. */
  logout(): Promise<void>;
  tools(): Promise<Tool[]>;
  agents(): Promise<Agent[]>;
  /** One tool call. Stores the intent before it returns, and throws `outbox_full` or `storage_failed` when it cannot. */
  submit(tool: string, args: Record<string, unknown>, options?: IntentOptions): JobHandle;
  /** One turn of an agent. Stores and throws like `submit`. */
  say(message: string, options?: SayOptions): JobHandle;
  /** Up to 20 steps in one job. Stores and throws like `submit`. */
  run(steps: RunStep[], options?: IntentOptions): JobHandle;
  /** The intents that are not over, oldest first; also those of before a restart. */
  open(): JobHandle[];
  /** Follows any job of the user, for example the one that a push message names. */
  follow(requestId: string): JobHandle;
  jobs(page?: PageOptions): Promise<JobPage>;
  job(requestId: string): Promise<Job>;
  step(requestId: string, place: number): Promise<WholeStep>;
  audit(requestId: string): Promise<AuditChain>;
  conversations(page?: PageOptions): Promise<ConversationPage>;
  /** Deletes a conversation; the handle follows the job that does it. */
  deleteConversation(name: string): Promise<JobHandle>;
  /** One page of everything that is stored about the user. */
  exportUser(page?: PageOptions): Promise<UserExport>;
  /** Erases the user, with a fresh code of `wx.login`, and drops the session and the user's intents. A later `login()` is a new user. */
  eraseUser(): Promise<Erasure>;
  /** The messages that a submission may ask for with `notify`. */
  notifications(): Promise<Notification[]>;
  /**
   * Asks the user for one message of each of up to three notifications, and reports what was accepted. Call it inside the tap
   * that submits, with what `notifications()` gave before: WeChat refuses it after anything was awaited.
   */
  requestSubscribe(notifications: Notification[]): Promise<SubscribeResult>;
  /** Calls the listener when an intent is made, changes or ends. Returns what removes it. */
  onChange(listener: (handle: JobHandle) => void): () => void;
  /** Now, by the service's clock as far as it was seen, in milliseconds: for countdowns. */
  now(): number;
  /** The app is in the foreground. Called by `wx.onAppShow`. */
  show(): void;
  /** The app is in the background: nothing is sent. Called by `wx.onAppHide`. */
  hide(): void;
  /** Stops timers and listeners, for every page that has this client. Intents stay in storage; a new one is refused with `closed`. */
  close(): void;
}

export interface ClientOptions {
  /** Where the service is, such as `https://api.example.com`. */
  baseUrl: string;
  /** Default: the global `wx`. */
  wx?: Wx;
  /** Default: the storage of `wx`. */
  storage?: ClientStorage;
  /** How long two equal taps are one, in milliseconds. Default 1000. */
  doubleTapMs?: number;
  /** How many intents are kept at most. Default 32. */
  maxIntents?: number;
}

/** Synchronous, and atomic for each key. May throw. */
export interface ClientStorage {
  /** `undefined` or an empty text where there is nothing. */
  get(key: string): string | undefined;
  set(key: string, value: string): void;
  remove(key: string): void;
}

export interface WxResponse {
  statusCode: number;
  data: unknown;
  header: Record<string, unknown>;
}
export interface WxFailure {
  errMsg: string;
  errno?: number;
  errCode?: number;
}
/** The part of `wx` that the library uses. The global `wx` is one; so is `nodeWx()` of `dev/node-wx.ts`. */
export interface Wx {
  request(options: {
    url: string;
    method: "GET" | "POST" | "DELETE";
    header: Record<string, string>;
    data?: string | undefined;
    timeout: number;
    success(response: WxResponse): void;
    fail(failure: WxFailure): void;
  }): { abort(): void } | undefined;
  login(options: { success(result: { code: string }): void; fail(failure: WxFailure): void }): void;
  checkSession?(options: { success(): void; fail(): void }): void;
  requestSubscribeMessage?(options: {
    tmplIds: string[];
    success(result: Record<string, string>): void;
    fail(failure: WxFailure): void;
  }): void;
  getStorageSync?(key: string): string | undefined;
  setStorageSync?(key: string, value: string): void;
  removeStorageSync?(key: string): void;
  onAppShow?(listener: () => void): void;
  offAppShow?(listener: () => void): void;
  onAppHide?(listener: () => void): void;
  offAppHide?(listener: () => void): void;
  onNetworkStatusChange?(listener: (status: { isConnected: boolean }) => void): void;
  offNetworkStatusChange?(listener: (status: { isConnected: boolean }) => void): void;
}
