// Two apps that do the same for their user: one with this library, one with the code of a typical tutorial.
import { createClient } from "../src/client.ts";
import type { PhoneClock } from "../src/clock.ts";
import { requestId } from "../src/request-id.ts";
import type { Client, Job, JobHandle, Wx } from "../src/types.ts";

/** A user intent: one effect with this note. */
export interface Wish {
  note: string;
  tool: "ledger_append" | "ledger_sleep" | "ledger_pay";
  ms?: number;
}
/** What the app shows about a user intent. `none`: the app does not know it, so the user does not see it. */
export type Shown = "none" | "pending" | "asks" | "done" | "failed" | "unknown";

export interface App {
  tap(wish: Wish): void;
  shown(note: string): Shown;
  approve(note: string): void;
  /** What is not over yet, as far as the app knows. */
  open(): number;
}

export const argumentsOf = ({ note, tool, ms }: Wish): Record<string, unknown> =>
  tool === "ledger_pay" ? { amount: 5, note } : tool === "ledger_sleep" ? { ms, note } : { note };

export class LibraryApp implements App {
  client: Client;
  #handles = new Map<string, JobHandle>();

  constructor(wx: Wx, clock: PhoneClock, baseUrl: string) {
    this.client = createClient({ baseUrl, wx, clock });
    for (const handle of this.client.open()) this.#handles.set(noteOf(handle), handle);
  }

  tap(wish: Wish): void {
    try {
      this.#handles.set(wish.note, this.client.submit(wish.tool, argumentsOf(wish)));
    } catch {
      // The app shows that it was not stored.
    }
  }

  shown(note: string): Shown {
    const handle = this.#handles.get(note);
    return handle ? shownOf(handle.status) : "none";
  }

  approve(note: string): void {
    this.#handles.get(note)?.approve().catch(() => undefined);
  }

  open(): number {
    return this.client.open().length;
  }

  /** Why a user intent did not become a job. */
  error(note: string): { code: string; effect?: string } | undefined {
    return this.#handles.get(note)?.error;
  }
}

function noteOf({ submission }: JobHandle): string {
  return submission && "arguments" in submission ? String(submission.arguments["note"]) : "";
}

function shownOf(status: JobHandle["status"]): Shown {
  if (status === "succeeded") return "done";
  if (status === "unknown") return "unknown";
  if (status === "awaiting_approval") return "asks";
  return ["stored", "queued", "running", "retrying"].includes(status) ? "pending" : "failed";
}

/**
 * As tutorials write it: a `request` that promises, with the token in storage, a login after a 401 and three tries; a new id for
 * each request, since the service wants one; a poll each second; everything in memory. With `idPerTap` the tries of one tap have
 * one id, as a tutorial about idempotency has it.
 */
export class TutorialApp implements App {
  #wx: Wx;
  #clock: PhoneClock;
  #baseUrl: string;
  #shown = new Map<string, Shown>();
  #jobs = new Map<string, Job>();
  #idPerTap: boolean;

  constructor(wx: Wx, clock: PhoneClock, baseUrl: string, idPerTap: boolean) {
    this.#idPerTap = idPerTap;
    this.#wx = wx;
    this.#clock = clock;
    this.#baseUrl = baseUrl;
  }

  #pause = (ms: number): Promise<void> => new Promise((resolve) => this.#clock.after_(ms, resolve));

  #once(method: "GET" | "POST", path: string, body: unknown, id?: string): Promise<{ statusCode: number; data: Job }> {
    return new Promise((success, fail) => {
      const header: Record<string, string> = { authorization: `Bearer ${this.#wx.getStorageSync!("token")}` };
      if (path === "/v1/jobs") header["idempotency-key"] = id ?? requestId(this.#clock.now());
      if (body) header["content-type"] = "application/json";
      const data = body ? { data: JSON.stringify(body) } : {};
      this.#wx.request({ url: this.#baseUrl + path, method, header, ...data, timeout: 10_000, success: success as never, fail });
    });
  }

  #code = (): Promise<string> => new Promise((resolve, fail) => this.#wx.login({ success: ({ code }) => resolve(code), fail }));

  async #request(method: "GET" | "POST", path: string, body?: unknown, id?: string, tries = 3): Promise<Job> {
    try {
      const { statusCode, data } = await this.#once(method, path, body, id);
      if (statusCode < 300) return data;
      if (statusCode === 401) {
        const session = await this.#once("POST", "/v1/sessions", { code: await this.#code() });
        this.#wx.setStorageSync!("token", (session.data as unknown as { token: string }).token);
      } else if (statusCode < 500 && statusCode !== 429) throw new Error(`HTTP ${statusCode}`);
    } catch (error) {
      if (tries === 1) throw error;
    }
    if (tries === 1) throw new Error("it failed");
    await this.#pause(1000);
    return this.#request(method, path, body, id, tries - 1);
  }

  tap(wish: Wish): void {
    void this.#run(wish).catch(() => this.#shown.set(wish.note, "failed"));
  }

  async #run(wish: Wish): Promise<void> {
    this.#shown.set(wish.note, "pending");
    const id = this.#idPerTap ? requestId(this.#clock.now()) : undefined;
    let job = await this.#request("POST", "/v1/jobs", { tool: wish.tool, arguments: argumentsOf(wish) }, id);
    for (;;) {
      this.#jobs.set(wish.note, job);
      this.#shown.set(wish.note, shownOf(job.status));
      if (!["pending", "asks"].includes(this.#shown.get(wish.note)!)) return;
      await this.#pause(1000);
      job = await this.#request("GET", `/v1/jobs/${job.request_id}`);
    }
  }

  shown(note: string): Shown {
    return this.#shown.get(note) ?? "none";
  }

  approve(note: string): void {
    const job = this.#jobs.get(note);
    if (!job?.approval) return;
    const { digest } = job.approval;
    void this.#code()
      .then((code) => this.#request("POST", `/v1/jobs/${job.request_id}/approval`, { decision: "approve", digest, code }))
      .catch(() => undefined);
  }

  open(): number {
    return [...this.#shown.values()].filter((shown) => shown === "pending" || shown === "asks").length;
  }
}
