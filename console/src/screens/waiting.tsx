import { useEffect, useRef, useState } from "preact/hooks";
import type { Approval } from "../api/shapes.ts";
import { announce } from "../parts/announce.tsx";
import { AskedFacts, ConfirmDecision, Decide, Expiry, isLapsed, type Decision } from "../parts/approval.tsx";
import { HeldTexts } from "../parts/held-text.tsx";
import { Empty, Head, JobLink } from "../parts/basics.tsx";
import { Loaded, Staleness } from "../parts/staleness.tsx";
import { now, serverNow } from "../live/clock.ts";
import { address } from "../route.ts";
import { shortcuts } from "../style/preferences.ts";
import { current, may } from "../session/session.ts";
import { duration, visible } from "../text/format.ts";
import { t } from "../text/text.ts";

/** How long an expired request stays in the list, so that an operator who was reading it sees that it expired. */
const SHOWN_AFTER_MS = 30_000;

export function Waiting() {
  const live = current().waiting;
  const [asking, setAsking] = useState<{ approval: Approval; decision: Decision }>();
  const list = useRef<HTMLDivElement>(null);
  const gone = useLapsed(live.data.value?.approvals);

  const decided = (approval: Approval) => {
    const data = live.data.peek();
    if (data) live.set({ ...data, approvals: data.approvals.filter((one) => one.job !== approval.job) });
    void live.refresh();
  };
  const ask = (approval: Approval, decision: Decision) => {
    if (may.value.decide && !approval.own && !isLapsed(approval)) setAsking({ approval, decision });
  };
  const keys = (event: KeyboardEvent) => {
    if (!shortcuts.value || event.ctrlKey || event.metaKey || event.altKey) return;
    const cards = [...(list.current?.querySelectorAll<HTMLElement>("article") ?? [])];
    const at = cards.findIndex((card) => card === document.activeElement);
    const step = event.key === "j" ? 1 : event.key === "k" ? -1 : 0;
    if (step !== 0) cards[Math.max(0, Math.min(cards.length - 1, at + step))]?.focus();
  };
  useEffect(() => {
    const outside = (event: KeyboardEvent) => {
      const target = event.target instanceof HTMLElement ? event.target : document.body;
      if (!target.closest("input,textarea,select,dialog")) keys(event);
    };
    document.addEventListener("keydown", outside);
    return () => document.removeEventListener("keydown", outside);
  }, []);

  return (
    <>
      <Head title={t("waiting.title")} lead={t("waiting.lead")}><Staleness live={live} /></Head>
      <Loaded live={live}>
        {({ approvals, unreadable = [], next_cursor }) => (
          <div ref={list} class="cards">
            {[...approvals, ...gone].map((approval) => (
              <Card key={approval.job} approval={approval} onAsk={(decision) => ask(approval, decision)} />
            ))}
            {approvals.length + gone.length === 0 && next_cursor === undefined && <Empty icon="empty" title={t("waiting.empty")}>{t("waiting.empty_hint")}</Empty>}
            {unreadable.length > 0 && <p class="hint" role="status">{t("waiting.unreadable", { n: unreadable.length })}</p>}
            {next_cursor !== undefined && <p class="hint">{t("waiting.more", { n: approvals.length })}</p>}
          </div>
        )}
      </Loaded>
      <HeldTexts />
      {asking && (
        <ConfirmDecision asked={asking.approval} decision={asking.decision}
          onDone={() => decided(asking.approval)} onClose={() => setAsking(undefined)} />
      )}
    </>
  );
}

/** Requests that expired while they were displayed. */
function useLapsed(approvals: Approval[] | undefined): Approval[] {
  const before = useRef<Approval[]>([]);
  const gone = useRef(new Map<string, Approval>());
  if (approvals && approvals !== before.current) {
    for (const one of before.current) {
      const lapsed = Date.parse(one.expires_at) <= serverNow();
      if (lapsed && !approvals.some((other) => other.job === one.job)) gone.current.set(one.job, one);
    }
    for (const one of approvals) gone.current.delete(one.job);
    before.current = approvals;
  }
  for (const [job, one] of gone.current) {
    if (now.value - Date.parse(one.expires_at) > SHOWN_AFTER_MS) gone.current.delete(job);
  }
  return [...gone.current.values()];
}

function Card({ approval, onAsk }: { approval: Approval; onAsk: (decision: Decision) => void }) {
  const lapsed = isLapsed(approval);
  const told = useRef(lapsed);
  useEffect(() => {
    if (lapsed && !told.current) announce(t("approval.expired_said", { title: visible(approval.title) }));
    told.current = lapsed;
  }, [lapsed]);
  const keys = (event: KeyboardEvent) => {
    if (!shortcuts.value || event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "a") onAsk("approve");
    else if (event.key === "r") onAsk("reject");
    else if (event.key === "Enter") location.hash = address({ at: "job", job: approval.job });
    else return;
    event.preventDefault();
  };
  return (
    <article class={`card asked${lapsed ? " lapsed" : ""}`} tabindex={0} onKeyDown={keys} data-job={approval.job}
      aria-label={visible(`${approval.title}: ${approval.summary}`)}>
      <div class="asked-head">
        <h2><bdi>{visible(approval.title)}</bdi></h2>
        <Expiry at={approval.expires_at} />
      </div>
      <AskedFacts asked={approval} />
      <footer>
        <small>
          {t("waiting.asked_ago", { age: duration(now.value - Date.parse(approval.asked_at)) })} · <JobLink job={approval.job}>{t("waiting.open_job")}</JobLink>
        </small>
        <Decide asked={approval} onAsk={onAsk} />
      </footer>
    </article>
  );
}
