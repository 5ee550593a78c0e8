import { useErrorBoundary, useEffect, useRef, useState } from "preact/hooks";
import { Announcer, announce } from "./parts/announce.tsx";
import { ModeBadge } from "./parts/basics.tsx";
import { Icon } from "./parts/icon.tsx";
import { PreferenceSwitches } from "./parts/preference-switches.tsx";
import { ProblemNote } from "./parts/problem-note.tsx";
import { Shortcuts } from "./parts/shortcuts.tsx";
import { Problem } from "./api/problem.ts";
import { now } from "./live/clock.ts";
import { useWatch } from "./live/use-live.ts";
import { address, go, route, SCREENS, sought, type Route, type Screen } from "./route.ts";
import { Account } from "./screens/account.tsx";
import { Audit } from "./screens/audit.tsx";
import { Job } from "./screens/job.tsx";
import { Running } from "./screens/running.tsx";
import { SignIn } from "./screens/sign-in.tsx";
import { Switches } from "./screens/switches.tsx";
import { User } from "./screens/user.tsx";
import { Waiting } from "./screens/waiting.tsx";
import { Wrong } from "./screens/wrong.tsx";
import { session, type Session } from "./session/session.ts";
import { duration } from "./text/format.ts";
import { t } from "./text/text.ts";

/** How long before the token expires the page warns. */
const WARN_MS = 5 * 60_000;

export function App() {
  const found = session.value;
  return (
    <>
      <Announcer />
      {found ? <Frame key={found.me.operator_id} session={found} /> : <SignIn />}
    </>
  );
}

function Frame({ session: { me, waiting, heldTexts, unknown, deadLetters, controls, endsAt } }: { session: Session }) {
  const lists = [useWatch(waiting), useWatch(unknown), useWatch(deadLetters), useWatch(controls), useWatch(heldTexts)] as const;
  const counts: Partial<Record<Screen, number>> = {
    waiting: (lists[0].data.value?.approvals.length ?? 0) + (lists[4].data.value?.held_texts.length ?? 0),
    wrong: (lists[1].data.value?.jobs.length ?? 0) + (lists[2].data.value?.count ?? 0),
  };
  useTold(counts.waiting ?? 0, lists[0].data.value !== undefined && lists[4].data.value !== undefined);
  const mode = controls.data.value?.service.mode;
  const rest = endsAt === undefined ? undefined : endsAt - now.value;
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>{t("app.skip")}</a>
      <header class="top">
        <a class="brand" href={address({ at: "waiting" })}><img src="/console/favicon.svg" alt="" width="24" height="24" /><span>{t("app.name")}</span></a>
        <Search />
        <div class="top-end">
          {mode && <a class="mode-link" href={address({ at: "switches" })} title={t("app.mode")}><span class="unseen">{t("app.mode")}: </span><ModeBadge mode={mode} /></a>}
          <PreferenceSwitches />
          <a class="button quiet" href={address({ at: "account" })} aria-label={t("account.title")} title={me.name ?? t("account.title")}
            aria-current={route.value.at === "account" ? "page" : undefined}><Icon name="person" /></a>
        </div>
      </header>
      <nav class="side" aria-label={t("app.nav")}>
        {SCREENS.map((screen) => (
          <a key={screen} href={address(screen === "wrong" ? { at: screen, tab: "unknown" } : { at: screen })} aria-current={route.value.at === screen ? "page" : undefined}>
            <Icon name={screen} />
            <span>{t(`nav.${screen}`)}</span>
            {(counts[screen] ?? 0) > 0 && <span class={`count ${screen === "wrong" ? "bad" : "warn"}`}>{counts[screen]}</span>}
          </a>
        ))}
      </nav>
      <Main>
        {rest !== undefined && rest < WARN_MS && <p class="note warn">{rest > 0 ? t("app.ends_soon", { rest: duration(rest) }) : t("account.ended")}</p>}
        <Place key={address(route.value)} at={route.value} />
      </Main>
      <Shortcuts />
    </div>
  );
}

/** Announces an increase of waiting requests, here and in the tab's title. */
function useTold(count: number, known: boolean): void {
  const before = useRef<number | undefined>(undefined);
  useEffect(() => {
    if (!known) return;
    if (before.current !== undefined && count > before.current) announce(t("waiting.more_said", { n: count }));
    before.current = count;
    document.title = `${count > 0 ? `(${count}) ` : ""}${t("app.name")}`;
  }, [count, known, t("app.name")]);
}

/** The screen. It takes the focus when another one is opened, so that a reader hears where they are. */
function Main({ children }: { children: preact.ComponentChildren }) {
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  const place = address(route.value);
  useEffect(() => {
    if (first.current) first.current = false;
    else {
      main.current?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  }, [place]);
  return <main id="main" ref={main} tabindex={-1}>{children}</main>;
}

/** The charts and their library are loaded when the screen is first opened. */
function Charts() {
  const [loaded, setLoaded] = useState<{ Screen: () => preact.JSX.Element } | Problem>();
  useEffect(() => {
    import("./screens/charts.tsx").then((module) => setLoaded({ Screen: module.Charts }), (fault: unknown) => setLoaded(Problem.from(fault)));
  }, []);
  if (loaded instanceof Problem) return <ProblemNote problem={loaded} />;
  return loaded ? <loaded.Screen /> : <h1>{t("charts.title")}</h1>;
}

/** Shows an error in place of a screen that throws; the other screens work. */
function Place({ at }: { at: Route }) {
  const [fault, again] = useErrorBoundary();
  if (fault !== undefined) {
    return <><ProblemNote problem={Problem.from(fault)} /><p><button type="button" onClick={again}>{t("app.again")}</button></p></>;
  }
  switch (at.at) {
    case "waiting": return <Waiting />;
    case "running": return <Running />;
    case "wrong": return <Wrong tab={at.tab} />;
    case "switches": return <Switches />;
    case "charts": return <Charts />;
    case "audit": return <Audit />;
    case "account": return <Account />;
    case "job": return <Job job={at.job} />;
    case "user": return <User user={at.user} />;
  }
}

function Search() {
  const [text, setText] = useState("");
  const [lost, setLost] = useState(false);
  const search = (event: Event) => {
    event.preventDefault();
    const found = sought(text);
    setLost(found === undefined);
    if (found) {
      setText("");
      go(found);
    }
  };
  return (
    <form class="search" role="search" onSubmit={search}>
      <Icon name="search" size={18} />
      <input id="search" type="search" value={text} autocomplete="off" spellcheck={false} placeholder={t("search.placeholder")}
        aria-label={t("search.placeholder")} aria-invalid={lost} aria-describedby="search-lost"
        onInput={(event) => { setText(event.currentTarget.value); setLost(false); }} />
      <span id="search-lost" class={lost ? "lost" : "unseen"} role="status">{lost ? t("search.lost") : ""}</span>
    </form>
  );
}
