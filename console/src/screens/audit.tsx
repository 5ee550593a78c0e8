import { useEffect, useState } from "preact/hooks";
import { pages } from "../api/pages.ts";
import { standings, type PublicKey, type Standing } from "../audit/checkpoint.ts";
import { useLive } from "../live/use-live.ts";
import { Empty, Head, Moment } from "../parts/basics.tsx";
import { Erasures } from "../parts/erasures.tsx";
import { Loaded, Staleness } from "../parts/staleness.tsx";
import { Timeline } from "../parts/timeline.tsx";
import { useVerdict, VerdictNote } from "../parts/verdict.tsx";
import type { Anchor, Checkpoint, Head as ChainHead, Json } from "../api/shapes.ts";
import { current } from "../session/session.ts";
import { short, visible } from "../text/format.ts";
import { t } from "../text/text.ts";

/** A chain is verified from its beginning, so all of it is read: a hundred records at a time, at most this many times. */
const MOST_PAGES = 100;

export function Audit() {
  const { api } = current();
  const live = useLive("operators", async () => {
    // The checkpoints first: a chain that is read later is at least as long as their heads say.
    const signed = await api.checkpoints();
    const chain = await pages(MOST_PAGES, (cursor) => api.operatorAudit(cursor), (page) => page.records);
    return { ...signed, chain };
  }, 30);
  return (
    <>
      <Head title={t("audit.title")} lead={t("audit.lead")}><Staleness live={live} /></Head>
      <Loaded live={live}>
        {({ checkpoints, keys, chain }) => (
          <div class="columns">
            <section class="chain">
              <h2>{t("audit.chain")}</h2>
              {chain.next === undefined
                ? <Operators records={chain.entries} head={chain.last.head} newest={checkpoints[0]} />
                : <p class="note warn">{t("audit.too_long")}</p>}
            </section>
            <section>
              <h2>{t("audit.checkpoints")}</h2>
              <p class="lead">{t("audit.checkpoints_lead")}</p>
              {checkpoints.length === 0 ? <Empty icon="shield" title={t("audit.no_checkpoints")} /> : <Checkpoints list={checkpoints} keys={keys} />}
            </section>
          </div>
        )}
      </Loaded>
      <Erasures />
    </>
  );
}

/** How many records are drawn at first. All of them are checked. */
const DRAWN = 50;

function Operators({ records, head, newest }: { records: Json[]; head: ChainHead; newest: Checkpoint | undefined }) {
  const [all, setAll] = useState(false);
  const anchor: Anchor | undefined = newest && { ...newest.operators, checkpoint: newest.seq };
  const verdict = useVerdict({ records, head, owner: { chain: "operators" }, anchor });
  if (records.length === 0 && head.length === 0) return <Empty icon="audit" title={t("audit.empty")} />;
  return (
    <>
      <VerdictNote verdict={verdict} anchor={anchor} />
      <Timeline records={records} verdict={verdict} newestFirst {...(all ? {} : { most: DRAWN })} />
      {!all && records.length > DRAWN && <p class="more"><button type="button" onClick={() => setAll(true)}>{t("audit.all", { n: records.length })}</button></p>}
    </>
  );
}

function Checkpoints({ list, keys }: { list: Checkpoint[]; keys: PublicKey[] }) {
  const [found, setFound] = useState<Standing[]>([]);
  useEffect(() => {
    let current = true;
    void standings(list, keys).then((all) => {
      if (current) setFound(all);
    });
    return () => {
      current = false;
    };
  }, [list, keys]);
  return (
    <div class="table-box">
      <table>
        <caption class="unseen">{t("audit.checkpoints")}</caption>
        <thead>
          <tr>
            <th scope="col" class="number">#</th>
            <th scope="col">{t("audit.signed")}</th>
            <th scope="col" class="number">{t("audit.jobs")}</th>
            <th scope="col">{t("audit.key")}</th>
            <th scope="col">{t("audit.signature")}</th>
          </tr>
        </thead>
        <tbody>
          {list.map((one, index) => (
            <tr key={one.seq}>
              <td data-label="#" class="number">{one.seq}</td>
              <td data-label={t("audit.signed")}><Moment at={one.at} /></td>
              <td data-label={t("audit.jobs")} class="number">{one.heads.length}</td>
              <td data-label={t("audit.key")}><code title={visible(one.kid)}>{short(visible(one.kid), 8)}</code></td>
              <td data-label={t("audit.signature")}><SignatureBadge standing={found[index]} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function SignatureBadge({ standing }: { standing: Standing | undefined }) {
  if (standing === undefined) return <span class="badge plain">…</span>;
  // The keys come from the same service: that is no proof against the service itself.
  const tone = { good: "info", bad: "bad", unchecked: "plain" }[standing];
  return <span class={`badge ${tone}`}>{t(`audit.signature_${standing}`)}</span>;
}
