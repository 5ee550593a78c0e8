"""The alarms of one host as rules of Prometheus, and its dashboard for Grafana. `generate.py` writes both.

Prometheus reads what `[metrics] port` serves. The service evaluates the same rows by itself and exactly; rules are for those who
have a Prometheus already. They differ in two ways: `increase` extrapolates, so counts are rounded, and the first event of a new
series is not counted, because Prometheus sees no increase in it."""

import json
import pathlib
import re
import tomllib

HERE = pathlib.Path(__file__).parent
PREFIX = "miniprogram_"
# `docs/operate/metrics.md` has the list of the code, and a test compares them.
METRICS_PAGE = HERE.parent / "docs/operate/metrics.md"
RUNBOOK = "docs/operate/runbook.md"
COMPARISONS = {"above": ">", "at_least": ">=", "below": "<"}
HEAD = """\
# The alarms of one host as rules of Prometheus, made by observe/generate.py from alarms.toml and host.toml: change those.
# The names are those of docs/operate/runbook.md. The scrape interval has to be 30 s or less.
groups:
  - name: miniprogram
    interval: 1m
    rules:
"""


def kinds():
    """The kind of each metric: counter, distribution or gauge."""
    return dict(re.findall(r"^\| `([a-z0-9_]+)` \| (counter|distribution|gauge) \|", METRICS_PAGE.read_text(), re.M))


KINDS = kinds()


def bare(metric):
    """What AWS measures by itself, this service measures itself on one host."""
    return metric.removeprefix("platform.")


def selector(metric, where, suffix=""):
    name = PREFIX + bare(metric) + suffix
    labels = ", ".join(f'{key}="{value}"' for key, value in where.items())
    return f"{name}{{{labels}}}" if labels else name


def selectors(watch, suffix):
    """One selector; a sum over values of a dimension is a regular expression."""
    where = dict(watch.get("where", {}))
    text = selector(watch["metric"], where, suffix)
    for dimension, values in watch.get("sum_over", {}).items():
        pattern = f'{dimension}=~"{"|".join(values)}"'
        text = f"{text[:-1]}, {pattern}}}" if text.endswith("}") else f"{text}{{{pattern}}}"
    return text


def count(watch, seconds):
    """How many events a window has had. None is zero, or a missing part would hide the whole."""
    return f"round(sum(increase({selectors(watch, '_total')}[{seconds}s])) or vector(0))"


def expression(shape, row):
    """When it fires, and for how long that has to be so."""
    period, periods = row["period_s"], row.get("periods", 1)
    if row.get("breaches", periods) != periods:
        raise SystemExit(f"{row['name']}: Prometheus has no alarm for some of several periods")
    if shape == "heartbeat":
        # A process that has just started has no increase yet, so a part of the window is a delay.
        return f"{count(row['watch'], period * (periods - 1))} < 1", period
    if shape == "ratio":
        part, whole = count(row["part"], period), count(row["whole"], period)
        return f"100 * {part} / {whole} > {row['above']} and {part} >= {row['floor']}", 0
    (sign, value), = ((COMPARISONS[name], row[name]) for name in COMPARISONS if name in row)
    watch, kind = row["watch"], KINDS[bare(row["watch"]["metric"])]
    if row["statistic"] == "sum":
        return f"{count(watch, period)} {sign} {value}", 0
    if row["statistic"] in ("min", "max"):
        if kind != "gauge":
            raise SystemExit(f"{row['name']}: only a gauge has a {row['statistic']}")
        return f"{row['statistic']}({row['statistic']}_over_time({selectors(watch, '')}[{period}s])) {sign} {value}", period * (periods - 1)
    quantile = float(row["statistic"].removeprefix("p")) / 100
    slow = f"histogram_quantile({quantile:g}, sum by (le) (rate({selectors(watch, '_bucket')}[{period}s]))) {sign} {value}"
    return f"{slow} and on () sum(increase({selectors(watch, '_count')}[{period}s])) >= {row['floor']}", 0


def rule(shape, row):
    fires, seconds = expression(shape, row)
    lines = [
        f"      - alert: {row['name']}",
        f"        expr: {json.dumps(fires)}",
        *([f"        for: {seconds}s"] if seconds else []),
        f"        labels: {{severity: {row['severity']}}}",
        "        annotations:",
        f"          summary: {json.dumps(row['says'])}",
        f"          runbook: {RUNBOOK}#{row['name']}",
    ]
    return "\n".join(lines) + "\n"


def table():
    """Every row of one host, with its shape."""
    left_out = tomllib.loads((HERE / "not-on-one-host.toml").read_text())
    read = [tomllib.loads((HERE / name).read_text()) for name in ("alarms.toml", "host.toml")]
    return [(shape, row) for rows in read for shape, several in rows.items() for row in several if row["name"] not in left_out]


def rules():
    """The whole text of the rules."""
    return HEAD + "".join(rule(shape, row) for shape, row in table())


def query(metric, stat, where=None, by=None):
    """What a line of a chart shows."""
    kind, where = KINDS[bare(metric)], where or {}
    of = f" by ({by})" if by else ""
    if stat == "sum":
        return f"60 * sum{of} (rate({selector(metric, where, '_total')}[$__rate_interval]))"
    if kind == "gauge":
        return f"{stat}{of} ({selector(metric, where)})"
    labels = f"le, {by}" if by else "le"
    quantile = float(stat.removeprefix("p")) / 100
    return f"histogram_quantile({quantile:g}, sum by ({labels}) (rate({selector(metric, where, '_bucket')}[$__rate_interval])))"


def lines(one):
    """The lines of a chart that one host can show, with their labels."""
    if "each" in one:
        metric, stat, dimension = one["each"]
        return [(query(metric, stat, by=dimension), "{{%s}}" % dimension)]
    known = [line for line in one.get("lines", []) if bare(line[0]) in KINDS]
    return [(query(metric, stat, *where), label) for metric, stat, label, *where in known]


def panel(one, marks, place):
    source = {"type": "prometheus", "uid": "${datasource}"}
    defaults = {"unit": "short", "min": 0, "custom": {"axisLabel": one["unit"]}}
    if one.get("mark") in marks:
        defaults["custom"]["thresholdsStyle"] = {"mode": "line"}
        defaults["thresholds"] = {"mode": "absolute", "steps": [{"color": "transparent", "value": None}, {"color": "red", "value": marks[one["mark"]]}]}
    targets = [{"refId": chr(ord("A") + number), "datasource": source, "expr": expr, "legendFormat": label} for number, (expr, label) in enumerate(lines(one))]
    return {"type": "timeseries", "title": one["title"], "datasource": source, "gridPos": place, "fieldConfig": {"defaults": defaults, "overrides": []}, "targets": targets}


def dashboard():
    """The whole dashboard, as Grafana imports it."""
    marks = {row["name"]: row[name] for _, row in table() for name in COMPARISONS if name in row}
    panels, y = [], 0
    for row in tomllib.loads((HERE / "dashboard.toml").read_text())["row"]:
        panels.append({"type": "row", "title": row["asks"], "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        # Rules by user are counted by CloudWatch from log lines; no metric has users.
        shown = [one for one in row["charts"] if lines(one)]
        for place, one in enumerate(shown):
            panels.append(panel(one, marks, {"x": 6 * place, "y": y + 1, "w": 6, "h": 8}))
        y += 9
    for number, one in enumerate(panels, 1):
        one["id"] = number
    datasource = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    whole = {
        "uid": "miniprogram",
        "title": "OpenClaw for WeChat Mini Programs",
        "tags": ["miniprogram"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [datasource]},
        "panels": panels,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
