import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { dark, language } from "../style/preferences.ts";
import { t } from "../text/text.ts";

export interface Line {
  label: string;
  points: [number, number | null][];
}

const HEIGHT = 190;
/** Number of colours in the style sheet; further lines reuse them. */
const COLOURS = 6;

/** A chart that is drawn again when its data, its width, the colours or the language change. The newest values are also shown as text. */
export function Chart({ title, unit, lines, span }: { title: string; unit: string; lines: Line[]; span: [number, number] }) {
  const box = useRef<HTMLDivElement>(null);
  // The range of the time axis, independent of the data; computed at each drawing.
  const shown = useRef(span);
  shown.current = span;
  const plot = useRef<uPlot | undefined>(undefined);
  const data = table(lines);
  const empty = data[0].length === 0;
  const names = lines.map((line) => line.label).join("\n");

  useEffect(() => {
    const root = box.current;
    if (!root || empty) return undefined;
    const colour = (name: string) => {
      const probe = root.parentElement?.querySelector(`.${name}`);
      return probe ? getComputedStyle(probe).color : "gray";
    };
    const axis = { stroke: colour("ink-axis"), grid: { stroke: colour("ink-grid"), width: 1 }, ticks: { stroke: colour("ink-grid"), width: 1 } };
    const made = new uPlot({
      width: root.clientWidth, height: HEIGHT,
      padding: [10, 8, 0, 0],
      cursor: { y: false, points: { size: 6 } },
      legend: { live: true },
      scales: { x: { range: () => shown.current }, y: { range: (_, min, max) => [Math.min(0, min), Math.max(1, max * 1.1)] } },
      axes: [
        { ...axis, size: 30, values: (_, ticks) => ticks.map((at) => new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false })), space: 60 },
        { ...axis, size: 54 },
      ],
      series: [
        { label: t("charts.time"), value: (_, at) => (at === null ? "–" : new Date(at * 1000).toLocaleTimeString([], { hour12: false })) },
        ...lines.map((line, i) => ({
          label: line.label, stroke: colour(`series-${i % COLOURS}`), width: 1.8, points: { show: true, size: 5, filter: lonely }, spanGaps: false,
          fill: lines.length === 1 ? colour(`fill-${i % COLOURS}`) : "transparent",
          value: (_: uPlot, value: number | null) => figure(value, unit),
        })),
      ],
    }, data, root);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: root.clientWidth, height: HEIGHT }));
    watch.observe(root);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [names, unit, title, empty, dark.value, language.value]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [JSON.stringify([data, span])]);

  return (
    <section class="card chart" aria-label={title}>
      <div class="chart-head">
        <h2>{title}</h2>
        <span class="unit">{unit}</span>
        <ul class="latest">
          {lines.slice(0, COLOURS).map((line, i) => (
            <li key={line.label}><span class={`swatch series-${i % COLOURS}`} aria-hidden="true" />{lines.length > 1 && <span>{line.label}</span>}<b>{figure(latest(line), unit)}</b></li>
          ))}
        </ul>
      </div>
      <span class="inks" aria-hidden="true">
        <i class="ink-axis" /><i class="ink-grid" />
        {Array.from({ length: COLOURS }, (_, i) => <><i class={`series-${i}`} /><i class={`fill-${i}`} /></>)}
      </span>
      {empty ? <p class="nothing">{t("charts.nothing")}</p> : <div ref={box} class="plot" />}
    </section>
  );
}

/** A value between two gaps has no line, so it is drawn as a dot. */
function lonely(plot: uPlot, series: number): number[] {
  const values = plot.data[series] ?? [];
  return [...values.keys()].filter((i) => values[i] != null && values[i - 1] == null && values[i + 1] == null);
}

function latest(line: Line): number | null {
  return line.points.findLast(([, value]) => value !== null)?.[1] ?? null;
}

function figure(value: number | null, unit: string): string {
  if (value === null || value === undefined) return "–";
  const text = value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
  return unit === "ms" ? `${text} ms` : text;
}

/** One column of times, one of values for each line; where a line has no point, there is none. */
export function table(lines: Line[]): [number[], ...(number | null)[][]] {
  const times = [...new Set(lines.flatMap((line) => line.points.map(([at]) => at)))].sort((a, b) => a - b);
  const columns = lines.map((line) => {
    const at = new Map(line.points);
    return times.map((time) => at.get(time) ?? null);
  });
  return [times, ...columns];
}
