import type { Fields, Json } from "../api/shapes.ts";
import type { Verdict } from "../audit/chain.ts";
import { duration, short, shortJob, visible } from "../text/format.ts";
import { named, t } from "../text/text.ts";
import { JobLink, Moment, UserLink, who } from "./basics.tsx";
import { Icon } from "./icon.tsx";

/** Fields that are shown elsewhere on the line, or only used for verification. */
const NOT_FACTS = new Set(["v", "seq", "at", "event", "actor", "prev", "request_id", "chain", "id"]);

/** Fields that are shown first; the others follow in the order of the record. */
const FIRST = ["tool", "mode", "was", "until", "groups", "count", "approver", "approved", "what", "passed", "decision", "outcome", "calls", "proposals", "tools", "status", "code", "happened", "reason", "job", "user_id", "policies"];

const rank = (name: string) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);

const TONES: Record<string, string> = {
  accepted: "info", approval_asked: "warn", approval_decided: "info", approval_lapsed: "warn", text_held: "warn", text_decided: "info", text_lapsed: "warn", intended: "info", ended: "plain",
  derived: "info", turn_sent: "info", round_ended: "plain", cancel_requested: "plain", explained: "info", resolved: "info", refused: "bad",
};

function tone(record: Fields): string {
  if (record["status"] === "succeeded" || record["approved"] === true || record["passed"] === true) return "good";
  if (typeof record["code"] === "string" || record["approved"] === false || record["passed"] === false) return "bad";
  return TONES[String(record["event"])] ?? "plain";
}

interface TimelineProps {
  records: Json[];
  verdict: Verdict | undefined;
  newestFirst?: boolean;
  /** Number of records that are drawn. */
  most?: number;
  /** Position of the first of them, when they are the end of a longer chain. */
  from?: number;
}

/** The records of a chain, in order. From the first that does not verify on, all are marked as unverified. */
export function Timeline({ records, verdict, newestFirst, most, from }: TimelineProps) {
  const bad = verdict && !verdict.ok ? verdict.place : undefined;
  // If a link does not match, the record before it may have been changed.
  const reach = verdict && !verdict.ok && verdict.fault === "unlinked" ? 1 : 0;
  const lines = records.map((record, index) => ({ record, place: (from ?? 1) + index, before: records[index - 1] }));
  if (newestFirst) lines.reverse();
  // The first record that does not verify is always drawn.
  const drawn = lines.filter(({ place }, index) => most === undefined || index < most || place === bad);
  return (
    <ol class="timeline" reversed={newestFirst ?? false}>
      {drawn.map(({ record, place, before }) => (
        <Line key={place} record={record} place={place} before={before}
          standing={bad === undefined || place < bad - reach ? "proven" : place === bad ? "bad" : "unproven"} />
      ))}
    </ol>
  );
}

/** A value that is the same in all records of a chain is shown once. */
function repeats(name: string, value: Json, fields: Fields, before: Json | undefined): boolean {
  const lasting = name === "policy_version" || ("request_id" in fields && (name === "step" || name === "round" || name === "tool"));
  return lasting && isFields(before) && before[name] === value;
}

function isFields(value: Json | undefined): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

interface LineProps {
  record: Json;
  place: number;
  before: Json | undefined;
  standing: "proven" | "bad" | "unproven";
}

function Line({ record, place, before, standing }: LineProps) {
  const fields = isFields(record) ? record : {};
  const at = typeof fields["at"] === "string" ? fields["at"] : undefined;
  const earlier = isFields(before) && typeof before["at"] === "string" ? Date.parse(before["at"]) : undefined;
  const since = at !== undefined && earlier !== undefined ? Date.parse(at) - earlier : undefined;
  const facts = Object.entries(fields).filter(([name, value]) => !NOT_FACTS.has(name) && !repeats(name, value, fields, before))
    .sort(([one], [other]) => rank(one) - rank(other));
  return (
    <li class={`${tone(fields)} ${standing}`} data-place={place}>
      <div class="line-head">
        <span class="place">{place}</span>
        <strong>{named("event", visible(String(fields["event"] ?? t("timeline.unreadable"))))}</strong>
        <span class="by">{typeof fields["actor"] === "string" ? t("timeline.by", { who: who(fields["actor"]) }) : t("timeline.no_actor")}</span>
        {standing === "bad" && <span class="badge bad"><Icon name="broken" size={14} />{t("timeline.bad")}</span>}
        {standing === "unproven" && <span class="badge plain">{t("timeline.unproven")}</span>}
        <span class="when">
          {at && <Moment at={at} />}
          {since !== undefined && since >= 0 && <small> +{since < 1000 ? t("unit.ms", { n: since }) : duration(since)}</small>}
        </span>
      </div>
      <ul class="facts">
        {facts.map(([name, value]) => (
          <li key={name}><span>{named("field", visible(name))}</span> <Fact name={name} value={value} /></li>
        ))}
      </ul>
      <details>
        <summary>{t("timeline.raw")}</summary>
        <pre tabindex={0}>{visible(JSON.stringify(record, null, 2)).replaceAll("\\u000a", "\n")}</pre>
      </details>
    </li>
  );
}

/** A call of an agent, or a decision about one, in short. The record as it is has the rest. */
function entry(one: Json): string {
  if (typeof one === "string") return one;
  if (!isFields(one) || typeof one["tool"] !== "string" || typeof one["decision"] !== "string") return JSON.stringify(one);
  return `${one["tool"]}: ${one["decision"]}${one["failed"] === true ? ` (${named("call", "failed")})` : ""}`;
}

function Fact({ name, value }: { name: string; value: Json }) {
  if (typeof value === "string") {
    const shown = visible(value);
    if (name === "mode" || name === "was") return <b>{named("mode", shown)}</b>;
    if (name === "status") return <b>{named("status", shown)}</b>;
    if (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)) return <b><Moment at={value} /></b>;
    if (name === "job") return <JobLink job={value}><b title={shown}>{shortJob(shown)}</b></JobLink>;
    if (name === "user_id") return <UserLink user={value} />;
    const opaque = /^[^\s]{36,}$/.test(value);
    return <b title={opaque ? shown : undefined}>{opaque ? short(shown, 10) : shown}</b>;
  }
  if (typeof value === "boolean") return <b>{t(value ? "word.yes" : "word.no")}</b>;
  if (Array.isArray(value)) return <b>{value.length === 0 ? "–" : visible(value.map(entry).join(", "))}</b>;
  return <b>{visible(typeof value === "object" && value !== null ? JSON.stringify(value) : String(value))}</b>;
}
