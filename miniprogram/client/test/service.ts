// A model of the service in memory, by docs/api: sessions, submissions under a request id, polls, approvals, cancels, and the
// ledger of what was done. It has no network and no clock of its own.
import { createHash } from "node:crypto";
import type { Job } from "../src/types.ts";
import type { Server, WireRequest, WireResponse } from "./phone.ts";
import type { Time } from "./time.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Stored {
  user: string;
  body: string;
  job: Job;
  rev: number;
  /** When it is over, or asks, by itself. */
  timer: unknown;
}

export class Service {
  time: Time;
  /** The service's clock, apart from the phone's. */
  epoch: number;
  tookMs = 300;
  /** What each user did, one line for each effect. */
  ledger: { user: string; note: string }[] = [];
  sessions = new Map<string, { user: string; until: number }>();
  codes = new Set<string>();
  jobs = new Map<string, Stored>();
  submissions = 0;
  /** Names of notifications that users have accepted. */
  accepted: string[] = [];
  /** Retention after the end of a job. */
  keepsMs = 30 * DAY_MS;
  /** Forced upon the next submissions. */
  outcome: (note: string) => "succeeded" | "failed" | "unknown" = () => "succeeded";
  #tokens = 0;

  constructor(time: Time) {
    this.time = time;
    this.epoch = time.now();
  }

  now(): number {
    return this.epoch + this.time.elapsed;
  }

  revoke(user: string): void {
    for (const [token, session] of this.sessions) if (session.user === user) this.sessions.delete(token);
  }

  server: Server = async (request) => {
    const response = await this.#answer(request);
    response.header["Date"] = new Date(this.now()).toUTCString();
    response.header["Cache-Control"] = "no-store";
    response.header["Content-Type"] = response.status < 400 ? "application/json" : "application/problem+json";
    return response;
  };

  async #answer({ method, url, header, data }: WireRequest): Promise<WireResponse> {
    const { pathname, searchParams } = new URL(url);
    const body = data === undefined ? {} : (JSON.parse(data) as Record<string, unknown>);
    if (pathname === "/v1/sessions" && method === "POST") return this.#logIn(String(body["code"]));
    const token = (header["authorization"] ?? "").replace("Bearer ", "");
    const session = this.sessions.get(token);
    if (!session || session.until < this.now()) return problem(401, "no_session");
    const { user } = session;
    if (pathname === "/v1/sessions") return (this.revoke(user), { status: 204, header: {}, body: "" });
    if (pathname === "/v1/users/me") return this.#erase(user, String(body["code"]));
    if (pathname === "/v1/tools") return ok({ tools: [], notifications: [] });
    if (pathname === "/v1/notifications") return (this.accepted.push(...(body as { accepted: string[] }).accepted), { status: 204, header: {}, body: "" });
    if (pathname === "/v1/agents") return ok({ agents: [{ name: "main", title: "Assistant" }] });
    if (pathname === "/v1/jobs" && method === "POST") return this.#submit(user, header["idempotency-key"] ?? "", data!);
    const [, , , id, what] = pathname.split("/");
    const stored = this.jobs.get(`${user}/${id}`);
    if (!stored) return problem(404, "not_found");
    if (what === "cancel") return this.#cancel(stored);
    if (what === "approval") return this.#decide(stored, body as { decision: "approve" | "reject"; digest: string; code?: string });
    return this.#poll(stored, header["if-none-match"], Number(searchParams.get("wait") ?? 0));
  }

  #logIn(code: string): WireResponse {
    if (this.codes.has(code) || !/^dev-\w+\./.test(code)) return problem(401, "login_code_rejected");
    this.codes.add(code);
    const user = code.slice(4).split(".")[0]!;
    const token = `t${(this.#tokens += 1)}`;
    this.sessions.set(token, { user, until: this.now() + 2 * HOUR_MS });
    return ok({ token, token_type: "Bearer", user_id: user, expires_at: new Date(this.now() + 2 * HOUR_MS).toISOString() }, 201);
  }

  #erase(user: string, code: string): WireResponse {
    if (this.codes.has(code) || code.slice(4).split(".")[0] !== user) return problem(403, "erasure_other_user");
    this.codes.add(code);
    this.revoke(user);
    const erased = { jobs: 0, submissions: 0, results: 0, conversations: 0, refusals: 0, logins: 0, others: 0, journal_rows: 0 };
    const requested_at = new Date(this.now()).toISOString();
    return ok({ erasure_id: "019a8f3c-7e10-7abc-9def-0123456789ab", user_id: user, status: "running", reason: "user_request", requested_at, erased }, 202);
  }

  #submit(user: string, id: string, body: string): WireResponse {
    const stored = this.jobs.get(`${user}/${id}`);
    if (stored) return stored.body === body ? this.#view(stored, { "Idempotent-Replayed": "true" }) : problem(422, "idempotency_key_reused");
    const server_time = new Date(this.now()).toISOString();
    const time = parseInt(id.replaceAll("-", "").slice(0, 12), 16);
    if (time > this.now() + 600_000) return problem(400, "request_id_in_future", { server_time });
    if (time < this.now() - DAY_MS) return problem(410, "request_id_expired", { server_time });
    const { tool, arguments: args = {}, message, conversation } = JSON.parse(body) as { tool?: string; arguments?: { note?: string }; message?: string; conversation?: string };
    if (tool === "forbidden") return problem(403, "policy_denied");
    this.submissions += 1;
    const note = String(message ?? args.note);
    const at = new Date(this.now()).toISOString();
    const step = message ? { kind: "turn", agent: "main", ...(conversation && { conversation }), step: 0, round: 0 } : { kind: "call", tool, step: 0, round: 0 };
    const job = {
      request_id: id, status: "queued", cursor: 0, steps: [step], support_code: createHash("sha256").update(id).digest("base64url"),
      not_after: at, created_at: at, updated_at: at, next_poll_ms: 500,
    } as unknown as Job;
    const made: Stored = { user, body, job, rev: 1, timer: undefined };
    this.jobs.set(`${user}/${id}`, made);
    if (tool === "ledger_pay") {
      const digest = createHash("sha256").update(body).digest("base64url");
      const expires_at = new Date(this.now() + 600_000).toISOString();
      this.#change(made, { status: "awaiting_approval", approval: { place: 0, approver: "user", digest, title: "Pay", summary: note, arguments: args, expires_at } as never });
    } else this.#runLater(made, note);
    return this.#view(made, {}, 202);
  }

  #runLater(stored: Stored, note: string): void {
    stored.timer = this.time.setTimeout(() => {
      const outcome = this.outcome(note);
      if (outcome !== "failed") this.ledger.push({ user: stored.user, note });
      const reply = stored.job.steps[0]!.kind === "turn" ? { reply: `you said ${note}` } : { details: { note } };
      if (outcome === "succeeded") this.#end(stored, { status: "succeeded", result: reply, cursor: 1 });
      else this.#end(stored, { status: outcome, effect: outcome === "failed" ? "not_run" : "unknown", error: { code: outcome === "failed" ? "tool_failed" : "outcome_unknown", message: outcome } });
    }, this.tookMs);
  }

  #change(stored: Stored, change: Partial<Job>): void {
    stored.rev += 1;
    Object.assign(stored.job, change, { updated_at: new Date(this.now()).toISOString() });
  }

  #end(stored: Stored, change: Partial<Job>): void {
    this.#change(stored, change);
    delete stored.job.next_poll_ms;
    this.time.setTimeout(() => this.jobs.delete(`${stored.user}/${stored.job.request_id}`), this.keepsMs);
  }

  #isOpen({ job }: Stored): boolean {
    return ["queued", "running", "retrying", "awaiting_approval"].includes(job.status);
  }

  #cancel(stored: Stored): WireResponse {
    if (stored.job.status === "cancelled") return this.#view(stored);
    if (!this.#isOpen(stored)) return problem(409, "job_over", { job_status: stored.job.status });
    this.time.clearTimeout(stored.timer);
    this.#end(stored, { status: "cancelled", effect: "not_run", error: { code: "cancelled", message: "cancelled" } });
    return this.#view(stored);
  }

  #decide(stored: Stored, { decision, digest, code }: { decision: "approve" | "reject"; digest: string; code?: string }): WireResponse {
    const { approval } = stored.job;
    if (!approval) return problem(409, "approval_not_asked", { job_status: stored.job.status });
    if (approval.digest !== digest) return problem(409, "approval_digest_mismatch");
    if (approval.decision) return approval.decision === decision ? this.#view(stored) : problem(409, "approval_decided");
    if (decision === "approve") {
      if (!code || this.codes.has(code)) return problem(401, "login_code_rejected");
      this.codes.add(code);
      if (!code.startsWith(`dev-${stored.user}.`)) return problem(403, "approval_other_user");
    }
    const decided = { ...approval, decision, by: "user" as const, at: new Date(this.now()).toISOString() };
    if (decision === "approve") {
      this.#change(stored, { status: "queued", approval: decided });
      this.#runLater(stored, String((approval.arguments as { note: string }).note));
    } else this.#end(stored, { status: "refused", effect: "not_run", approval: decided, error: { code: "approval_rejected", message: "no" } });
    return this.#view(stored);
  }

  async #poll(stored: Stored, known: string | undefined, waitS: number): Promise<WireResponse> {
    const { rev } = stored;
    const end = this.time.elapsed + waitS * 1000;
    const news = (): boolean => stored.rev !== rev || !this.#isOpen(stored) || known !== `"${stored.rev}"`;
    while (!news() && this.time.elapsed < end) await new Promise<void>((resolve) => this.time.setTimeout(resolve, Math.min(100, end - this.time.elapsed)));
    if (known !== `"${stored.rev}"`) return this.#view(stored);
    const header: Record<string, string> = { ETag: known };
    if (this.#isOpen(stored)) header["Next-Poll-Ms"] = "500";
    return { status: 304, header, body: "" };
  }

  #view({ job, rev }: Stored, header: Record<string, string> = {}, status = 200): WireResponse {
    const next: Record<string, string> = job.next_poll_ms ? { "Next-Poll-Ms": String(job.next_poll_ms) } : {};
    return { status, header: { ETag: `"${rev}"`, ...next, ...header }, body: JSON.stringify(job) };
  }
}

const ok = (body: unknown, status = 200): WireResponse => ({ status, header: {}, body: JSON.stringify(body) });

function problem(status: number, code: string, more: Record<string, unknown> = {}): WireResponse {
  const header: Record<string, string> = status === 429 ? { "Retry-After": "2" } : {};
  return { status, header, body: JSON.stringify({ type: `urn:openclaw-miniprogram:${code}`, title: code, status, code, ...more }) };
}
