"""Draws the dashboard of template.yaml, as CloudWatch would show it of a captured run.

    plot-dashboard.py DATA.json OUT.png

DATA.json is written by the test target `observe`: widgets, places and titles are those of the DashboardBody, every series is
what its own definition makes of the run's metrics.
"""

import json
import re
import sys
import textwrap

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

INK, FAINT, GRID, BAD = "#1f2933", "#7b8794", "#e4e7eb", "#c81e1e"
LINES = ["#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626", "#0891b2", "#65a30d", "#db2777", "#78716c"]
CELL_W, CELL_H = 0.78, 0.5
MARGIN, TOP = 0.3, 1.05
FONT = 10


def thin(number):
    """A number as short as it can be said."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:g}{unit}"
    return f"{number:g}"


def short(label):
    """A user id by its beginning, which is what tells two of them apart."""
    return re.sub(r"\b([0-9a-f]{8})-[0-9a-f-]{27}", r"\1…", label)


def frame(axes, widget, data, marks):
    axes.set_title(widget["title"], fontsize=FONT + 1, color=INK, loc="left", pad=4, fontweight="bold")
    axes.set_xlim(0, (data["to"] - data["from"]) / 60_000)
    axes.tick_params(labelsize=FONT - 2, colors=FAINT, length=2, pad=2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    for number, (minute, _) in enumerate(marks, 1):
        axes.axvline(minute, color=GRID, linewidth=0.9, zorder=0)
        axes.annotate(str(number), (minute, 1), xycoords=("data", "axes fraction"), xytext=(1, -1), textcoords="offset points",
                      fontsize=FONT - 2.5, color=FAINT, va="top", ha="left")


def legend(axes, count):
    if count:
        axes.legend(fontsize=FONT - 2, frameon=False, loc="upper left", bbox_to_anchor=(-0.03, -0.1), ncols=3 if count > 6 else 2,
                    handlelength=1, columnspacing=0.9, borderpad=0, labelcolor=INK, labelspacing=0.25)


def steps(points, period, end):
    """One value a period; where there is none, a gap."""
    xs, ys = [], []
    known = dict(points)
    minute = 0
    while minute < end:
        xs.append(minute + period / 2)
        ys.append(known.get(minute, float("nan")))
        minute += period
    return xs, ys


def metrics(axes, widget, data):
    shows = widget["shows"]
    end = (data["to"] - data["from"]) // 60_000
    lines = shows["lines"]
    gaps = [b[0] - a[0] for line in lines for a, b in zip(line["points"], line["points"][1:])]
    period = min(gaps, default=1)
    drawn = [(short(line["label"]), *steps(line["points"], period, end)) for line in lines]
    high = max((y for _, _, ys in drawn for y in ys if y == y), default=1)
    if shows.get("stacked") and drawn:
        filled = [[0 if y != y else y for y in ys] for _, _, ys in drawn]
        bottom = [0] * len(drawn[0][1])
        for place, ((label, xs, _), ys) in enumerate(zip(drawn, filled)):
            axes.bar(xs, ys, width=period, bottom=bottom, color=LINES[place % len(LINES)], label=label, linewidth=0)
            bottom = [a + b for a, b in zip(bottom, ys)]
        high = max(bottom)
    else:
        for place, (label, xs, ys) in enumerate(drawn):
            lone = len([y for y in ys if y == y]) < 3
            axes.plot(xs, ys, color=LINES[place % len(LINES)], label=label, linewidth=1.2, marker="o" if lone or period > 1 else ".",
                      markersize=3.5 if lone or period > 1 else 2)
    for label, value in shows.get("marks", []):
        if value <= high * 12:
            axes.axhline(value, color=BAD, linewidth=0.9, linestyle=(0, (4, 2)))
            axes.annotate(f"alarm above {thin(value)}", (1, value), xycoords=("axes fraction", "data"), xytext=(0, 1),
                          textcoords="offset points", ha="right", fontsize=FONT - 2.5, color=BAD)
            high = max(high, value)
    axes.set_ylim(0, high * 1.22 or 1)
    if not drawn:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color=FAINT, fontsize=FONT)
    axes.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda y, _: thin(y)))
    axes.locator_params(axis="y", nbins=4)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_ylabel(shows.get("unit", ""), fontsize=FONT - 2, color=FAINT, labelpad=2)
    legend(axes, len(drawn))


def alarms(axes, widget, data):
    """CloudWatch shows the state of each alarm now; a picture has room for the whole run."""
    rows = widget["shows"]["alarms"]
    rows = [row for row in rows if not row["claim"].endswith("Rollback")]
    for place, row in enumerate(rows):
        for first, last in row["episodes"]:
            axes.barh(place, last - first + 1, left=first - 1, height=0.72, color=BAD)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [row["claim"] for row in rows])
    axes.tick_params(axis="y", labelsize=FONT - 1.5, colors=INK, length=0)
    for place in range(0, len(rows), 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#f5f7fa", zorder=-1)


def main(source, target):
    with open(source, encoding="utf-8") as file:
        data = json.load(file)
    marks = data["marks"]
    rows = max(w["place"][1] + w["place"][3] for w in data["widgets"])
    width, height = 24 * CELL_W + 2 * MARGIN, rows * CELL_H + TOP + MARGIN
    figure = plt.figure(figsize=(width, height), facecolor="white")
    told = "   ".join(f"{number} {what}" for number, (_, what) in enumerate(marks, 1))
    figure.text(MARGIN / width, 1 - 0.3 / height, "The dashboard of template.yaml, of a run with faults", fontsize=FONT + 6,
                color=INK, va="top", fontweight="bold")
    figure.text(MARGIN / width, 1 - 0.68 / height, textwrap.fill(f"Faults, by minute of the run: {told}", 260), fontsize=FONT + 1, color=INK,
                va="top")
    for widget in data["widgets"]:
        x, y, w, h = widget["place"]
        left, top = MARGIN + x * CELL_W, TOP + y * CELL_H
        shows = widget["shows"]
        if "text" in shows:
            figure.text(left / width, 1 - (top + h * CELL_H * 0.85) / height, shows["text"].lstrip("# "), fontsize=FONT + 4, color="#0b4f9e",
                        va="bottom", fontweight="bold")
            continue
        is_alarms = "alarms" in shows
        pad = (1.75 if is_alarms else 0.55, 0.3, 0.14, 0.24 if is_alarms else 0.86)  # left, top, right, bottom in inches
        box = (left + pad[0], top + pad[1], w * CELL_W - pad[0] - pad[2], h * CELL_H - pad[1] - pad[3])
        axes = figure.add_axes((box[0] / width, 1 - (box[1] + box[3]) / height, box[2] / width, box[3] / height))
        (alarms if is_alarms else metrics)(axes, widget, data)
        frame(axes, widget, data, marks)
    figure.savefig(target, dpi=80, pil_kwargs={"optimize": True})


main(*sys.argv[1:])
