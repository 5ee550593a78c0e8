// Texts for failures: what happened, and what to do now.
import type { ClientError, Job, JobHandle } from "openclaw-miniprogram-client";
import { errorText, jobText } from "openclaw-miniprogram-client/text";
import type { Language } from "./language";

export type NoticeKind =
  | "offline" | "limited" | "refused" | "explained" | "expired" | "unknown" | "partly" | "failed" | "cancelled"
  | "login" | "correct" | "app";
export type Tone = "info" | "warn" | "bad";

export interface Notice {
  kind: NoticeKind;
  tone: Tone;
  title: string;
  /** What happened. */
  text: string;
  /** What the user should do. */
  advice: string;
  /** Nothing happened, so the page may offer to ask again. */
  again: boolean;
}

const WORDS: Record<NoticeKind, [tone: Tone, title: [string, string], advice: [string, string]]> = {
  offline: ["warn", ["没有网络", "You are offline"], ["不用重复提交：任务已保存，联网后会自动继续。", "Do not send it again. It is kept on this phone and goes on by itself when you are back online."]],
  limited: ["warn", ["服务受限", "The service is limited"], ["请稍后再试。已提交的任务会自动继续。", "Please try later. What you have submitted goes on by itself."]],
  refused: ["bad", ["没有执行", "Not done"], ["如需帮助，请把支持代码告诉管理员。", "If you need help, give the support code to an operator."]],
  explained: ["info", ["仅说明，未执行", "Explained, not done"], ["下面是本来会执行的内容。服务恢复后请重新提交。", "Below is what would have been done. Ask again when the service is back to normal."]],
  expired: ["warn", ["已过期", "Too late"], ["什么都没有执行。如仍需要，请重新提交。", "Nothing was done. If you still want it, ask again."]],
  unknown: ["bad", ["结果未知", "Not known whether it was done"], ["请不要马上重新提交。先核实（例如查看账户或联系管理员），再决定。这里会显示后来查明的结果。", "Do not ask again at once. Check first, for example your account, or ask an operator. What is found out later is shown here."]],
  partly: ["bad", ["只执行了一部分", "Only partly done"], ["重新提交会再执行一次，请先核对已执行的步骤。", "Asking again does it again. Look first at the steps that were done."]],
  failed: ["warn", ["没有成功", "It did not work"], ["可以重新提交。如一再失败，请把支持代码告诉管理员。", "You can ask again. If it goes on failing, give the support code to an operator."]],
  cancelled: ["info", ["已取消", "Cancelled"], ["什么都没有执行。", "Nothing was done."]],
  login: ["warn", ["登录失效", "Login ended"], ["请重试；如仍不行，请重新打开小程序。", "Please try again, or open the Mini Program anew."]],
  correct: ["warn", ["请修改", "Please correct this"], ["修改后重新提交。", "Correct it and submit again."]],
  app: ["bad", ["程序错误", "A fault in the app"], ["请更新小程序后再试。", "Please update the Mini Program and try again."]],
};

/** Advice after a refusal: the request has to be submitted again; one that waits for a limit continues automatically. */
const NOT_TAKEN: [string, string] = ["这次什么都没有执行，请稍后重新提交。", "Nothing was done this time. Ask again later."];

const LIMITED = [
  "rate_limited", "login_limited", "in_flight_full", "conversation_full", "conversations_full", "outbox_full", "unavailable", "internal",
  "wechat_unavailable", "mode_read_only", "mode_closed", "tool_closed", "tool_not_opened", "audit_unproven",
];
const REFUSED = ["policy_denied", "policy_error", "approval_by_operator", "approval_other_user", "login_blocked", "approval_insufficient"];
const CORRECT = [
  "arguments_invalid", "body_too_large", "arguments_not_showable", "conversation_other_agent", "conversation_ending", "approval_digest_mismatch",
  "approval_decided", "approval_not_asked", "not_found", "job_over", "request_id_in_future",
];

function kindOfCode(code: string): NoticeKind {
  if (LIMITED.includes(code)) return "limited";
  if (REFUSED.includes(code)) return "refused";
  if (CORRECT.includes(code)) return "correct";
  if (code === "offline") return "offline";
  if (code === "cancelled") return "cancelled";
  if (code === "approval_expired" || code === "request_id_expired") return "expired";
  if (code === "storage_failed") return "failed";
  return ["no_session", "login_code_rejected", "login_failed", "closed"].includes(code) ? "login" : "app";
}

function notice(kind: NoticeKind, text: string, again: boolean, language: Language): Notice {
  const place = language === "zh" ? 0 : 1;
  const [tone, title, advice] = WORDS[kind];
  const advised = kind === "limited" && again ? NOT_TAKEN : advice;
  return { kind, tone, title: title[place], text, advice: advised[place], again };
}

export function noticeOfError(error: ClientError, language: Language): Notice {
  if (error.effect === "unknown") return notice("unknown", jobText({ status: "unknown", effect: "unknown" })[language], false, language);
  const kind = kindOfCode(error.code);
  return notice(kind, errorText(error)[language], kind !== "offline" && error.effect === "not_run" && kind !== "correct", language);
}

/** Why a job did not run, where its status alone does not say it. */
const REASONS: Record<string, [string, string]> = {
  approval_rejected: ["已被拒绝，没有执行。", "It was rejected, so nothing was done."],
  policy_denied: ["规则不允许这个操作。", "The rules do not allow this."],
  policy_error: ["规则不允许这个操作。", "The rules do not allow this."],
  approval_insufficient: ["现在需要更高级别的确认，请重新提交。", "It now needs another approval. Please ask again."],
  tool_unavailable: ["这个工具现在不可用。", "This tool is not available now."],
  tool_blocked: ["这个操作被安全检查拦下。", "A safety check stopped this."],
  not_after_passed: ["没能在规定时间内开始。", "It could not start in time."],
  approval_expired: ["没有在规定时间内得到确认。", "It was not approved in time."],
  model_failed: ["AI 模型没有回应。", "The AI model did not answer."],
  model_refused: ["AI 模型拒绝回答。", "The AI model refused to answer."],
  reply_empty: ["AI 没有给出回复。", "The AI gave no reply."],
  turn_timed_out: ["AI 用时过长，已停止。", "The AI took too long and was stopped."],
  turn_lost: ["处理中断，请再说一次。", "It was interrupted. Please say it again."],
  content_refused: ["内容未通过安全检查，没有执行。请修改后再试。", "The text did not pass a safety check, so nothing was done. Please change it."],
  content_undecided: ["内容没有在规定时间内通过审核，没有执行。", "The text was not let through in time, so nothing was done."],
  content_unchecked: ["内容暂时无法检查，没有执行。请稍后再试。", "The text could not be checked, so nothing was done. Please try again later."],
  reply_refused: ["回复未通过安全检查，不予显示。", "The reply did not pass a safety check and is not shown."],
  reply_undecided: ["回复没有在规定时间内通过审核，不予显示。", "The reply was not let through in time and is not shown."],
  reply_unchecked: ["回复暂时无法检查，不予显示。", "The reply could not be checked and is not shown."],
  tool_failed: ["工具报告失败。", "The tool reported a failure."],
};

/** Of a job that is over without success. */
export function noticeOfJob(job: Pick<Job, "status" | "effect" | "error">, language: Language): Notice | undefined {
  const kind = kindOfJob(job);
  if (!kind) return undefined;
  const reason = kind === "unknown" || kind === "partly" ? undefined : REASONS[job.error?.code ?? ""];
  const text = reason ? reason[language === "zh" ? 0 : 1] : jobText(job)[language];
  return notice(kind, text, job.effect === "not_run" || (kind === "failed" && job.effect === undefined), language);
}

function kindOfJob({ status, effect, error }: Pick<Job, "status" | "effect" | "error">): NoticeKind | undefined {
  // What may have happened counts for more than how it ended.
  if (status === "unknown" || effect === "unknown") return "unknown";
  if (effect === "ran" && status !== "succeeded") return "partly";
  switch (status) {
    case "failed": case "explained": case "cancelled": case "expired":
      return status;
    case "refused":
      return kindOfCode(error?.code ?? "") === "limited" ? "limited" : "refused";
    default:
      return undefined;
  }
}

/** Of an intent: once it is over how it ended, and before that what keeps it from going on. */
export function noticeOfHandle(handle: Pick<JobHandle, "job" | "error" | "over">, language: Language): Notice | undefined {
  if (handle.error) return noticeOfError(handle.error, language);
  return handle.over && handle.job ? noticeOfJob(handle.job, language) : undefined;
}
