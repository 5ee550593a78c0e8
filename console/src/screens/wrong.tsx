import { useState } from "preact/hooks";
import { BAD_STATES, type BadState, type DeadLetter, type JobLine } from "../api/shapes.ts";
import { pages } from "../api/pages.ts";
import { useLive } from "../live/use-live.ts";
import { announce } from "../parts/announce.tsx";
import { Code, Empty, Head, JobLink, Moment, More, RoleNote, UserLink } from "../parts/bits.tsx";
import { Confirm } from "../parts/dialog.tsx";
import { JobTable } from "../parts/job-table.tsx";
import { Resolve } from "../parts/resolve.tsx";
import { Loaded, Staleness } from "../parts/staleness.tsx";
import { address, type WrongTab } from "../route.ts";
import { current, may } from "../session/session.ts";
import { shortJob, visible } from "../text/format.ts";
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
  const { api, deadLetters: live } = current();
  const [asking, setAsking] = useState<DeadLetter | "all">();
  const replay = async (which: DeadLetter | "all", reason: string) => {
    const done = await api.replay(which === "all" ? { all: true } : { message_id: which.message_id }, reason);
    announce(t("dead.replayed_said", { n: done.replayed, left: done.left }));
    await live.refresh();
  };
  return (
    <>
      <div class="under"><p class="lead">{t("dead.lead")}</p><Staleness live={live} /></div>
      {!may.value.administer && <RoleNote needs="admin" />}
      <Loaded live={live}>
        {({ messages, count }) => messages.length === 0 ? <Empty icon="shield" title={t("dead.none")} /> : (
          <>
            <div class="under">
              <p class="tally">{t("dead.tally", { n: count })}</p>
              {may.value.administer && <button type="button" onClick={() => setAsking("all")}>{t("dead.replay_all")}</button>}
            </div>
            <div class="table-box">
              <table>
                <caption class="unseen">{t("wrong.dead_letters")}</caption>
                <thead>
                  <tr>
                    <th scope="col">{t("dead.message")}</th>
                    <th scope="col">{t("field.job")}</th>
                    <th scope="col">{t("field.user")}</th>
                    <th scope="col">{t("dead.sent")}</th>
                    <th scope="col" class="number">{t("dead.receives")}</th>
                    {may.value.administer && <th scope="col"><span class="unseen">{t("field.action")}</span></th>}
                  </tr>
                </thead>
                <tbody>
                  {messages.map((one) => (
                    <tr key={one.message_id}>
                      <td data-label={t("dead.message")}><Code text={one.message_id} length={8} /></td>
                      <td data-label={t("field.job")}>{one.job ? <JobLink job={one.job}><code title={one.job}>{shortJob(visible(one.job))}</code></JobLink> : t("dead.no_job")}</td>
                      <td data-label={t("field.user")}>{one.user_id ? <UserLink user={one.user_id} /> : "–"}</td>
                      <td data-label={t("dead.sent")}><Moment at={one.sent_at} /></td>
                      <td data-label={t("dead.receives")} class="number">{one.receives}</td>
                      {may.value.administer && (
                        <td class="last"><button type="button" onClick={() => setAsking(one)}>{t("dead.replay")}</button></td>
                      )}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </>
        )}
      </Loaded>
      {asking && (
        <Confirm title={t(asking === "all" ? "dead.replay_all_title" : "dead.replay_title")} note="needed"
          confirm={t(asking === "all" ? "dead.replay_all" : "dead.replay")}
          onConfirm={(reason) => replay(asking, reason)} onClose={() => setAsking(undefined)}>
          <p>{t("dead.replay_hint")}</p>
          {asking !== "all" && <dl class="pairs"><div><dt>{t("dead.message")}</dt><dd><code>{visible(asking.message_id)}</code></dd></div></dl>}
        </Confirm>
      )}
    </>
  );
}
