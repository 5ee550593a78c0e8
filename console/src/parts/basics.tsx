/** Small components that several screens use. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Effect, Mode, Status } from "../api/shapes.ts";
import { now } from "../live/clock.ts";
import { address } from "../route.ts";
import { moment, short, visible } from "../text/format.ts";
import { named, t } from "../text/text.ts";
import { announce } from "./announce.tsx";
import { Icon, type IconName } from "./icon.tsx";

/** A time in the reader's time zone; the title has the API's UTC time. */
export function Moment({ at }: { at: string }) {
  return <time dateTime={at} title={at}>{moment(at, now.value)}</time>;
}

/** An id or a digest in its short form, with the full text in the title and a copy button. */
export function Code({ text, length }: { text: string; length?: number }) {
  const [done, setDone] = useState(false);
  const shown = visible(text);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      announce(t("copy.failed"));
      return;
    }
    setDone(true);
    announce(t("copy.done"));
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <span class="code">
      <code title={shown}>{short(shown, length)}</code>
      <button type="button" class="quiet tiny" onClick={copy} aria-label={t("copy.what", { what: shown })} title={t("copy.hint")}>
        <Icon name={done ? "check" : "copy"} size={14} />
      </button>
    </span>
  );
}

export function UserLink({ user, whole }: { user: string; whole?: boolean }) {
  return <a href={address({ at: "user", user })} title={visible(user)}><code>{whole ? visible(user) : short(visible(user), 8)}</code></a>;
}

export function JobLink({ job, children }: { job: string; children: ComponentChildren }) {
  return <a href={address({ at: "job", job })}>{children}</a>;
}

const TONES: Record<Status, string> = {
  awaiting_approval: "warn", queued: "plain", running: "info", retrying: "warn", unknown: "bad", failed: "bad",
  refused: "bad", expired: "warn", succeeded: "good", cancelled: "plain", explained: "info",
};

export function StatusBadge({ status }: { status: Status }) {
  return <span class={`badge ${TONES[status] ?? "plain"}`}>{named("status", visible(status))}</span>;
}

export function EffectBadge({ effect }: { effect: Effect }) {
  const tone = effect === "destructive" ? "bad" : effect === "write" ? "warn" : "plain";
  return <span class={`badge outline ${tone}`}>{named("effect", visible(effect))}</span>;
}

export const MODE_TONES: Record<Mode, string> = { full: "good", read_only: "warn", explain_only: "warn", closed: "bad" };

export function ModeBadge({ mode }: { mode: Mode }) {
  return <span class={`badge ${MODE_TONES[mode] ?? "plain"}`}>{named("mode", visible(mode))}</span>;
}

/** The actor of a record: `user`, `command`, `operator:<id>`, `alarm:<name>`. */
export function who(text: string): string {
  const [kind = "", ...rest] = visible(text).split(":");
  const name = rest.join(":");
  return [named("actor", kind), kind === "operator" ? short(name, 8) : name].filter(Boolean).join(" ");
}

/** A screen's header: title, purpose, and age of the data. */
export function Head(props: { title: string; lead?: string; children?: ComponentChildren }) {
  return (
    <header class="head">
      <div>
        <h1>{props.title}</h1>
        {props.lead && <p class="lead">{props.lead}</p>}
      </div>
      {props.children}
    </header>
  );
}

export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} size={36} />
      <h2>{title}</h2>
      {children && <p>{children}</p>}
    </div>
  );
}

/** The reason why a control is absent. */
export function RoleNote({ needs }: { needs: "approver" | "admin" }) {
  return <p class="role-note"><Icon name="person" size={16} />{t(needs === "admin" ? "role.needs_admin" : "role.needs_approver")}</p>;
}

/** The button that loads the next page. */
export function More({ next, onMore }: { next: string | undefined; onMore: () => void }) {
  if (next === undefined) return null;
  return <p class="more"><button type="button" onClick={onMore}>{t("list.more")}</button></p>;
}
