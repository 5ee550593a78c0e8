import { useState } from "preact/hooks";
import { Problem } from "../api/problem.ts";
import type { HeldText, HeldTextLine, JobHeldText } from "../api/shapes.ts";
import { now } from "../live/clock.ts";
import { current, may } from "../session/session.ts";
import { duration, visible } from "../text/format.ts";
import { named, t } from "../text/text.ts";
import { announce } from "./announce.tsx";
import { Expiry } from "./approval.tsx";
import { Arguments } from "./arguments.tsx";
import { Code, JobLink, UserLink } from "./basics.tsx";
import { Confirm } from "./dialog.tsx";
import { Icon } from "./icon.tsx";
import { ProblemNote } from "./problem-note.tsx";
import { Loaded } from "./staleness.tsx";

/** The texts that wait for a decision, under the approval requests. Nothing where none waits. */
export function HeldTexts() {
  const live = current().heldTexts;
  const decided = (job: string) => {
    const data = live.data.peek();
    if (data) live.set({ ...data, held_texts: data.held_texts.filter((one) => one.job !== job) });
    void live.refresh();
  };
  return (
    <Loaded live={live}>
      {({ held_texts, unreadable = [], next_cursor }) => held_texts.length + unreadable.length > 0 && (
        <section class="held-texts" aria-label={t("held.title")}>
          <h2>{t("held.title")}</h2>
          <p class="lead">{t("held.lead")}</p>
          <div class="cards">
            {held_texts.map((one) => <Card key={`${one.job} ${one.digest}`} line={one} onDone={() => decided(one.job)} />)}
            {unreadable.length > 0 && <p class="hint" role="status">{t("waiting.unreadable", { n: unreadable.length })}</p>}
            {next_cursor !== undefined && <p class="hint">{t("waiting.more", { n: held_texts.length })}</p>}
          </div>
        </section>
      )}
    </Loaded>
  );
}

function Card({ line, onDone }: { line: HeldTextLine; onDone: () => void }) {
  const title = t(`held.${line.what}`, { name: visible(line.name) });
  return (
    <article class="card asked" tabindex={0} data-held={line.job} aria-label={title}>
      <div class="asked-head">
        <h3><bdi>{title}</bdi></h3>
        <Expiry at={line.expires_at} />
      </div>
      <Finding line={line} />
      <Review job={line.job} own={line.own} expiresAt={line.expires_at} onDone={onDone} />
      <footer>
        <small>
          {t("held.since", { age: duration(now.value - Date.parse(line.asked_at)) })} · <JobLink job={line.job}>{t("waiting.open_job")}</JobLink>
        </small>
      </footer>
    </article>
  );
}

function Finding({ line }: { line: HeldTextLine }) {
  return (
    <dl class="pairs">
      <div><dt>{t("held.finding")}</dt><dd>{named("suggestion", visible(line.suggestion))} · {named("label", visible(line.label))}</dd></div>
      <div><dt>{t("field.user")}</dt><dd><UserLink user={line.user_id} /></dd></div>
      <div><dt>{t("field.digest")}</dt><dd><Code text={line.digest} /></dd></div>
    </dl>
  );
}

interface Reviewed {
  job: string;
  own: boolean;
  expiresAt: string;
  onDone: () => void;
}

/** The text, once it is asked for, and the decision about exactly that text. */
function Review({ job, own, expiresAt, onDone }: Reviewed) {
  const [text, setText] = useState<HeldText>();
  const [problem, setProblem] = useState<Problem>();
  const [decision, setDecision] = useState<"pass" | "refuse">();
  const lapsed = Date.parse(expiresAt) <= now.value;
  const why = !may.value.decide ? t("role.needs_approver") : own ? t("approval.own") : lapsed ? t("held.expired_hint") : undefined;
  const show = () => {
    setProblem(undefined);
    current().api.heldText(job).then(setText, (thrown: unknown) => setProblem(Problem.from(thrown)));
  };
  return (
    <>
      {text && <Shown text={text} />}
      {problem && <ProblemNote problem={problem} />}
      <div class="decide">
        {why && <p class="role-note"><Icon name={lapsed ? "waiting" : "person"} size={16} />{why}</p>}
        {!why && (text
          ? (
            <div class="actions">
              <button type="button" onClick={() => setDecision("refuse")}><Icon name="cross" size={16} />{t("held.refuse")}</button>
              <button type="button" class="main good" onClick={() => setDecision("pass")}><Icon name="check" size={16} />{t("held.pass")}</button>
            </div>
          )
          : <div class="actions"><button type="button" onClick={show}>{t("held.show")}</button></div>)}
      </div>
      {decision && text && <ConfirmText text={text} decision={decision} onDone={onDone} onClose={() => setDecision(undefined)} />}
    </>
  );
}

/** A text of a user or a model is a text node, with its line breaks and nothing else. */
function Shown({ text }: { text: HeldText }) {
  if (text.arguments !== undefined) return <Arguments value={text.arguments} />;
  return <bdi class="value text held-text" dir="auto">{(text.text ?? "").split("\n").map(visible).join("\n")}</bdi>;
}

function ConfirmText(props: { text: HeldText; decision: "pass" | "refuse"; onDone: () => void; onClose: () => void }) {
  const { text, decision } = props;
  const pass = decision === "pass";
  const [done, setDone] = useState(false);
  const lapsed = Date.parse(text.expires_at) <= now.value && !done;
  return (
    <Confirm title={t(pass ? "held.pass_title" : "held.refuse_title")} tone={pass ? "good" : "bad"} note="optional"
      confirm={t(pass ? "held.pass_confirm" : "held.refuse_confirm")} blocked={lapsed ? t("held.expired_hint") : undefined}
      onClose={props.onClose}
      onConfirm={async (note) => {
        await current().api.decideText(text.job, decision, text.digest, note);
        setDone(true);
        announce(t(pass ? "held.passed_said" : "held.refused_said"));
        props.onDone();
      }}>
      <div class="asked">
        <div class="asked-head"><strong><bdi>{t(`held.${text.what}`, { name: visible(text.name) })}</bdi></strong><Expiry at={text.expires_at} /></div>
        <Finding line={text} />
        <Shown text={text} />
      </div>
      <p class="hint">{t(pass ? "held.pass_hint" : "held.refuse_hint")}</p>
    </Confirm>
  );
}

/** On a job's page: that a text of it is held, and the decision. */
export function HeldTextNote({ held, job, user, refresh }: { held: JobHeldText; job: string; user: string; refresh: () => void }) {
  return (
    <div class="question">
      <div class="asked-head"><h2>{t("held.job_title")}</h2><Expiry at={held.expires_at} /></div>
      <p class="lead">{t(`held.job_${held.what}`)}</p>
      <Review key={`${held.what} ${held.expires_at}`} job={job} own={current().me.user_ids.includes(user)} expiresAt={held.expires_at} onDone={refresh} />
    </div>
  );
}
