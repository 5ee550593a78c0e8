// Sentences for the user of a Mini Program, in Chinese and English: one for each code, and one for each end of a job.
import type { ClientError, Job, PhoneCode, ServiceCode, Text } from "./types.ts";

export { isOver } from "./status.ts";

/** Each with the codes that it is for. The first is also for a code that this version does not know. */
const SENTENCES: [codes: (ServiceCode | PhoneCode)[], zh: string, en: string][] = [
  [
    [
      "request_malformed", "idempotency_key_missing", "idempotency_key_malformed", "idempotency_key_reused", "content_type_unsupported", "body_not_json",
      "body_too_deep", "body_duplicate_key", "body_number", "body_invalid", "parameter_invalid", "cursor_invalid", "not_after_invalid", "notification_unknown",
      "deadline_invalid", "method_not_allowed", "tool_unknown", "agent_unknown", "domain_not_listed", "job_busy", "ring_over", "event_refused",
      "job_not_unknown", "already_resolved",
    ],
    "程序出了点问题，请更新后再试。", "Something is wrong in the app. Please update it and try again.",
  ],
  [["no_session", "no_operator", "login_code_rejected", "login_failed", "closed"], "登录已失效，请重试。", "Your login has ended. Please try again."],
  [["login_blocked"], "微信暂时不允许你登录，请联系客服。", "WeChat does not let you log in. Please contact support."],
  [["rate_limited", "login_limited"], "操作太频繁，请稍等。", "Too many requests. Please wait a moment."],
  [["in_flight_full", "conversation_full", "outbox_full"], "还有任务没有完成，请等其中一个结束。", "Other requests are still open. Please wait for one to end."],
  [["unavailable", "internal", "wechat_unavailable", "erasure_open"], "服务暂时不可用，请稍后再试。", "The service is not available just now. Please try again later."],
  [["offline"], "网络不通，恢复后会继续。", "No connection. It goes on when you are back online."],
  [["request_id_in_future"], "手机时间不准，请校准后再试。", "Your phone's clock is wrong. Please set it and try again."],
  [["request_id_expired"], "请求放得太久，没有发送。请确认后重新提交。", "This request became too old to be sent. Please check, then ask again."],
  [["request_id_erased"], "这条请求的数据已被删除。", "The data of this request was deleted."],
  [["erasure_other_user"], "请用要删除数据的微信账号操作。", "Please use the WeChat account whose data is to be deleted."],
  [["arguments_invalid"], "填写的内容不符合要求，请修改。", "Some of what you entered does not fit. Please correct it."],
  [["body_too_large", "arguments_not_showable"], "内容太长，请缩短。", "That is too long. Please shorten it."],
  [["policy_denied", "policy_error", "operator_forbidden", "approval_own_request", "host_not_allowed"], "你没有权限这样做。", "You are not allowed to do this."],
  [
    ["mode_read_only", "mode_closed", "tool_closed", "tool_not_opened", "audit_unproven"],
    "服务目前受限，请稍后再试。", "The service is limited just now. Please try again later.",
  ],
  [["approval_by_operator"], "这一步由管理员决定。", "An operator decides about this."],
  [["approval_other_user"], "请用提交请求的微信账号确认。", "Please approve with the WeChat account that asked."],
  [["approval_digest_mismatch", "approval_decided", "approval_not_asked", "text_digest_mismatch", "text_decided", "text_not_held"], "内容已变化，请重新查看。", "This has changed. Please look at it again."],
  [["approval_expired", "text_decision_expired"], "确认时间已过，请重新提交。", "The time to decide is over. Please ask again."],
  [["conversation_other_agent", "conversation_ending"], "这个对话不能继续，请新建一个。", "This conversation cannot go on. Please begin another."],
  [["conversations_full"], "对话太多，请先删除一个。", "You have too many conversations. Please delete one first."],
  [["not_found"], "找不到这条记录。", "This was not found."],
  [["job_unreadable"], "这条记录无法显示，它会自行结束。", "This cannot be shown. It ends by itself."],
  [["job_over"], "任务已经结束。", "This has ended already."],
  [["storage_failed"], "手机存储空间不足，没有发送。", "The phone's storage is full. Nothing was sent."],
  [["cancelled"], "已取消。", "Cancelled."],
];

/** Every code that has a sentence. */
export const codes = (): string[] => SENTENCES.flatMap(([all]) => all);

/** What an error means to the user. */
export function errorText({ code }: Pick<ClientError, "code">): Text {
  const [, zh, en] = SENTENCES.find(([all]) => all.includes(code)) ?? SENTENCES[0]!;
  return { zh, en };
}

const JOBS: Record<string, [zh: string, en: string]> = {
  queued: ["已提交，正在排队。", "Submitted, waiting to start."],
  running: ["正在处理。", "In progress."],
  retrying: ["正在重试。", "Waiting to go on."],
  awaiting_approval: ["需要确认后才会执行。", "Nothing happens before this is approved."],
  held: ["内容正在审核，通过后才会继续。", "The text is being reviewed. It goes on once it is let through."],
  succeeded: ["已完成。", "Done."],
  explained: ["现在只作说明，没有执行。", "Only explained for now: nothing was done."],
  cancelled: ["已取消。", "Cancelled."],
  not_run: ["没有执行，可以重新提交。", "Nothing was done. You can ask again."],
  ran: ["已执行一部分。重新提交会再执行一次。", "Some of it was done. Asking again does it again."],
  unknown: ["无法确认是否已执行。请先核实，再决定是否重新提交。", "It is not known whether this was done. Please check before you ask again."],
  failed: ["没有成功，可以重新提交。", "That did not work. You can ask again."],
};

/** A sentence about a job: for one that ended without success, what it did to the world. */
export function jobText({ status, effect, held }: Pick<Job, "status" | "effect" | "held">): Text {
  const byEffect = ["failed", "refused", "expired"].includes(status);
  // A status that this version does not know is open.
  const [zh, en] = byEffect ? (JOBS[effect ?? "failed"] ?? JOBS["unknown"]!) : (JOBS[held ? "held" : status] ?? JOBS["running"]!);
  return { zh, en };
}
