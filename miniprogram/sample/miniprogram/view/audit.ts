// The audit record of a request, in words.
import type { AuditChain } from "openclaw-miniprogram-client";
import { timeOf } from "./countdown";
import type { Language } from "./language";
import { textsOf } from "./texts";

export interface AuditLine {
  seq: number;
  at: string;
  text: string;
  by: string;
}

const EVENTS: Record<string, [string, string]> = {
  accepted: ["已接收", "Accepted"],
  approval_asked: ["请求确认", "Approval asked"],
  approval_yes: ["已同意", "Approved"],
  approval_no: ["已拒绝", "Rejected"],
  approval_lapsed: ["确认已过期", "Approval expired"],
  text_held: ["内容待审核", "Text held for review"],
  text_decided: ["内容已审核", "Text reviewed"],
  text_lapsed: ["内容未及时审核", "Text not reviewed in time"],
  explained: ["仅说明", "Explained only"],
  derived: ["由前面的结果得出参数", "Arguments worked out from earlier results"],
  intended: ["即将执行", "About to run"],
  turn_sent: ["已发给助手", "Sent to the agent"],
  round_ended: ["助手已回应", "The agent answered"],
  ended: ["已结束", "Ended"],
  cancel_requested: ["请求取消", "Cancel asked"],
  resolved: ["后来查明", "Found out later"],
};

export function auditLines({ records }: AuditChain, language: Language): AuditLine[] {
  const t = textsOf(language);
  const actors: Record<string, string> = { user: t.actor_user, worker: t.actor_worker, operator: t.actor_operator };
  return records.map((record) => {
    const { seq, at, actor, tool } = record;
    const name = record.event === "approval_decided" ? (record.approved ? "approval_yes" : "approval_no") : (record.event ?? "");
    const words = EVENTS[name]?.[language === "zh" ? 0 : 1] ?? name;
    return { seq, at: timeOf(at), text: `${words} · ${tool}`, by: actors[actor] ?? actor };
  });
}
