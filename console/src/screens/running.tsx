import { useState } from "preact/hooks";
import { OPEN_STATES, type JobLine, type OpenState } from "../api/shapes.ts";
import { useLive } from "../live/use-live.ts";
import { Empty, Head, More } from "../parts/basics.tsx";
import { JobTable } from "../parts/job-table.tsx";
import { Loaded, Staleness } from "../parts/staleness.tsx";
import { current } from "../session/session.ts";
import { named, t } from "../text/text.ts";
import { pages } from "../api/pages.ts";

/** Age from which an open job is counted as old. */
const OLD_S = 300;

export function Running() {
  const { api } = current();
  const [state, setState] = useState<OpenState | "all">("all");
  const [count, setCount] = useState(1);
  const states = state === "all" ? OPEN_STATES : [state];
  const live = useLive(`running ${state} ${count}`, async () => {
    const lists = await Promise.all(states.map((one) => pages(count, (cursor) => api.jobs(one, cursor), (page) => page.jobs)));
    const jobs: JobLine[] = lists.flatMap((list) => list.entries);
    jobs.sort((a, b) => a.created_at.localeCompare(b.created_at));
    return { jobs, next: lists.find((list) => list.next !== undefined)?.next };
  }, 5);
  return (
    <>
      <Head title={t("running.title")} lead={t("running.lead")}><Staleness live={live} /></Head>
      <div class="filter" role="group" aria-label={t("running.filter")}>
        {(["all", ...OPEN_STATES] as const).map((one) => (
          <button key={one} type="button" class="chip" aria-pressed={state === one} onClick={() => { setState(one); setCount(1); }}>
            {one === "all" ? t("running.all") : named("status", one)}
          </button>
        ))}
      </div>
      <Loaded live={live}>
        {({ jobs, next }) => (
          <>
            {jobs.length > 0 && (
              <p class="tally">
                {t("running.tally", { n: jobs.length })}
                {jobs.some((job) => job.age_s > OLD_S) && <> · {t("running.old", { n: jobs.filter((job) => job.age_s > OLD_S).length })}</>}
              </p>
            )}
            {jobs.length === 0 ? next === undefined && <Empty icon="empty" title={t("running.empty")} /> : <JobTable jobs={jobs} caption={t("running.title")} />}
            <More next={next} onMore={() => setCount(count + 1)} />
          </>
        )}
      </Loaded>
    </>
  );
}
