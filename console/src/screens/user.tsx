import { useState } from "preact/hooks";
import { pages } from "../api/pages.ts";
import { useLive } from "../live/use-live.ts";
import { announce } from "../parts/announce.tsx";
import { Code, Empty, Head, More, RoleNote } from "../parts/basics.tsx";
import { Confirm } from "../parts/dialog.tsx";
import { JobTable } from "../parts/job-table.tsx";
import { Loaded, Staleness } from "../parts/staleness.tsx";
import { Timeline } from "../parts/timeline.tsx";
import { useVerdict, VerdictNote } from "../parts/verdict.tsx";
import type { Chain } from "../api/shapes.ts";
import { current, may } from "../session/session.ts";
import { visible } from "../text/format.ts";
import { t } from "../text/text.ts";

export function User({ user }: { user: string }) {
  const { api } = current();
  const [count, setCount] = useState(1);
  const [asking, setAsking] = useState<"revoke" | "groups">();
  const [groups, setGroups] = useState("");
  const jobs = useLive(`user jobs ${user} ${count}`, () => pages(count, (cursor) => api.userJobs(user, cursor), (page) => page.jobs), 8);
  const refusals = useLive(`user refusals ${user}`, () => api.refusals(user), 15);
  const list = groups.split(/[\s,]+/).filter(Boolean);
  return (
    <>
      <Head title={t("user.title")}><Staleness live={jobs} /></Head>
      <div class="under">
        <Code text={user} length={40} />
        {may.value.administer ? (
          <div class="actions">
            <button type="button" onClick={() => setAsking("groups")}>{t("user.groups")}</button>
            <button type="button" class="bad" onClick={() => setAsking("revoke")}>{t("user.revoke")}</button>
          </div>
        ) : <RoleNote needs="admin" />}
      </div>
      <h2>{t("user.jobs")}</h2>
      <Loaded live={jobs}>
        {({ entries, next }) => (
          <>
            {entries.length === 0 ? next === undefined && <Empty icon="empty" title={t("user.no_jobs")} /> : <JobTable jobs={entries} over ofOne caption={t("user.jobs")} />}
            <More next={next} onMore={() => setCount(count + 1)} />
          </>
        )}
      </Loaded>
      <h2>{t("user.refusals")}</h2>
      <p class="lead">{t("user.refusals_lead")}</p>
      <Loaded live={refusals}>{(chain) => <Refusals chain={chain} user={user} />}</Loaded>
      {asking === "revoke" && (
        <Confirm title={t("user.revoke")} tone="bad" note="needed" confirm={t("user.revoke_confirm")} onClose={() => setAsking(undefined)}
          onConfirm={async (reason) => {
            await api.revoke(user, reason);
            announce(t("user.revoked_said"));
          }}>
          <p>{t("user.revoke_hint")}</p>
          <p><code class="whole">{visible(user)}</code></p>
        </Confirm>
      )}
      {asking === "groups" && (
        <Confirm title={t("user.groups")} note="needed" confirm={t("user.groups_confirm")} onClose={() => setAsking(undefined)}
          onConfirm={async (reason) => {
            const now = await api.setGroups(user, list, reason);
            announce(t("user.groups_said", { groups: now.groups.join(", ") || t("user.no_groups") }));
          }}>
          <p>{t("user.groups_hint")}</p>
          <label class="field">
            <span>{t("user.groups_field")}</span>
            <input value={groups} autocomplete="off" spellcheck={false} onInput={(event) => setGroups(event.currentTarget.value)} />
            <small>{list.length === 0 ? t("user.no_groups") : list.join(" · ")}</small>
          </label>
        </Confirm>
      )}
    </>
  );
}

function Refusals({ chain, user }: { chain: Chain; user: string }) {
  const verdict = useVerdict({ records: chain.records, head: chain.head, owner: { chain: `refusals:${user}` }, tail: true });
  if (chain.records.length === 0 && chain.head.length === 0) return <Empty icon="shield" title={t("user.no_refusals")} />;
  return (
    <section class="chain">
      <VerdictNote verdict={verdict} anchor="not-asked" />
      <Timeline records={chain.records} verdict={verdict} newestFirst from={Math.max(1, chain.head.length - chain.records.length + 1)} />
    </section>
  );
}
