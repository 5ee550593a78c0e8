//! The dashboard as the template defines it, and what its widgets would show of a captured run.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    alarm::{Alarm, Captured, Query},
    insight::Rule,
    missing::State,
    samples::Series,
    statistic::Statistic,
    template::Resource,
};

/// A widget: where it is, and what it shows.
#[derive(Debug)]
pub(crate) struct Widget {
    /// `x`, `y`, `width`, `height`.
    pub(crate) place: [u64; 4],
    pub(crate) title: String,
    pub(crate) shows: Shows,
}

/// What a widget shows.
#[derive(Debug)]
pub(crate) enum Shows {
    Text(String),
    /// ARNs.
    Alarms(Vec<String>),
    Metrics {
        lines: Vec<Drawn>,
        stacked: bool,
        unit: String,
        marks: Vec<(String, f64)>,
        period_s: i64,
    },
    Rule {
        rule: String,
        period_s: i64,
    },
}

/// A line of a widget, or a search for lines.
#[derive(Debug)]
pub(crate) enum Drawn {
    Line { label: String, query: Query },
    Search(Search),
}

/// `SEARCH('{"namespace",dimension} MetricName="name"', 'Statistic', 60)`: one line per value of the dimension.
#[derive(Debug, PartialEq)]
pub(crate) struct Search {
    pub(crate) namespace: String,
    pub(crate) dimension: String,
    pub(crate) metric: String,
    statistic: Statistic,
}

/// The widgets of the template's dashboard.
pub(crate) fn widgets(resources: &[Resource]) -> Vec<Widget> {
    let dashboard = resources.iter().find(|resource| resource.kind == "AWS::CloudWatch::Dashboard");
    let body = dashboard.and_then(|dashboard| dashboard.properties["DashboardBody"].as_str()).expect("there is one");
    let body: Value = serde_json::from_str(body).expect("its body is JSON after substitution");
    let widgets = body["widgets"].as_array().expect("it has widgets");
    widgets.iter().map(|widget| read(widget).unwrap_or_else(|fault| panic!("{fault}: {widget}"))).collect()
}

fn read(widget: &Value) -> Result<Widget, String> {
    let number = |name: &str| widget[name].as_u64().ok_or_else(|| format!("{name} is missing"));
    let place = [number("x")?, number("y")?, number("width")?, number("height")?];
    let properties = &widget["properties"];
    let text = |name: &str| properties[name].as_str().unwrap_or_default().to_owned();
    let period_s = || properties["period"].as_i64().ok_or("a period is missing");
    let shows = match widget["type"].as_str() {
        Some("text") => Shows::Text(text("markdown")),
        Some("alarm") => {
            let arns = properties["alarms"].as_array().ok_or("alarms are missing")?;
            Shows::Alarms(arns.iter().filter_map(|arn| Some(arn.as_str()?.to_owned())).collect())
        }
        Some("metric") if properties["insightRule"].is_object() => {
            let rule = properties["insightRule"]["ruleName"].as_str().ok_or("a rule's name is missing")?;
            Shows::Rule { rule: rule.to_owned(), period_s: period_s()? }
        }
        Some("metric") => {
            let metrics = properties["metrics"].as_array().ok_or("metrics are missing")?;
            let marks = properties["annotations"]["horizontal"].as_array().into_iter().flatten();
            let marks = marks.filter_map(|mark| Some((mark["label"].as_str()?.to_owned(), mark["value"].as_f64()?)));
            Shows::Metrics {
                lines: metrics.iter().map(|metric| drawn(metric, period_s()?)).collect::<Result<_, String>>()?,
                stacked: properties["stacked"] == true,
                unit: properties["yAxis"]["left"]["label"].as_str().unwrap_or_default().to_owned(),
                marks: marks.collect(),
                period_s: period_s()?,
            }
        }
        _ => return Err("another type of widget".into()),
    };
    if properties["region"] != "eu-west-1" && widget["type"] == "metric" {
        return Err("a metric widget names the stack's own region".into());
    }
    Ok(Widget { place, title: text("title"), shows })
}

/// `[namespace, metric, name, value, …, {"stat": …, "label": …}]`, or `[{"expression": …}]`.
fn drawn(metric: &Value, period_s: i64) -> Result<Drawn, String> {
    let parts = metric.as_array().ok_or("a metric is a list")?;
    let (options, names) = parts.split_last().ok_or("a metric is not empty")?;
    if let Some(expression) = options["expression"].as_str() {
        return search(expression).map(Drawn::Search);
    }
    let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
    let [namespace, metric, dimensions @ ..] = names.as_slice() else { return Err("namespace and name".into()) };
    let dimensions: Vec<(&str, &str)> = dimensions.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let statistic = options["stat"].as_str().and_then(Statistic::parse).ok_or("a statistic is missing")?;
    let label = options["label"].as_str().ok_or("a label is missing")?.to_owned();
    let series = Series::new(namespace, metric, &dimensions);
    Ok(Drawn::Line { label, query: Query { series, statistic, period_s } })
}

fn search(expression: &str) -> Result<Search, String> {
    let fault = || format!("not understood: {expression}");
    let inside = expression.strip_prefix("SEARCH('").and_then(|rest| rest.strip_suffix(')')).ok_or_else(fault)?;
    let (schema, rest) = inside.split_once('}').ok_or_else(fault)?;
    let (namespace, dimension) =
        schema.strip_prefix('{').and_then(|schema| schema.split_once(',')).ok_or_else(fault)?;
    let (condition, rest) = rest.split_once("', '").ok_or_else(fault)?;
    let (statistic, _period) = rest.split_once("', ").ok_or_else(fault)?;
    let metric = condition.trim().strip_prefix("MetricName=\"").and_then(|name| name.strip_suffix('"'));
    Ok(Search {
        namespace: namespace.trim_matches('"').to_owned(),
        dimension: dimension.to_owned(),
        metric: metric.ok_or_else(fault)?.to_owned(),
        statistic: Statistic::parse(statistic).ok_or_else(fault)?,
    })
}

impl Search {
    /// What it finds: exactly this dimension and no other.
    pub(crate) fn finds(&self, captured: &Captured) -> Vec<Series> {
        let fits = |series: &&Series| {
            series.namespace == self.namespace
                && series.metric == self.metric
                && series.dimensions.keys().eq([&self.dimension])
        };
        captured.samples.series().filter(fits).cloned().collect()
    }
}

/// What the dashboard shows of a run from `from` to `to`: everything that a picture of it needs.
pub(crate) fn shown(
    widgets: &[Widget],
    alarms: &[Alarm],
    rules: &[Rule],
    captured: &Captured,
    (from, to): (i64, i64),
) -> Value {
    let widget = |widget: &Widget| {
        let shows = match &widget.shows {
            Shows::Text(text) => json!({ "text": text }),
            Shows::Alarms(_) => {
                json!({ "alarms": alarms.iter().map(|a| episodes(a, rules, captured, (from, to))).collect::<Vec<_>>() })
            }
            Shows::Rule { rule, period_s } => {
                let rule = rules.iter().find(|known| known.name == *rule).expect("a test compares the two");
                json!({ "lines": contributors(rule, captured, *period_s, (from, to)) })
            }
            Shows::Metrics { lines, stacked, unit, marks, period_s } => {
                let mut drawn = BTreeMap::new();
                for line in lines {
                    match line {
                        Drawn::Line { label, query } => {
                            drawn.insert((drawn.len(), label.clone()), query.clone());
                        }
                        Drawn::Search(search) => {
                            for series in search.finds(captured) {
                                let label = series.dimensions[&search.dimension].clone();
                                let query = Query { series, statistic: search.statistic, period_s: *period_s };
                                drawn.insert((drawn.len(), label), query);
                            }
                        }
                    }
                }
                let line = |((_, label), query): (&(usize, String), &Query)| {
                    let value = |from, to| query.statistic.of(&captured.samples.within(&query.series, from, to));
                    json!({ "label": label, "points": points(query.period_s, (from, to), value) })
                };
                json!({ "lines": drawn.iter().map(line).collect::<Vec<_>>(), "stacked": stacked, "unit": unit, "marks": marks })
            }
        };
        json!({ "place": widget.place, "title": widget.title, "shows": shows })
    };
    json!({ "from": from, "to": to, "widgets": widgets.iter().map(widget).collect::<Vec<_>>() })
}

/// `[minutes since the beginning, value]`, one per period that has data.
fn points(period_s: i64, (from, to): (i64, i64), value: impl Fn(i64, i64) -> Option<f64>) -> Vec<Value> {
    let starts = (0..).map(|n| from + n * period_s * 1000).take_while(|start| *start < to);
    let point = |start| Some(json!([(start - from) / 60_000, value(start, start + period_s * 1000)?]));
    starts.filter_map(point).collect()
}

/// The five largest contributors of the run.
fn contributors(rule: &Rule, captured: &Captured, period_s: i64, (from, to): (i64, i64)) -> Vec<Value> {
    let mut all: Vec<_> = rule.contributors(&captured.lines, from, to).into_iter().collect();
    all.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    all.truncate(5);
    let line = |(keys, _): (Vec<String>, f64)| {
        let value = |from, to| rule.contributors(&captured.lines, from, to).get(&keys).copied();
        json!({ "label": keys.join(" "), "points": points(period_s, (from, to), value) })
    };
    all.into_iter().map(line).collect()
}

/// When an alarm fired: `[first minute, last minute]`.
fn episodes(alarm: &Alarm, rules: &[Rule], captured: &Captured, (from, to): (i64, i64)) -> Value {
    let mut episodes: Vec<(i64, i64)> = Vec::new();
    for (end, state) in alarm.states(captured, rules, from, to) {
        let minute = (end - from) / 60_000;
        match episodes.last_mut() {
            Some((_, last)) if state == State::Alarm && *last == minute - 1 => *last = minute,
            _ if state == State::Alarm => episodes.push((minute, minute)),
            _ => {}
        }
    }
    json!({ "claim": alarm.claim, "episodes": episodes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_the_series_of_one_dimension_and_no_other() {
        let search = search("SEARCH('{\"my-stack\",tool} MetricName=\"tool_calls\"', 'p95', 60)").unwrap();
        let mut captured = Captured::default();
        for dimensions in [&[("tool", "a")][..], &[("tool", "b")], &[], &[("tool", "a"), ("state", "x")]] {
            captured.samples.add(Series::new("my-stack", "tool_calls", dimensions), 0, 1.0);
        }
        captured.samples.add(Series::new("other", "tool_calls", &[("tool", "c")]), 0, 1.0);
        let found: Vec<String> =
            search.finds(&captured).iter().map(|series| series.dimensions["tool"].clone()).collect();
        assert_eq!((found, search.statistic), (vec!["a".to_owned(), "b".to_owned()], Statistic::Percentile(95.0)));
        for text in ["SEARCH('x')", "SUM([a])", "SEARCH('{n,d} Name=\"x\"', 'Sum', 60)"] {
            assert!(super::search(text).is_err(), "{text}");
        }
    }

    #[test]
    fn widgets_do_not_overlap_and_stay_on_the_grid() {
        let widgets = widgets(&crate::template::resources());
        let mut taken = std::collections::BTreeSet::new();
        for widget in &widgets {
            let [x, y, width, height] = widget.place;
            assert!(x + width <= 24 && width > 0 && height > 0, "{}", widget.title);
            for cell in (x..x + width).flat_map(|column| (y..y + height).map(move |row| (column, row))) {
                assert!(taken.insert(cell), "{} lies on another widget", widget.title);
            }
        }
    }
}
