import { useState } from "preact/hooks";
import { pages } from "../api/pages.ts";
import type { Erasure } from "../api/shapes.ts";
import { useLive } from "../live/use-live.ts";
import { current } from "../session/session.ts";
import { visible } from "../text/format.ts";
import { named, t } from "../text/text.ts";
import { Code, Empty, Moment, More } from "./basics.tsx";
import { Loaded } from "./staleness.tsx";

const TONES: Record<string, string> = { running: "info", waiting_for_gateway: "warn", done: "good" };

/** The reports of erasures: what was erased, when, and what is still open. */
export function Erasures() {
  const { api } = current();
  const [count, setCount] = useState(1);
  const live = useLive(`erasures ${count}`, () => pages(count, (cursor) => api.erasures(cursor), (page) => page.erasures), 30);
  return (
    <section>
      <h2>{t("erasures.title")}</h2>
      <p class="lead">{t("erasures.lead")}</p>
      <Loaded live={live}>
        {({ entries, next }) => (
          <>
            {entries.length === 0 ? <Empty icon="person" title={t("erasures.none")} /> : <Table list={entries} />}
            <More next={next} onMore={() => setCount(count + 1)} />
          </>
        )}
      </Loaded>
    </section>
  );
}

function Table({ list }: { list: Erasure[] }) {
  return (
    <div class="table-box">
      <table>
        <caption class="unseen">{t("erasures.title")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("erasures.requested")}</th>
            <th scope="col">{t("erasures.status")}</th>
            <th scope="col">{t("erasures.reason")}</th>
            <th scope="col">{t("erasures.finished")}</th>
            <th scope="col">{t("erasures.erased")}</th>
            <th scope="col">{t("erasures.user")}</th>
          </tr>
        </thead>
        <tbody>{list.map((one) => <Row key={one.erasure_id} one={one} />)}</tbody>
      </table>
    </div>
  );
}

function Row({ one }: { one: Erasure }) {
  const { jobs, submissions, results, conversations } = one.erased;
  return (
    <tr data-erasure={one.erasure_id}>
      <td data-label={t("erasures.requested")}><Moment at={one.requested_at} /></td>
      <td data-label={t("erasures.status")}><span class={`badge ${TONES[one.status] ?? "plain"}`}>{named("erasure", visible(one.status))}</span></td>
      <td data-label={t("erasures.reason")}>{named("erasure_reason", visible(one.reason))}</td>
      <td data-label={t("erasures.finished")}>{one.finished_at === undefined ? "–" : <Moment at={one.finished_at} />}</td>
      <td data-label={t("erasures.erased")}>{t("erasures.counts", { jobs, submissions, results, conversations })}</td>
      <td data-label={t("erasures.user")}><Code text={one.user_id} length={8} /></td>
    </tr>
  );
}
