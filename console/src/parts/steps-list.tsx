import type { JobStep, JobView, Progress } from "../api/shapes.ts";
import { visible } from "../text/format.ts";
import { named, t } from "../text/text.ts";
import { Moment } from "./basics.tsx";
import { isPlain, nameOf, numberOf } from "./steps.ts";

/** The steps of a job: those that were submitted, and those that agents added. */
export function Steps({ view }: { view: JobView }) {
  if (isPlain(view)) return <Facts step={view.steps[0] as JobStep} plain />;
  return (
    <ol class="steps">
      {view.steps.map((step, place) => (
        <li key={place} class={step.round > 0 ? "inner" : ""} data-place={place} aria-current={place === view.cursor ? "step" : undefined}>
          <Facts step={step} />
          {step.progress && <Doing progress={step.progress} />}
          {step.partial !== undefined && <p class="partial"><span class="unseen">{t("step.partial")}</span> <bdi>{visible(step.partial)}</bdi></p>}
        </li>
      ))}
    </ol>
  );
}

function Facts({ step, plain }: { step: JobStep; plain?: boolean }) {
  return (
    <span class="step">
      {!plain && <small>{numberOf(step)}</small>}
      {step.kind !== "call" && <span>{named("kind", visible(step.kind))}</span>}
      <code>{visible(nameOf(step))}</code>
      {step.conversation !== undefined && <small>{t("step.in", { conversation: visible(step.conversation) })}</small>}
      {step.proposed && <span class="badge outline warn">{t("step.proposed")}</span>}
      {step.derived && !step.proposed && <span class="badge outline warn">{t("step.derived")}</span>}
      {step.outcome !== undefined && <span>{named("outcome", visible(step.outcome))}</span>}
      {step.error && !plain && <code>{visible(step.error.code)}</code>}
    </span>
  );
}

/** The latest progress of the agent, oldest first. */
function Doing({ progress }: { progress: Progress[] }) {
  return (
    <ul class="progress" aria-label={t("step.progress")}>
      {progress.map((one, i) => (
        <li key={i}>
          <Moment at={one.at} /> {named("doing", visible(one.doing))}
          {one.tool !== undefined && <> <code>{visible(one.tool)}</code></>}
          {one.state !== undefined && <> {named("call", visible(one.state))}</>}
          {one.arguments !== undefined && <> <bdi class="small">{visible(one.arguments)}</bdi></>}
        </li>
      ))}
    </ul>
  );
}
