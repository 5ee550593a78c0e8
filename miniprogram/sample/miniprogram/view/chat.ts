// The messages of the talk page, in the form that TDesign's chat-message takes.
import type { Seen, JobView } from "./job-view";
import { viewOf } from "./job-view";
import type { Language } from "./language";
import { textsOf } from "./texts";

export type ChatContent =
  | { type: "text" | "markdown"; data: string }
  | { type: "thinking"; data: { title: string; text: string } };

/** One message of the user, and its outcome. */
export interface Exchange {
  key: string;
  said: ChatContent[];
  answer: ChatContent[];
  /** Of chat-message: `pending` shows its loading sign. */
  status: "pending" | "streaming" | "complete" | "stop";
  view: JobView;
}

export function exchangeOf(key: string, message: string, seen: Seen, language: Language): Exchange {
  const view = viewOf(seen, language);
  const t = textsOf(language);
  const answer: ChatContent[] = [];
  // chat-thinking shows its text as it is; it holds names of tools, not words of a model.
  if (!view.over && view.progress) answer.push({ type: "thinking", data: { title: view.working, text: view.progress.replace(/\n/g, " → ") } });
  if (view.reply) answer.push({ type: "markdown", data: view.reply });
  if (view.truncated) answer.push({ type: "text", data: t.truncated });
  const status = view.over ? (view.reply ? "complete" : "stop") : answer.length > 0 ? "streaming" : "pending";
  return { key, said: [{ type: "text", data: message }], answer, status, view };
}

/** A name for a conversation that is new: letters and digits, as the API wants it. */
export function newConversation(nowMs: number): string {
  return `c-${Math.floor(nowMs / 1000).toString(36)}`;
}
