// A job as pages show it.
import type { Job, JobHandle, Step } from "openclaw-miniprogram-client";
import { isOver, jobText } from "openclaw-miniprogram-client/text";
import { timeOf } from "./countdown";
import type { Language } from "./language";
import { type Line, linesOf } from "./lines";
import { safeMarkdown } from "./markdown";
import { type Notice, noticeOfHandle } from "./notice";
import { textsOf } from "./texts";

export interface StepView {
  name: string;
  text: string;
  /** An agent proposed it. */
  proposed: boolean;
}

export interface JobView {
  id: string;
  name: string;
  statusText: string;
  over: boolean;
  notice: Notice | null;
  /** The progress of the agent, newest last. */
  progress: string;
  working: string;
  /** Words of a model: safe markdown, to be shown with the mark. */
  reply: string;
  /** The reply is not whole yet. */
  partial: boolean;
  truncated: boolean;
  /** What a tool returned. */
  result: Line[];
  steps: StepView[];
  /** The user has to decide. */
  mine: boolean;
  /** An operator has to decide. */
  theirs: boolean;
  cancellable: boolean;
  resolution: string;
  supportCode: string;
  createdAt: string;
}

const MOST_LINES = 100;
const LONGEST_LINE = 4_000;

/** The part of a handle that is shown; a job of the history has no handle. */
export type Seen = Pick<JobHandle, "requestId" | "status" | "over" | "job" | "error" | "supportCode" | "submission">;

export function seenJob(job: Job): Seen {
  return { requestId: job.request_id, status: job.status, over: isOver(job.status), job, error: undefined, supportCode: job.support_code, submission: undefined };
}

export function viewOf(seen: Seen, language: Language): JobView {
  const { job } = seen;
  const t = textsOf(language);
  const waits = job?.status === "awaiting_approval" && !job.held ? job.approval : undefined;
  const turn = [...(job?.steps ?? [])].reverse().find((step) => step.progress?.length || step.partial);
  const reply = seen.over ? replyOf(job?.result) : undefined;
  const text = reply?.text ?? turn?.partial ?? "";
  const progress = (turn?.progress ?? []).map((one) => progressText(one, language));
  return {
    id: seen.requestId,
    name: nameOf(seen),
    statusText: job ? jobText(job)[language] : STORED[language],
    over: seen.over,
    notice: noticeOfHandle(seen, language) ?? null,
    progress: progress.join("\n"),
    working: progress[progress.length - 1] ?? t.working,
    reply: safeMarkdown(text),
    partial: reply === undefined && text !== "",
    truncated: reply?.truncated ?? false,
    result: seen.over && reply === undefined ? resultLines(job, language) : [],
    steps: job && job.steps.length > 1 ? job.steps.map((step) => stepView(step, language)) : [],
    mine: waits?.approver === "user",
    theirs: waits?.approver === "operator",
    cancellable: !seen.over && !job?.cancel_requested,
    resolution: job?.resolution ? (job.resolution.happened ? t.resolved_ran : t.resolved_not) : "",
    supportCode: seen.supportCode ?? "",
    createdAt: job ? timeOf(job.created_at) : "",
  };
}

const STORED: Record<Language, string> = { zh: "已保存在手机上，正在发送。", en: "Kept on this phone, being sent." };

function nameOf({ job, submission }: Seen): string {
  const first = job?.steps[0];
  if (first) return first.tool ?? [first.agent, first.conversation].filter(Boolean).join(" · ");
  if (submission && "tool" in submission) return submission.tool;
  return submission && "agent" in submission ? (submission.agent ?? "main") : "main";
}

/** What a turn returned, or nothing where a tool did. */
function replyOf(result: unknown): { text: string; truncated: boolean } | undefined {
  const { reply, truncated } = (result ?? {}) as { reply?: unknown; truncated?: unknown };
  return typeof reply === "string" ? { text: reply, truncated: truncated === true } : undefined;
}

function resultLines(job: Job | undefined, language: Language): Line[] {
  const result = job?.result;
  if (result === undefined || result === null) return [];
  const t = textsOf(language);
  const { content, omitted, title, summary, arguments: args } = result as Record<string, unknown>;
  if (omitted !== undefined) return [{ name: "", value: t.omitted }];
  if (job?.status === "explained" && typeof title === "string") {
    return short([{ name: "", value: typeof summary === "string" ? summary : title }, ...linesOf(args)]);
  }
  // What the gateway's tools return: texts for people, and the same as data.
  const texts = Array.isArray(content) ? content.filter(isText) : [];
  return short(texts.length > 0 ? texts.map(({ text }) => ({ name: "", value: text })) : linesOf(result));
}

function isText(item: unknown): item is { text: string } {
  return typeof (item as { text?: unknown } | null)?.text === "string";
}

function short(lines: Line[]): Line[] {
  const cut = lines.slice(0, MOST_LINES).map(({ name, value }) => ({ name, value: value.length > LONGEST_LINE ? `${value.slice(0, LONGEST_LINE)}…` : value }));
  return lines.length > MOST_LINES ? [...cut, { name: "…", value: String(lines.length - MOST_LINES) }] : cut;
}

const OUTCOMES: Record<string, [string, string]> = {
  succeeded: ["完成", "done"],
  failed: ["失败", "failed"],
  refused: ["未执行", "not done"],
  not_run: ["未执行", "not done"],
  unknown: ["结果未知", "not known"],
  open: ["未结束", "open"],
};

function stepView(step: Step, language: Language): StepView {
  return {
    name: step.tool ?? step.agent ?? step.kind,
    text: OUTCOMES[step.outcome ?? "open"]![language === "zh" ? 0 : 1],
    proposed: step.proposed === true,
  };
}

const STATES: Record<string, [string, string]> = {
  running: ["进行中", "running"],
  done: ["完成", "done"],
  failed: ["失败", "failed"],
  proposed: ["已提出，等待决定", "proposed, to be decided"],
  vetoed: ["已拦下", "stopped"],
};

function progressText({ doing, tool, state, arguments: args }: NonNullable<Step["progress"]>[number], language: Language): string {
  const t = textsOf(language);
  if (doing === "thinking") return t.thinking;
  if (doing === "replying") return t.replying;
  if (doing !== "tool") return t.working;
  const how = STATES[state ?? ""]?.[language === "zh" ? 0 : 1];
  return [tool, args].filter(Boolean).join(" ") + (how ? ` (${how})` : "");
}
