"""Writes alarms and dashboard, from alarms.toml, host.toml and dashboard.toml: for CloudWatch template.yaml, for one host
prometheus-rules.yaml and grafana-dashboard.json.

    generate.py           writes them
    generate.py --check   fails if one of them is not what the tables ask for; `make lint-template` does that"""

import json
import pathlib
import sys
import tomllib

import prometheus

HERE = pathlib.Path(__file__).parent
STATISTICS = {"sum": "Sum", "min": "Minimum", "max": "Maximum"}
COMPARISONS = {"above": "GreaterThanThreshold", "at_least": "GreaterThanOrEqualToThreshold", "below": "LessThanThreshold"}
# What AWS measures by itself: namespace, name, and the dimension with its value. A function's name is the stack's with its own.
PLATFORM = {
    "platform.function_errors": ("AWS/Lambda", "Errors", "FunctionName", None),
    "platform.function_throttles": ("AWS/Lambda", "Throttles", "FunctionName", None),
    # An invocation of the three functions that answer is a request, and takes as long as the answer.
    "platform.requests": ("AWS/Lambda", "Invocations", "FunctionName", None),
    "platform.request_duration_ms": ("AWS/Lambda", "Duration", "FunctionName", None),
    "platform.dead_letters": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "DeadLetterQueue"),
    "platform.oldest_message_s": ("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "Queue"),
}
HEAD = """\
# CloudWatch's alarms and dashboard, with Observe=basic or full. Written by generate.py from alarms.toml and dashboard.toml: change those.
AWSTemplateFormatVersion: "2010-09-09"
Description: Alarms and dashboard of OpenClaw for WeChat Mini Programs.

Parameters:
  Prefix: {Type: String, Description: "The name of the service's stack, which is the namespace of its metrics."}
  Level: {Type: String, AllowedValues: [basic, full], Description: "Which alarms there are; full also has the dashboard and the rules by user."}
  AlarmTopic: {Type: String, Description: "ARN of the topic that every alarm notifies."}
  Queue: {Type: String, Description: "Name of the queue of wake-up messages."}
  DeadLetterQueue: {Type: String, Description: "Name of its dead-letter queue."}
  EdgeAuthLog: {Type: String, Description: "Log group of edge-auth."}
  StatusLog: {Type: String, Description: "Log group of status."}

Conditions:
  Full: !Equals [!Ref Level, full]

Resources:
"""
# Contributor Insights counts users over the one line that each response logs. A user id is random; an openid is never logged. A
# successful read logs no line, so these count writes and refusals.
RULES = {
    "requests-by-user": {"Keys": ["$.user_id"], "Filters": [{"Match": "$.message", "In": ["answered"]}]},
    "rejections-by-user": {
        "Keys": ["$.user_id", "$.code"],
        "Filters": [
            {"Match": "$.message", "In": ["answered"]},
            {"Match": "$.status", "GreaterThan": 399},
            {"Match": "$.status", "LessThan": 500},
        ],
    },
}


def flow(value):
    """As YAML in one line; a Fn as its short form."""
    if isinstance(value, dict):
        if list(value) == ["Ref"]:
            return f"!Ref {value['Ref']}"
        if list(value) == ["Sub"]:
            return f"!Sub {json.dumps(value['Sub'])}"
        return "{" + ", ".join(f"{name}: {flow(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(one) for one in value) + "]"
    plain = isinstance(value, str) and all(c.isalnum() or c in "_/-" for c in value) and value[:1].isalpha()
    return value if plain else json.dumps(value, ensure_ascii=False)


def camel(name):
    return "".join(part.capitalize() for part in name.split("-"))


def statistic(name):
    return STATISTICS.get(name, name)


def metrics(watch):
    """The metrics of CloudWatch that a selection names, one for each value that it is summed over."""
    (summed, values), = watch.get("sum_over", {None: [None]}).items()
    for value in values:
        dimensions = dict(watch.get("where", {})) | ({summed: value} if summed else {})
        if watch["metric"] in PLATFORM:
            namespace, name, dimension, of = PLATFORM[watch["metric"]]
            of = {"Ref": of} if of else {"Sub": "${Prefix}-" + dimensions["function"]}
            dimensions = {dimension: of}
        else:
            namespace, name = {"Ref": "Prefix"}, watch["metric"]
        listed = [{"Name": key, "Value": one} for key, one in dimensions.items()]
        yield {"Namespace": namespace, "MetricName": name, **({"Dimensions": listed} if listed else {})}


def queries(row, found):
    """One expression over several metrics: `found` is their ids, selections and statistics."""
    out, ids = [], {}
    for prefix, watch, stat in found:
        several = list(metrics(watch))
        ids[prefix] = [prefix] if len(several) == 1 else [f"{prefix}{number}" for number in range(1, len(several) + 1)]
        out += [{"Id": name, "ReturnData": False, "MetricStat": {"Period": row["period_s"], "Stat": stat, "Metric": one}} for name, one in zip(ids[prefix], several)]
    return out, {prefix: f"SUM([{', '.join(several)}])" if len(several) > 1 else several[0] for prefix, several in ids.items()}


def watched(shape, row):
    """What an alarm watches: properties of the alarm."""
    if shape == "ratio":
        read, of = queries(row, [("part", row["part"], "Sum"), ("whole", row["whole"], "Sum")])
        # Counters are not published as zero, and a missing part is none.
        part = f"FILL({of['part']}, 0)" if of["part"] == "part" else of["part"]
        expression = f"IF({part} >= {row['floor']}, 100 * {part} / {of['whole']}, 0)"
        return {"Metrics": [{"Id": "watched", "Expression": expression, "ReturnData": True}, *read]}
    if shape == "heartbeat":
        # FILL, because an alarm reads more periods than it evaluates, and would otherwise fire later.
        read, _ = queries(row, [("beats", row["watch"], "SampleCount")])
        return {"Metrics": [{"Id": "watched", "Expression": "FILL(beats, 0)", "ReturnData": True}, *read]}
    stat = statistic(row["statistic"])
    if "floor" in row:
        read, of = queries(row, [("value", row["watch"], stat), ("samples", row["watch"], "SampleCount")])
        expression = f"IF(samples >= {row['floor']}, value, 0)"
        return {"Metrics": [{"Id": "watched", "Expression": expression, "ReturnData": True}, *read]}
    several = list(metrics(row["watch"]))
    if len(several) > 1:
        read, of = queries(row, [("value", row["watch"], stat)])
        return {"Metrics": [{"Id": "watched", "Expression": of["value"], "ReturnData": True}, *read]}
    return {**several[0], "Statistic": stat, "Period": row["period_s"]}


def limit(shape, row):
    if shape == "heartbeat":
        return {"ComparisonOperator": COMPARISONS["below"], "Threshold": 1}
    (name, value), = ((name, row[name]) for name in COMPARISONS if name in row)
    return {"ComparisonOperator": COMPARISONS[name], "Threshold": value}


def alarm(shape, row):
    periods = row.get("periods", 1)
    properties = {
        "AlarmName": {"Sub": "${Prefix}-" + row["name"]},
        "AlarmDescription": f"{row['says']} {row['severity'].capitalize()}: docs/operate/runbook.md#{row['name']}",
        **watched(shape, row),
        **limit(shape, row),
        "EvaluationPeriods": periods,
        "DatapointsToAlarm": row.get("breaches", periods),
        "TreatMissingData": "breaching" if shape == "heartbeat" else "notBreaching",
        "AlarmActions": [{"Ref": "AlarmTopic"}],
        "OKActions": [{"Ref": "AlarmTopic"}],
    }
    return resource(f"{camel(row['name'])}Alarm", "AWS::CloudWatch::Alarm", row["level"] == "full", properties)


def resource(name, kind, full, properties, depends=None):
    lines = [f"  {name}:", f"    Type: {kind}"]
    if full:
        lines.append("    Condition: Full")
    if depends:
        lines.append(f"    DependsOn: [{', '.join(depends)}]")
    lines.append("    Properties:")
    for key, value in properties.items():
        if key == "Metrics":
            lines += ["      Metrics:", *(f"        - {flow(one)}" for one in value)]
        elif key in ("DashboardBody", "RuleBody"):
            lines += [f"      {key}: !Sub |", *(f"        {line}" for line in value)]
        else:
            lines.append(f"      {key}: {flow(value)}")
    return "\n".join(lines) + "\n"


def rule(name, contribution):
    groups = ["EdgeAuthLog", "StatusLog"]
    body = {
        "Schema": {"Name": "CloudWatchLogRule", "Version": 1},
        "LogGroupNames": ["${%s}" % group for group in groups],
        "LogFormat": "JSON",
        "Contribution": contribution,
        "AggregateOn": "Count",
    }
    properties = {"RuleName": {"Sub": "${Prefix}-" + name}, "RuleState": "ENABLED", "RuleBody": [json.dumps(body)]}
    return resource(camel(name), "AWS::CloudWatch::InsightRule", True, properties)


def text_of(dimension):
    """A dimension's value within the body of the dashboard, which is one text."""
    return "${%s}" % dimension["Ref"] if "Ref" in dimension else dimension["Sub"]


def line(metric, stat, label, where=None):
    one, = metrics({"metric": metric, "where": where or {}})
    namespace = one["Namespace"] if isinstance(one["Namespace"], str) else "${Prefix}"
    pairs = [part for pair in one.get("Dimensions", []) for part in (pair["Name"], pair["Value"] if isinstance(pair["Value"], str) else text_of(pair["Value"]))]
    return [namespace, one["MetricName"], *pairs, {"stat": statistic(stat), "label": label}]


def chart(one, alarms):
    body = {"title": one["title"], "region": "${AWS::Region}", "view": "timeSeries", "stacked": one.get("each", [0, 0])[1] == "sum", "period": 60}
    if "rule" in one:
        return body | {"period": 300, "insightRule": {"ruleName": "${Prefix}-" + one["rule"], "maxContributorCount": 10, "orderBy": "Sum"}}
    if "each" in one:
        metric, stat, dimension = one["each"]
        search = f"SEARCH('{{\"${{Prefix}}\",{dimension}}} MetricName=\"{metric}\"', '{statistic(stat)}', 60)"
        body["metrics"] = [[{"expression": search, "label": "", "id": "e1"}]]
    else:
        body["metrics"] = [line(*part) for part in one["lines"]]
    body["yAxis"] = {"left": {"label": one["unit"], "showUnits": False, "min": 0}}
    if "mark" in one:
        body["annotations"] = {"horizontal": [{"label": one["mark"], "value": alarms[one["mark"]]["Threshold"]}]}
    return body


def dashboard(rows, table):
    alarms = {row["name"]: limit(shape, row) for shape, row in table}
    widgets, y = [], 0

    def widget(kind, x, width, height, properties):
        widgets.append({"type": kind, "x": x, "y": y, "width": width, "height": height, "properties": properties})

    for row in rows:
        widget("text", 0, 24, 1, {"markdown": f"## {row['asks']}"})
        y += 1
        x, height = 0, 6
        if row.get("alarms"):
            x, height = 12, 9
            arn = "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:${Prefix}-"
            widget("alarm", 0, 12, height, {"title": "Alarms", "alarms": [arn + name for name in alarms]})
        for one in row["charts"]:
            widget("metric", x, 6, height, chart(one, alarms))
            x += 6
        y += height
    lines = [json.dumps(one) for one in widgets]
    body = ['{"start": "-PT3H", "periodOverride": "inherit", "widgets": [', *(one + "," for one in lines[:-1]), lines[-1], "]}"]
    # Names of dashboards are unique in an account, not in a region.
    properties = {"DashboardName": {"Sub": "${Prefix}-${AWS::Region}"}, "DashboardBody": body}
    return resource("Dashboard", "AWS::CloudWatch::Dashboard", True, properties, [camel(name) for name in RULES])


def template():
    """The whole text."""
    read = tomllib.loads((HERE / "alarms.toml").read_text())
    table = [(shape, row) for shape, rows in read.items() for row in rows]
    rows = tomllib.loads((HERE / "dashboard.toml").read_text())["row"]
    parts = [alarm(shape, row) for shape, row in table]
    parts += [rule(name, contribution) for name, contribution in RULES.items()]
    return HEAD + "\n".join([*parts, dashboard(rows, table)])


def main():
    for name, write in {"template.yaml": template, "prometheus-rules.yaml": prometheus.rules, "grafana-dashboard.json": prometheus.dashboard}.items():
        out, text = HERE / name, write()
        if sys.argv[1:] != ["--check"]:
            out.write_text(text)
        elif not out.exists() or out.read_text() != text:
            sys.exit(f"{out} is not what its tables ask for; write it anew with observe/generate.py")


if __name__ == "__main__":
    main()
