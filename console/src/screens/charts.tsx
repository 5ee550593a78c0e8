import { useState } from "preact/hooks";
import type { Metrics, Series } from "../api/shapes.ts";
import { serverNow } from "../live/clock.ts";
import { useLive } from "../live/use-live.ts";
import { Chart, type Line } from "../parts/chart.tsx";
import { Head } from "../parts/basics.tsx";
import { Loaded, Staleness } from "../parts/staleness.tsx";
import { current } from "../session/session.ts";
import { visible } from "../text/format.ts";
import { t } from "../text/text.ts";

const SPANS = [15, 60, 180] as const;

export function Charts() {
  const { api } = current();
  const [minutes, setMinutes] = useState<number>(15);
  const live = useLive(`metrics ${minutes}`, () => api.metrics(minutes), 10);
  return (
    <>
      <Head title={t("charts.title")} lead={t("charts.lead")}><Staleness live={live} /></Head>
      <div class="filter" role="group" aria-label={t("charts.span")}>
        {SPANS.map((one) => (
          <button key={one} type="button" class="chip" aria-pressed={minutes === one} onClick={() => setMinutes(one)}>{t("charts.minutes", { n: one })}</button>
        ))}
      </div>
      <Loaded live={live}>{(metrics) => <Grid metrics={metrics} minutes={minutes} />}</Loaded>
    </>
  );
}

function Grid({ metrics, minutes }: { metrics: Metrics; minutes: number }) {
  const per = 60 / metrics.step_s;
  const perMinute = (value: number | null) => (value === null ? null : value * per);
  const lines = (name: Series["name"], fallback: string, change = (value: number | null) => value): Line[] =>
    metrics.series.filter((one) => one.name === name).map((one) => ({
      label: one.label === undefined ? fallback : visible(one.label),
      points: one.points.map(([at, value]) => [at, change(value)]),
    }));
  const times = metrics.series.flatMap((one) => one.points.map(([at]) => at));
  const end = times.length > 0 ? Math.max(...times) : Math.floor(serverNow() / 1000);
  const span: [number, number] = [end - minutes * 60, end];
  return (
    <div class="charts">
      <Chart title={t("charts.rate")} unit={t("charts.per_minute")} lines={lines("requests", t("charts.requests"), perMinute)} span={span} />
      <Chart title={t("charts.p95")} unit="ms" lines={lines("p95_ms", "p95")} span={span} />
      <Chart title={t("charts.refusals")} unit={t("charts.per_minute")} lines={lines("refusals", t("charts.refusals"), perMinute)} span={span} />
      <Chart title={t("charts.failures")} unit={t("charts.per_minute")} lines={lines("failures", t("charts.failures_all"), perMinute)} span={span} />
    </div>
  );
}
