// Everything that a user has to see before approving.
import type { Job } from "openclaw-miniprogram-client";
import { countdown } from "./countdown";
import type { Language } from "./language";
import { type Line, linesOf } from "./lines";
import { textsOf } from "./texts";

export interface ApprovalView {
  title: string;
  summary: string;
  lines: Line[];
  /** Shown where there are no lines. */
  noLines: string;
  proposed: boolean;
  derived: boolean;
  approver: "user" | "operator";
  decided: string;
  left: string;
  soon: boolean;
  /** The user may decide now. */
  open: boolean;
}

export function approvalView({ approval, status }: Pick<Job, "approval" | "status">, nowMs: number, language: Language): ApprovalView | null {
  if (!approval) return null;
  const t = textsOf(language);
  const left = countdown(approval.expires_at, nowMs);
  const lines = approval.arguments ? Object.entries(approval.arguments).flatMap(([name, value]) => linesOf(value, name)) : [];
  const decided = approval.decision ? t[`${approval.by === "operator" ? "operator" : "you"}_${approval.decision === "approve" ? "approved" : "rejected"}`] : "";
  return {
    title: approval.title,
    summary: approval.summary,
    lines,
    noLines: approval.arguments ? t.no_arguments : t.erased,
    proposed: approval.proposed === true,
    derived: approval.derived === true,
    approver: approval.approver,
    decided,
    left: left.text,
    soon: left.soon,
    open: status === "awaiting_approval" && approval.approver === "user" && !decided && !left.over,
  };
}
