import { now } from "../live/clock.ts";
import type { Live } from "../live/poll.ts";
import { duration } from "../text/format.ts";
import { t } from "../text/text.ts";
import { Icon } from "./icon.tsx";
import { ProblemNote, sentence } from "./problem-note.tsx";

/** The age of the displayed data, and the error of the last attempt. */
export function Staleness({ live }: { live: Live<unknown> }) {
  const at = live.at.value;
  const problem = live.problem.value;
  const age = at === undefined ? undefined : Math.max(0, now.value - at);
  const stale = problem !== undefined || (age !== undefined && age > live.everyS * 3000 + 5000);
  return (
    <div class={`staleness${stale ? " stale" : ""}`}>
      <span class="dot" aria-hidden="true" />
      <span>
        {age === undefined ? t(problem ? "stale.never" : "stale.loading")
          : stale ? t("stale.since", { age: duration(age) })
          : t("stale.fresh")}
        {problem && at !== undefined && <> · {sentence(problem)} <code>{problem.code}</code></>}
      </span>
      <button type="button" class="quiet" onClick={() => void live.refresh()} aria-label={t("stale.refresh")} title={t("stale.refresh")}
        aria-busy={live.busy.value}>
        <Icon name="refresh" size={16} />
      </button>
    </div>
  );
}

/** Shows the data, an error, or that it is loading. */
export function Loaded<T>({ live, children }: { live: Live<T>; children: (data: T) => preact.ComponentChildren }) {
  const data = live.data.value;
  if (data !== undefined) return <>{children(data)}</>;
  const problem = live.problem.value;
  return problem ? <ProblemNote problem={problem} /> : <Waiting />;
}

function Waiting() {
  return <div class="skeleton" aria-busy="true"><span class="unseen">{t("stale.loading")}</span><i /><i /><i /></div>;
}
