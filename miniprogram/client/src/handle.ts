// One intent on the phone, as pages hold it. The engine changes it.
import { phoneError, serviceError } from "./errors.ts";
import type { Reply } from "./connection.ts";
import type { Intent } from "./intents.ts";
import { type Sessions, successOf } from "./session.ts";
import { isOver } from "./status.ts";
import type { Approval, ClientError, HandleStatus, Job, JobHandle, NotRecordedEffect, Problem, Submission } from "./types.ts";

export const pathOf = (id: string): string => `/v1/jobs/${encodeURIComponent(id)}`;

/** Any other status of an open job is shown as running. */
const SHOWN = ["queued", "retrying", "awaiting_approval"];
/** After a lost response to a decision the job is read, and the decision is sent again with a new code. */
const DECISION_TRIES = 3;

/** What a handle needs of the engine. */
export interface Owner {
  sessions_: Sessions;
  takeBack_(handle: Handle): void;
  ended_(handle: Handle): void;
  listeners_: Set<Listener>;
}

type Listener = (handle: JobHandle) => void;
/** Adds a listener. Returns what removes it. */
export function listen(listeners: Set<Listener>, listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export class Handle implements JobHandle {
  job: Job | undefined;
  error: ClientError | undefined;
  over = false;
  /** What is stored of it. Absent for a job that this phone only follows. */
  intent_: Intent | undefined;
  etag_: string | undefined;
  /** A request for it is out. */
  busy_?: boolean;
  /** While it waits: the function that ends the wait. */
  resting_: (() => void) | undefined;
  failures_ = 0;
  /** Made so shortly ago that an equal tap is the same. */
  young_?: boolean;
  /** Made in this run of the app while the service's time was not known. */
  guessed_?: boolean;
  owner_: Owner;
  id_: string;
  listeners_ = new Set<Listener>();
  waiters_: (() => void)[] = [];

  constructor(owner: Owner, id: string, intent?: Intent) {
    this.owner_ = owner;
    this.id_ = id;
    this.intent_ = intent;
  }

  get requestId(): string {
    return this.intent_?.id ?? this.id_;
  }
  get status(): HandleStatus {
    const status = this.job?.status;
    if (this.over) return status ?? "not_recorded";
    return status ? (SHOWN.includes(status) ? status : "running") : "stored";
  }
  get supportCode(): string | undefined {
    return this.job?.support_code;
  }
  get submission(): Submission | undefined {
    return this.intent_?.body;
  }
  /** Whether the service is known to have it. */
  get recorded_(): boolean {
    return !this.intent_ || !!this.intent_.accepted;
  }

  onProgress(listener: (handle: JobHandle) => void): () => void {
    void Promise.resolve().then(() => this.listeners_.has(listener) && listener(this));
    return listen(this.listeners_, listener);
  }

  result(): Promise<Job> {
    return new Promise((resolve, reject) => {
      const settle = (): void => (this.error ? reject(this.error) : resolve(this.job!));
      if (this.over) settle();
      else this.waiters_.push(settle);
    });
  }

  async cancel(): Promise<void> {
    if (this.over) return;
    if (!this.recorded_) return this.owner_.takeBack_(this);
    await this.ask_("POST", "/cancel").catch((error: ClientError) => {
      // It ended before the cancel came.
      if (error.code !== "job_over") throw error;
      return this.ask_("GET");
    });
  }

  approve(): Promise<Job> {
    return this.decide_("approve");
  }
  reject(): Promise<Job> {
    return this.decide_("reject");
  }

  async decide_(decision: NonNullable<Approval["decision"]>): Promise<Job> {
    for (let tries = 1; ; tries += 1) {
      const job = this.job?.approval ? this.job : await this.ask_("GET");
      if (!job.approval) throw serviceError(409, { title: "nothing is asked", status: 409, code: "approval_not_asked", job_status: job.status } as Problem);
      if (job.approval.decision === decision) return job;
      try {
        const body: Record<string, string> = { decision, digest: job.approval.digest };
        if (decision === "approve") body["code"] = await this.owner_.sessions_.code_();
        return await this.ask_("POST", "/approval", JSON.stringify(body));
      } catch (caught) {
        const { code } = caught as ClientError;
        // Only a poll shows whether it was decided.
        await this.ask_("GET").catch(() => undefined);
        if (tries === DECISION_TRIES || (code !== "offline" && code !== "login_code_rejected")) throw caught;
      }
    }
  }

  get path_(): string {
    return pathOf(this.requestId);
  }

  async ask_(method: "GET" | "POST", what = "", body_?: string): Promise<Job> {
    const { job } = this;
    return this.take_(await this.owner_.sessions_.call_({ method, path_: this.path_ + what, body_ }, this.intent_?.user), job);
  }

  /** Takes an answer that has the job. `known`: the job as it was when the request left. */
  take_(reply: Reply, known?: Job): Job {
    const job = successOf(reply).body_ as unknown as Job | undefined;
    if (!job?.steps || (this.intent_ && job.request_id !== this.intent_.id)) throw phoneError("offline", "no job");
    // Responses may arrive out of order: an ended job stays ended, and an older response changes nothing. If no other response came in between, this
    // one is newer whatever its time says: the service's machines do not have one clock.
    if (this.job && (this.over || (this.job !== known && job.updated_at < this.job.updated_at))) return this.job;
    this.job = job;
    this.error = undefined;
    this.failures_ = 0;
    this.etag_ = reply.header_("etag");
    if (isOver(job.status)) this.end_();
    else this.changed_();
    return job;
  }

  /** It is over: as its job says, or with an error because it never became one, and what is known about its effect. */
  end_(error?: ClientError, effect?: NotRecordedEffect): void {
    if (this.over) return;
    this.over = true;
    this.error = error && Object.assign(error, { effect: effect! });
    this.owner_.ended_(this);
    this.changed_();
    for (const settle of this.waiters_) settle();
  }

  changed_(): void {
    for (const listener of [...this.listeners_, ...this.owner_.listeners_]) {
      try {
        listener(this);
      } catch (error) {
        // An error of a page's listener must not stop the outbox.
        console.error(error);
      }
    }
  }
}
