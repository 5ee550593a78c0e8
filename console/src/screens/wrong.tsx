import { useState } from "preact/hooks";
import { BAD_STATES, type BadState, type JobLine } from "../api/shapes.ts";
import { pages } from "../api/pages.ts";
import { useLive } from "../live/use-live.ts";
import { Empty, Head, More, RoleNote } from "../parts/basics.tsx";
import { JobTable } from "../parts/job-table.tsx";
import { Resolve } from "../parts/resolve.tsx";
import { Loaded, Staleness } from "../parts/staleness.tsx";
import { address, type WrongTab } from "../route.ts";
import { current, may } from "../session/session.ts";
import { named, t, type Key } from "../text/text.ts";

export function Wrong({ tab }: { tab: WrongTab }) {
  const { unknown, deadLetters } = current();
  const counts: Partial<Record<WrongTab, number | undefined>> = {
    unknown: unknown.data.value?.jobs.length,
    "dead-letters": deadLetters.data.value?.count,
  };
  const tabs: WrongTab[] = ["unknown", "dead-letters", ...BAD_STATES.filter((state) => state !== "unknown")];
  return (
    <>
      <Head title={t("wrong.title")} lead={t("wrong.lead")} />
      <nav class="filter" aria-label={t("wrong.title")}>
        {tabs.map((one) => (
          <a key={one} class="chip" href={address({ at: "wrong", tab: one })} aria-current={tab === one ? "page" : undefined}>
            {one === "dead-letters" ? t("wrong.dead_letters") : named("status", one)}
            {(counts[one] ?? 0) > 0 && <span class="count bad">{counts[one]}</span>}
          </a>
        ))}
      </nav>
      {tab === "dead-letters" ? <DeadLetters /> : <BadJobs key={tab} state={tab} />}
    </>
  );
}

function BadJobs({ state }: { state: BadState }) {
  const { api, unknown } = current();
  const [count, setCount] = useState(1);
  const [resolving, setResolving] = useState<JobLine>();
  const live = useLive(`wrong ${state} ${count}`, () => pages(count, (cursor) => api.jobs(state, cursor), (page) => page.jobs), 10);
  return (
    <>
      <div class="under"><p class="lead">{t(`wrong.${state}` satisfies Key)}</p><Staleness live={live} /></div>
      {state === "unknown" && !may.value.administer && <RoleNote needs="admin" />}
      <Loaded live={live}>
        {({ entries, next }) => (
          <>
            {entries.length === 0 && next === undefined && <Empty icon="shield" title={t("wrong.none")} />}
            {entries.length > 0 && (
              state === "unknown" && may.value.administer
                ? <JobTable jobs={entries} over caption={named("status", state)}
                    action={(job) => <button type="button" onClick={() => setResolving(job)}>{t("resolve.open")}</button>} />
                : <JobTable jobs={entries} over caption={named("status", state)} />
            )}
            <More next={next} onMore={() => setCount(count + 1)} />
          </>
        )}
      </Loaded>
      {resolving && (
        <Resolve job={resolving.job} tool={resolving.tool} onClose={() => setResolving(undefined)}
          onDone={() => { void live.refresh(); void unknown.refresh(); }} />
      )}
    </>
  );
}

function DeadLetters() {
  const { deadLetters: live } = current();
  return (
    <>
      <div class="under"><p class="lead">{t("dead.lead")}</p><Staleness live={live} /></div>
      <Loaded live={live}>
        {({ count }) => count === 0 ? <Empty icon="shield" title={t("dead.none")} /> : <p class="tally">{t("dead.tally", { n: count })}</p>}
      </Loaded>
    </>
  );
}
