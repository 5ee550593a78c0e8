/** The signed-in operator. The token is in memory only: a reload, a closed tab or a sign-out discards it. */
import { computed, signal } from "@preact/signals";
import { Api } from "../api/client.ts";
import { pages } from "../api/pages.ts";
import { Problem } from "../api/problem.ts";
import type { Approval, ConsoleConfig, HeldTextLine, JobLine, Me } from "../api/shapes.ts";
import { Live } from "../live/poll.ts";

/** A signed-in operator, and the polls of the page's frame. */
export interface Session {
  api: Api;
  me: Me;
  /** When the token ends, as it says itself. The service decides; this only warns. */
  endsAt: number | undefined;
  waiting: Live<{ approvals: Approval[]; unreadable?: string[]; next_cursor?: string }>;
  heldTexts: Live<{ held_texts: HeldTextLine[]; unreadable?: string[]; next_cursor?: string }>;
  unknown: Live<{ jobs: JobLine[]; next_cursor?: string }>;
  deadLetters: Live<{ count: number }>;
  controls: Live<Awaited<ReturnType<Api["controls"]>>>;
}

export const session = signal<Session | undefined>(undefined);
/** Why the operator was signed out. */
export const ended = signal<Problem | undefined>(undefined);
export const config = signal<ConsoleConfig>({});
export const may = computed(() => session.value?.me.may ?? { view: false, decide: false, administer: false });

/** The session; only called after the sign-in. */
export function current(): Session {
  const found = session.value;
  if (!found) throw new Error("no operator is signed in");
  return found;
}

export async function signIn(token: string): Promise<void> {
  const api = new Api(token, (problem) => {
    if (session.value?.api === api) signOut(problem);
  });
  const me = await api.me();
  ended.value = undefined;
  session.value = {
    api, me, endsAt: endOf(token),
    waiting: new Live(async () => {
      const { entries, next } = await pages(1, (cursor) => api.approvals(cursor), (page) => page.approvals);
      return { approvals: entries, ...(next === undefined ? {} : { next_cursor: next }) };
    }, 4),
    heldTexts: new Live(async () => {
      const { entries, next } = await pages(1, (cursor) => api.heldTexts(cursor), (page) => page.held_texts);
      return { held_texts: entries, ...(next === undefined ? {} : { next_cursor: next }) };
    }, 8),
    unknown: new Live(async () => ({ jobs: (await pages(1, (cursor) => api.jobs("unknown", cursor), (page) => page.jobs)).entries }), 15),
    // The number of dead letters changes rarely, so it is polled once a minute.
    deadLetters: new Live(() => api.deadLetters(), 60),
    controls: new Live(() => api.controls(), 10),
  };
}

export function signOut(why?: Problem): void {
  session.value = undefined;
  ended.value = why;
}

export function setMe(me: Me): void {
  const found = session.value;
  if (found) session.value = { ...found, me };
}

/** The unverified `exp` of the token, for the warning only. */
export function endOf(token: string): number | undefined {
  try {
    const text = atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/"));
    const claims: unknown = JSON.parse(text);
    if (typeof claims === "object" && claims !== null && "exp" in claims && typeof claims.exp === "number") return claims.exp * 1000;
  } catch {
    // Not a JWT that this page can parse: the API decides.
  }
  return undefined;
}

/** Whether the identity provider has just redirected here. */
export function isReturning(): boolean {
  const asked = new URLSearchParams(location.search);
  return asked.has("state") && (asked.has("code") || asked.has("error"));
}

/** Reads how operators sign in. Without a response they paste a token. */
export async function loadConfig(): Promise<void> {
  try {
    const answer = await fetch("/console/config.json", { mode: "same-origin", credentials: "omit", cache: "no-store" });
    if (answer.ok) config.value = (await answer.json()) as ConsoleConfig;
  } catch {
    config.value = {};
  }
}
