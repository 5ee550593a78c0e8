import { useState } from "preact/hooks";
import type { Effect, Json } from "../api/shapes.ts";
import { now } from "../live/clock.ts";
import { current, may } from "../session/session.ts";
import { countdown, visible } from "../text/format.ts";
import { t } from "../text/text.ts";
import { announce } from "./announce.tsx";
import { Arguments } from "./arguments.tsx";
import { Code, EffectBadge, UserLink } from "./basics.tsx";
import { Confirm } from "./dialog.tsx";
import { Icon } from "./icon.tsx";

/** An approval request, from the list or from the job. */
export interface Asked {
  job: string;
  user_id: string;
  tool: string;
  title: string;
  summary: string;
  arguments: Json;
  effect?: Effect;
  digest: string;
  expires_at: string;
  own: boolean;
  proposed?: boolean;
  derived?: boolean;
}

export type Decision = "approve" | "reject";

export const isLapsed = (asked: Asked) => Date.parse(asked.expires_at) <= now.value;

/** The remaining time as a countdown. Screen readers do not announce each second. */
export function Expiry({ at }: { at: string }) {
  const rest = Date.parse(at) - now.value;
  if (rest <= 0) return <span class="expiry over">{t("approval.expired")}</span>;
  return (
    <span class={`expiry${rest < 60_000 ? " soon" : ""}`} title={at}>
      <Icon name="waiting" size={16} />
      <span>{t("approval.expires_in", { rest: countdown(rest) })}</span>
    </span>
  );
}

/** Everything that an approver must see before approving: the call, its user, and all arguments. */
export function AskedFacts({ asked }: { asked: Asked }) {
  return (
    <>
      <p class="summary"><bdi>{visible(asked.summary)}</bdi></p>
      {asked.proposed ? <p class="note warn">{t("approval.proposed")}</p> : asked.derived && <p class="note warn">{t("approval.derived")}</p>}
      <dl class="pairs">
        <div><dt>{t("field.tool")}</dt><dd><code>{visible(asked.tool)}</code> {asked.effect && <EffectBadge effect={asked.effect} />}</dd></div>
        <div><dt>{t("field.user")}</dt><dd><UserLink user={asked.user_id} /></dd></div>
        <div><dt>{t("field.digest")}</dt><dd><Code text={asked.digest} /></dd></div>
      </dl>
      <h3 class="small-title">{t("field.arguments")}</h3>
      <Arguments value={asked.arguments} />
    </>
  );
}

/** The two buttons, or the reason why they are absent. */
export function Decide({ asked, onAsk }: { asked: Asked; onAsk: (decision: Decision) => void }) {
  const lapsed = isLapsed(asked);
  const why = !may.value.decide ? t("role.needs_approver") : asked.own ? t("approval.own") : lapsed ? t("approval.expired_hint") : undefined;
  return (
    <div class="decide">
      {why && <p class="role-note"><Icon name={lapsed ? "waiting" : "person"} size={16} />{why}</p>}
      {may.value.decide && (
        <div class="actions">
          <button type="button" disabled={asked.own || lapsed} onClick={() => onAsk("reject")} aria-keyshortcuts="r">
            <Icon name="cross" size={16} />{t("approval.reject")}
          </button>
          <button type="button" class="main good" disabled={asked.own || lapsed} onClick={() => onAsk("approve")} aria-keyshortcuts="a">
            <Icon name="check" size={16} />{t("approval.approve")}
          </button>
        </div>
      )}
    </div>
  );
}

/** The confirmation: repeats what will run, and goes on counting. */
export function ConfirmDecision(props: { asked: Asked; decision: Decision; onDone: () => void; onClose: () => void }) {
  const { asked, decision } = props;
  const [done, setDone] = useState(false);
  const approve = decision === "approve";
  const lapsed = isLapsed(asked) && !done;
  return (
    <Confirm title={t(approve ? "approval.approve_title" : "approval.reject_title")} tone={approve ? "good" : "bad"} note="optional"
      confirm={t(approve ? "approval.approve_confirm" : "approval.reject_confirm")} blocked={lapsed ? t("approval.expired_hint") : undefined}
      onClose={props.onClose}
      onConfirm={async (note) => {
        await current().api.decide(asked.job, decision, asked.digest, note);
        setDone(true);
        announce(t(approve ? "approval.approved_said" : "approval.rejected_said", { title: visible(asked.title) }));
        props.onDone();
      }}>
      <div class="asked">
        <div class="asked-head"><strong><bdi>{visible(asked.title)}</bdi></strong><Expiry at={asked.expires_at} /></div>
        <AskedFacts asked={asked} />
      </div>
      <p class="hint">{t(approve ? "approval.approve_hint" : "approval.reject_hint")}</p>
    </Confirm>
  );
}
