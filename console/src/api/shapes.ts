/** The answers of `/v1/operator/*`, as far as this page reads them. `openapi.yaml` is their contract. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Fields = { [key: string]: Json };

export const MODES = ["full", "read_only", "explain_only", "closed"] as const;
export type Mode = (typeof MODES)[number];

export const OPEN_STATES = ["awaiting_approval", "queued", "running", "retrying"] as const;
export const BAD_STATES = ["unknown", "failed", "refused", "expired"] as const;
export type OpenState = (typeof OPEN_STATES)[number];
export type BadState = (typeof BAD_STATES)[number];
export type Status = OpenState | BadState | "succeeded" | "cancelled" | "explained";

export type Effect = "read" | "write" | "destructive";
export type WorldEffect = "not_run" | "ran" | "unknown";

export interface Me {
  operator_id: string;
  name?: string;
  roles: string[];
  user_ids: string[];
  may: { view: boolean; decide: boolean; administer: boolean };
}

export interface Approval {
  job: string;
  user_id: string;
  request_id: string;
  tool: string;
  title: string;
  summary: string;
  arguments: Json;
  effect: Effect;
  approver: "operator" | "user";
  digest: string;
  asked_at: string;
  expires_at: string;
  own: boolean;
  /** An agent proposed it. */
  proposed?: boolean;
  /** An argument comes from a turn or an earlier step. */
  derived?: boolean;
}

export type HeldKind = "arguments" | "message" | "reply";

/** A text that content safety holds, as lists show it: without the text. */
export interface HeldTextLine {
  job: string;
  user_id: string;
  request_id: string;
  what: HeldKind;
  /** The tool, or the agent. */
  name: string;
  suggestion: string;
  label: string;
  digest: string;
  asked_at: string;
  expires_at: string;
  own: boolean;
}

/** The same with the text: `arguments` of a call, else `text`. */
export interface HeldText extends HeldTextLine {
  text?: string;
  arguments?: Json;
}

/** What a job says of its held text. */
export interface JobHeldText {
  place: number;
  what: HeldKind;
  code: string;
  message: string;
  expires_at: string;
}

/** The report of a user's erasure. */
export interface Erasure {
  erasure_id: string;
  user_id: string;
  status: string;
  reason: string;
  requested_at: string;
  finished_at?: string;
  erased: { jobs: number; submissions: number; results: number; conversations: number };
}

/** What became of one message of WeChat about a job. */
export interface PushMessage {
  about: "approval" | "ended";
  place?: number;
  status: string;
  code?: string;
  at: string;
  tries: number;
}

export interface JobLine {
  job: string;
  user_id: string;
  request_id: string;
  status: Status;
  tool: string;
  error?: { code: string; message?: string } | string;
  effect?: WorldEffect;
  created_at: string;
  updated_at: string;
  age_s: number;
}

export interface JobApproval {
  /** The index of its step. */
  place: number;
  proposed?: boolean;
  derived?: boolean;
  approver: "operator" | "user";
  digest: string;
  title: string;
  summary: string;
  arguments: Json;
  expires_at: string;
  decision?: string;
  by?: string;
  at?: string;
}

export interface Progress {
  at: string;
  doing: string;
  tool?: string;
  state?: string;
  arguments?: string;
}

export interface JobStep {
  kind: string;
  /** Of a call. */
  tool?: string;
  /** Of a turn, or of a conversation that ends. */
  agent?: string;
  conversation?: string;
  step: number;
  round: number;
  proposed?: boolean;
  derived?: boolean;
  outcome?: string;
  error?: { code: string; message?: string };
  progress?: Progress[];
  partial?: string;
}

export interface JobView {
  request_id: string;
  status: Status;
  effect?: WorldEffect;
  cursor: number;
  steps: JobStep[];
  result?: Json;
  error?: { code: string; message?: string };
  resolution?: { by: string; happened: boolean; at: string; note?: string };
  approval?: JobApproval;
  held?: JobHeldText;
  notification?: { name: string; status: string; code?: string; at?: string };
  cancel_requested?: boolean;
  support_code: string;
  not_after: string;
  deadline?: string;
  created_at: string;
  updated_at: string;
}

export interface Head {
  length: number;
  digest: string;
}

export interface Anchor extends Head {
  /** Number of the checkpoint. */
  checkpoint: number;
}

export interface Chain {
  records: Json[];
  head: Head;
  next_cursor?: string;
}

export interface JobAnswer {
  job: string;
  user_id: string;
  view: JobView;
  messages?: PushMessage[];
  audit: Chain;
  anchor?: Anchor;
}

export interface ServiceSetting {
  mode: Mode;
  reason: string;
  by: string;
  at: string;
}

export interface ToolControl {
  name: string;
  title: string;
  effect: Effect;
  mode: Mode;
  /** The effective mode: the more restrictive of this one and the service's. */
  effective?: Mode;
  reason?: string;
  by?: string;
  at?: string;
  opened_until?: string;
}

export interface Controls {
  service: ServiceSetting;
  tools: ToolControl[];
  checkpoint: { seq: number; signed_at: string; exported_at?: string } | null;
  checkpoint_max_age_s: number;
  audit_proven: boolean;
}

export interface Series {
  name: "requests" | "p95_ms" | "refusals" | "failures";
  label?: string;
  points: [number, number | null][];
}

export interface Metrics {
  step_s: number;
  series: Series[];
}

export interface Checkpoint {
  v: number;
  seq: number;
  from: string;
  to: string;
  at: string;
  prev: string;
  operators: Head;
  heads: { job: string; length: number; digest: string }[];
  refusals: { user: string; length: number; digest: string }[];
  kid: string;
  signature: string;
}

export interface ConsoleConfig {
  issuer?: string;
  client_id?: string;
  token_hint?: boolean;
}
