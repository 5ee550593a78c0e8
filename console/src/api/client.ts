/** Calls to `/v1/operator/*`: same origin, no cookies, the token in a header that no other site can make a browser send. */
import { heardFromServer } from "../live/clock.ts";
import { Problem, problemOf } from "./problem.ts";
import type {
  Approval, BadState, Chain, Checkpoint, Controls, Erasure, HeldText, HeldTextLine, JobAnswer, JobLine, Json, Me, Metrics, Mode, OpenState,
} from "./shapes.ts";

/** Timeout of a call. */
const TIME_LIMIT_MS = 15_000;
/** Number of entries of a page. */
export const PAGE = 50;

type Method = "GET" | "POST" | "PUT";

/** One operator's access to the API. The token lives in this object and nowhere else. */
export class Api {
  readonly #token: string;
  readonly #rejected: (problem: Problem) => void;

  /** `rejected` is called when the API answers that the token is invalid or has expired. */
  constructor(token: string, rejected: (problem: Problem) => void) {
    this.#token = token;
    this.#rejected = rejected;
  }

  async #call<T>(method: Method, path: string, body?: Json): Promise<T> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.#token}`, accept: "application/json" };
    const init: RequestInit = {
      method, headers, mode: "same-origin", credentials: "omit", cache: "no-store", redirect: "error",
      referrerPolicy: "no-referrer", signal: AbortSignal.timeout(TIME_LIMIT_MS),
    };
    if (body !== undefined) {
      headers["content-type"] = "application/json";
      init.body = JSON.stringify(body);
    }
    let answer: Response;
    try {
      answer = await fetch(`/v1/operator/${path}`, init);
    } catch {
      throw Problem.network();
    }
    heardFromServer(answer.headers.get("date"));
    if (!answer.ok) {
      const problem = await problemOf(answer);
      if (answer.status === 401) this.#rejected(problem);
      throw problem;
    }
    try {
      return (await answer.json()) as T;
    } catch {
      throw new Problem("answer_unreadable", answer.status);
    }
  }

  me = () => this.#call<Me>("GET", "me");
  addUser = (user_id: string) => this.#call<Me>("POST", "me/users", { user_id });

  approvals = (cursor?: string) =>
    this.#call<{ approvals: Approval[]; unreadable?: string[]; next_cursor?: string }>("GET", `approvals?${page(cursor)}`);
  decide = (job: string, decision: "approve" | "reject", digest: string, note: string) =>
    this.#call<unknown>("POST", `jobs/${encodeURIComponent(job)}/approval`, note ? { decision, digest, note } : { decision, digest });

  heldTexts = (cursor?: string) =>
    this.#call<{ held_texts: HeldTextLine[]; unreadable?: string[]; next_cursor?: string }>("GET", `held-texts?${page(cursor)}`);
  heldText = (job: string) => this.#call<HeldText>("GET", `jobs/${encodeURIComponent(job)}/held-text`);
  decideText = (job: string, decision: "pass" | "refuse", digest: string, note: string) =>
    this.#call<unknown>("POST", `jobs/${encodeURIComponent(job)}/held-text`, note ? { decision, digest, note } : { decision, digest });

  jobs = (state: OpenState | BadState, cursor?: string) =>
    this.#call<{ jobs: JobLine[]; next_cursor?: string }>("GET", `jobs?state=${state}&${page(cursor)}`);
  job = (job: string) => this.#call<JobAnswer>("GET", `jobs/${encodeURIComponent(job)}`);
  resolve = (job: string, happened: boolean, note: string) =>
    this.#call<unknown>("POST", `jobs/${encodeURIComponent(job)}/resolution`, { happened, note });

  userJobs = (user: string, cursor?: string) =>
    this.#call<{ jobs: JobLine[]; next_cursor?: string }>("GET", `users/${encodeURIComponent(user)}/jobs?${page(cursor)}`);
  refusals = (user: string) => this.#call<Chain>("GET", `users/${encodeURIComponent(user)}/refusals`);
  revoke = (user: string, reason: string) =>
    this.#call<unknown>("POST", `users/${encodeURIComponent(user)}/revocation`, { reason });
  setGroups = (user: string, groups: string[], reason: string) =>
    this.#call<{ user_id: string; groups: string[] }>("PUT", `users/${encodeURIComponent(user)}/groups`, { groups, reason });

  erasures = (cursor?: string) => this.#call<{ erasures: Erasure[]; next_cursor?: string }>("GET", `erasures?${page(cursor)}`);
  deadLetters = () => this.#call<{ count: number }>("GET", "dead-letters");

  controls = () => this.#call<Controls>("GET", "controls");
  setMode = (mode: Mode, reason: string) => this.#call<Controls>("PUT", "controls/mode", { mode, reason });
  setTool = (name: string, mode: Mode, reason: string) =>
    this.#call<Controls>("PUT", `controls/tools/${encodeURIComponent(name)}`, { mode, reason });
  openTool = (name: string, minutes: number, reason: string) =>
    this.#call<Controls>("PUT", `controls/tools/${encodeURIComponent(name)}/opening`, { minutes, reason });

  operatorAudit = (cursor?: string) => this.#call<Chain>("GET", `audit?limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
  checkpoints = () =>
    this.#call<{ checkpoints: Checkpoint[]; keys: { kid: string; public: string }[] }>("GET", "checkpoints?limit=20");
  metrics = (minutes: number) => this.#call<Metrics>("GET", `metrics?minutes=${minutes}`);
}

function page(cursor?: string): string {
  return `limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
}
