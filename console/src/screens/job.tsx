import { useState } from "preact/hooks";
import type { JobAnswer, PushMessage } from "../api/shapes.ts";
import { now } from "../live/clock.ts";
import { useLive } from "../live/use-live.ts";
import { AskedFacts, ConfirmDecision, Decide, Expiry, type Asked, type Decision } from "../parts/approval.tsx";
import { Arguments } from "../parts/arguments.tsx";
import { Code, Head, Moment, RoleNote, StatusBadge, UserLink, who } from "../parts/basics.tsx";
import { HeldTextNote } from "../parts/held-text.tsx";
import { Resolve } from "../parts/resolve.tsx";
import { Loaded, Staleness } from "../parts/staleness.tsx";
import { askedOf, atCursor, nameOf } from "../parts/steps.ts";
import { Steps } from "../parts/steps-list.tsx";
import { Timeline } from "../parts/timeline.tsx";
import { useVerdict, VerdictNote } from "../parts/verdict.tsx";
import { current, may } from "../session/session.ts";
import { duration, requestIdOf, visible } from "../text/format.ts";
import { named, t } from "../text/text.ts";

export function Job({ job }: { job: string }) {
  const { api } = current();
  const live = useLive(`job ${job}`, () => api.job(job), 4);
  const view = live.data.value?.view;
  return (
    <>
      <Head title={view ? t("job.title", { tool: visible(nameOf(atCursor(view))) }) : t("job.title_short")}>
        <Staleness live={live} />
      </Head>
      <Loaded live={live}>{(answer) => <Whole answer={answer} expected={requestIdOf(job)} refresh={() => void live.refresh()} />}</Loaded>
    </>
  );
}

function Whole({ answer, expected, refresh }: { answer: JobAnswer; expected: string; refresh: () => void }) {
  const { view, audit, anchor } = answer;
  const verdict = useVerdict({ records: audit.records, head: audit.head, owner: { request_id: expected }, anchor });
  return (
    <div class="columns">
      <section class="card" aria-label={t("job.facts")}>
        <div class="asked-head">
          <StatusBadge status={view.status} />
          {view.effect && <span class="badge outline plain">{named("world", view.effect)}</span>}
          {view.cancel_requested && <span class="badge outline warn">{t("job.cancel_requested")}</span>}
        </div>
        <dl class="pairs">
          <div><dt>{t("field.user")}</dt><dd><UserLink user={answer.user_id} whole /></dd></div>
          <div><dt>{t("field.request_id")}</dt><dd><Code text={view.request_id} length={40} /></dd></div>
          <div><dt>{t("field.job")}</dt><dd><Code text={answer.job} length={43} /></dd></div>
          <div><dt>{t("field.steps")}</dt><dd><Steps view={view} /></dd></div>
          <div><dt>{t("field.created")}</dt><dd><Moment at={view.created_at} /> <small>{t("job.ago", { age: duration(now.value - Date.parse(view.created_at)) })}</small></dd></div>
          <div><dt>{t("field.updated")}</dt><dd><Moment at={view.updated_at} /></dd></div>
          <div><dt>{t("field.not_after")}</dt><dd><Moment at={view.not_after} /></dd></div>
          {view.deadline !== undefined && <div><dt>{t("field.deadline")}</dt><dd><Moment at={view.deadline} /></dd></div>}
          {view.notification && (
            <div>
              <dt>{t("field.notification")}</dt>
              <dd>
                <code>{visible(view.notification.name)}</code>
                <Messages list={answer.messages} status={view.notification.status} />
              </dd>
            </div>
          )}
          {view.error && <div><dt>{t("field.error")}</dt><dd><code>{visible(view.error.code)}</code> {view.error.message && <span>{visible(view.error.message)}</span>}</dd></div>}
        </dl>
        {view.held && <HeldTextNote held={view.held} job={answer.job} user={answer.user_id} refresh={refresh} />}
        <Question answer={answer} refresh={refresh} />
        <Unknown answer={answer} refresh={refresh} />
        {view.result !== undefined && <><h3 class="small-title">{t("field.result")}</h3><Arguments value={view.result} /></>}
      </section>
      <section aria-label={t("job.audit")} class="chain">
        <h2>{t("job.audit")}</h2>
        <VerdictNote verdict={verdict} anchor={anchor} />
        <Timeline records={audit.records} verdict={verdict} />
        <p class="hint">{t("job.head")} <Code text={audit.head.digest} /></p>
      </section>
    </div>
  );
}

/** What became of each message of WeChat about the job: sent or not, and why. */
function Messages({ list = [], status }: { list: PushMessage[] | undefined; status: string }) {
  if (list.length === 0) return <> {named("push", visible(status))}</>;
  return (
    <ul class="plain-list">
      {list.map((one) => (
        <li key={`${one.about} ${one.place ?? ""}`}>
          {one.about === "approval" ? t("push.about_approval", { n: (one.place ?? 0) + 1 }) : t("push.about_ended")}: {named("push", visible(one.status))}
          {one.code !== undefined && <>, {named("push_code", visible(one.code))} <code>{visible(one.code)}</code></>}
          {" "}<small><Moment at={one.at} />{one.tries > 1 && <> · {t("push.tries", { n: one.tries })}</>}</small>
        </li>
      ))}
    </ul>
  );
}

/** The approval of a job: open, or how it was answered. */
function Question({ answer, refresh }: { answer: JobAnswer; refresh: () => void }) {
  // The request as displayed when the dialog opened: a later poll does not change what is being confirmed.
  const [confirming, setConfirming] = useState<{ asked: Asked; decision: Decision }>();
  const { view } = answer;
  const { approval } = view;
  if (!approval) return null;
  const asked: Asked = {
    ...approval, job: answer.job, user_id: answer.user_id,
    tool: nameOf(askedOf(view)), own: current().me.user_ids.includes(answer.user_id),
  };
  // A job may also wait for a decision about its text, after its call was approved.
  const open = view.status === "awaiting_approval" && !approval.decision;
  return (
    <div class="question">
      <div class="asked-head">
        <h2><bdi>{visible(approval.title)}</bdi></h2>
        {open && <Expiry at={approval.expires_at} />}
      </div>
      <AskedFacts asked={asked} />
      {approval.decision && (
        <p class="answered">
          {t("job.decided", { decision: named("decision", visible(approval.decision)), by: who(approval.by ?? "?") })}
          {approval.at && <> · <Moment at={approval.at} /></>}
        </p>
      )}
      {open && approval.approver === "user" && <p class="role-note">{t("job.user_decides")}</p>}
      {open && approval.approver === "operator" && <Decide asked={asked} onAsk={(decision) => setConfirming({ asked, decision })} />}
      {confirming && <ConfirmDecision {...confirming} onDone={refresh} onClose={() => setConfirming(undefined)} />}
    </div>
  );
}

/** A write with an unknown outcome: its resolution, or the role that may record one. */
function Unknown({ answer, refresh }: { answer: JobAnswer; refresh: () => void }) {
  const [resolving, setResolving] = useState(false);
  const { view } = answer;
  const { resolution } = view;
  if (resolution) {
    return (
      <div class="note good">
        <p><strong>{t(resolution.happened ? "resolve.happened" : "resolve.not_happened")}</strong></p>
        <p class="small">{t("resolve.by", { who: who(resolution.by) })} · <Moment at={resolution.at} /></p>
        {resolution.note && <p class="small"><bdi>{visible(resolution.note)}</bdi></p>}
      </div>
    );
  }
  if (view.status !== "unknown") return null;
  return (
    <div class="note warn">
      <p>{t("wrong.unknown")}</p>
      {may.value.administer ? <button type="button" onClick={() => setResolving(true)}>{t("resolve.open")}</button> : <RoleNote needs="admin" />}
      {resolving && <Resolve job={answer.job} tool={nameOf(atCursor(view))} onDone={refresh} onClose={() => setResolving(false)} />}
    </div>
  );
}
