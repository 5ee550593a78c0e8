// A fake client: a test sets the state of its handles.
import type { Client, ClientError, Job, JobHandle } from "openclaw-miniprogram-client";

export class StandInHandle {
  requestId: string;
  job: Job | undefined;
  error: ClientError | undefined;
  over = false;
  calls: string[] = [];
  submission: JobHandle["submission"];
  private listeners = new Set<(handle: JobHandle) => void>();

  constructor(requestId: string, submission?: JobHandle["submission"]) {
    this.requestId = requestId;
    this.submission = submission;
  }
  get status(): JobHandle["status"] {
    return this.job?.status ?? "stored";
  }
  get supportCode(): string | undefined {
    return this.job?.support_code;
  }
  get handle(): JobHandle {
    return this as unknown as JobHandle;
  }
  onProgress(listener: (handle: JobHandle) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
  move(change: { job?: Partial<Job>; error?: ClientError; over?: boolean }): void {
    const { job, error, over } = change;
    if (job) this.job = { ...base(this.requestId), ...this.job, ...job };
    this.error = error;
    this.over = over ?? false;
    this.listeners.forEach((listener) => listener(this.handle));
  }
  approve = (): Promise<void> => this.called("approve");
  reject = (): Promise<void> => this.called("reject");
  cancel = (): Promise<void> => this.called("cancel");
  private called(name: string): Promise<void> {
    this.calls.push(name);
    return Promise.resolve();
  }
}

const base = (requestId: string): Job => ({
  request_id: requestId, status: "queued", cursor: 0, steps: [], support_code: "ABC-123",
  not_after: "2026-11-29T10:00:00.000Z", created_at: "2026-11-29T09:00:00.000Z", updated_at: "2026-11-29T09:00:00.000Z",
});

export class StandInClient {
  handles: StandInHandle[] = [];
  intents: string[] = [];
  nowMs = Date.parse("2026-11-29T09:00:00.000Z");
  /** What the next call throws or rejects with. */
  failure: ClientError | undefined;
  tools = (): Promise<object[]> => this.answer([
    { name: "pay", title: "Pay", effect: "write", approval: "user", example: {}, schema: { required: ["amount"], properties: { amount: { type: "integer" } } } },
  ]);
  notifications = (): Promise<object[]> => this.answer([{ name: "job_update", title: "Progress", template_id: "tmpl" }]);
  /** What the user was asked to accept, by name. */
  asked: string[] = [];
  requestSubscribe = (notifications: { name: string }[]): Promise<object> => {
    this.asked.push(...notifications.map(({ name }) => name));
    return Promise.resolve({ notifications: {}, recorded: false });
  };
  agents = (): Promise<object[]> => this.answer([{ name: "main", title: "Assistant" }, { name: "other", title: "Other" }]);
  jobs: (page: { cursor?: string }) => Promise<object> = () => this.answer({ jobs: [] });
  audit = (): Promise<object> => this.answer({ records: [], head: { length: 0, digest: "d" } });
  now = (): number => this.nowMs;
  open = (): JobHandle[] => this.handles.filter(({ over }) => !over).map(({ handle }) => handle);
  say = (message: string, options: { intent: string; conversation?: string; agent?: string }): JobHandle => this.add({ message, ...options }, options.intent);
  submit = (tool: string, args: Record<string, unknown>, { intent, notify }: { intent: string; notify?: string }): JobHandle =>
    this.add({ tool, arguments: args, ...(notify && { notify }) }, intent);
  follow = (id: string): JobHandle => (this.handles.find(({ requestId }) => requestId === id) ?? this.made(id)).handle;

  get client(): Client {
    return this as unknown as Client;
  }
  private answer<T>(value: T): Promise<T> {
    return this.failure ? Promise.reject(this.failure) : Promise.resolve(value);
  }
  private made(id: string, submission?: JobHandle["submission"]): StandInHandle {
    const handle = new StandInHandle(id, submission);
    this.handles.push(handle);
    return handle;
  }
  private add(submission: object, intent: string): JobHandle {
    if (this.failure) throw this.failure;
    const known = this.intents.indexOf(intent);
    if (known >= 0) return this.handles[known]!.handle;
    this.intents.push(intent);
    return this.made(`id-${this.handles.length}`, submission as JobHandle["submission"]).handle;
  }
}

/** A page's data, changed as `setData` does. */
export function pageData(): { data: Record<string, any>; set: (change: Record<string, unknown>) => void } {
  const data: Record<string, any> = {};
  const set = (change: Record<string, unknown>): void => {
    for (const [path, value] of Object.entries(change)) {
      const place = /^(\w+)\[(\d+)\]$/.exec(path);
      if (place) data[place[1]!][Number(place[2])] = value;
      else data[path] = value;
    }
  };
  return { data, set };
}
