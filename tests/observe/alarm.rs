//! Alarms as the template defines them, and what state each would be in at a given minute of a captured run.
//!
//! An alarm is evaluated at the end of each minute, whatever its period: the window of a longer one moves along.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    insight::{Line, Rule},
    math::{self, Expression, Points},
    missing::{self, LOOKS_BACK, State, Treatment},
    samples::{Samples, Series},
    statistic::Statistic,
    template::{Resource, STACK},
};

/// A statistic of a series over a period.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) series: Series,
    pub(crate) statistic: Statistic,
    pub(crate) period_s: i64,
}

/// An alarm.
#[derive(Debug, Clone)]
pub(crate) struct Alarm {
    /// Its name without the stack's, or its logical name if it has no other.
    pub(crate) claim: String,
    pub(crate) description: String,
    pub(crate) queries: BTreeMap<String, Query>,
    pub(crate) expression: Expression,
    pub(crate) notifies: Vec<String>,
    comparison: String,
    threshold: f64,
    evaluation_periods: usize,
    datapoints: usize,
    missing: Treatment,
    period_s: i64,
}

/// What was captured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Captured {
    pub(crate) samples: Samples,
    pub(crate) lines: Vec<Line>,
}

/// The template's alarms.
pub(crate) fn alarms(resources: &[Resource]) -> Vec<Alarm> {
    let alarms = resources.iter().filter(|resource| resource.kind == "AWS::CloudWatch::Alarm");
    alarms.map(|alarm| read(alarm).unwrap_or_else(|fault| panic!("{}: {fault}", alarm.name))).collect()
}

/// The template's Contributor Insights rules.
pub(crate) fn rules(resources: &[Resource]) -> Vec<Rule> {
    let rules = resources.iter().filter(|resource| resource.kind == "AWS::CloudWatch::InsightRule");
    rules
        .map(|rule| {
            let name = rule.properties["RuleName"].as_str().expect("a rule has a name");
            let body = rule.properties["RuleBody"].as_str().expect("a rule has a body");
            let body = serde_json::from_str(body).expect("a rule's body is JSON");
            Rule::parse(name, &body).unwrap_or_else(|fault| panic!("{fault}"))
        })
        .collect()
}

fn read(resource: &Resource) -> Result<Alarm, String> {
    let alarm = &resource.properties;
    let text = |name: &str| alarm[name].as_str().map(str::to_owned).ok_or_else(|| format!("{name} is missing"));
    let count = |name: &str, default: Option<u64>| {
        let number = alarm[name].as_u64().or(default).and_then(|number| usize::try_from(number).ok());
        number.filter(|number| *number > 0).ok_or_else(|| format!("{name} is missing"))
    };
    let (queries, expression, period_s) = watched(alarm)?;
    let evaluation_periods = count("EvaluationPeriods", None)?;
    let claim = text("AlarmName").map_or(resource.name.clone(), |name| name.replacen(&format!("{STACK}-"), "", 1));
    let threshold = alarm["Threshold"].as_f64().ok_or("Threshold is missing")?;
    let read = Alarm {
        claim,
        description: text("AlarmDescription")?,
        queries,
        expression,
        notifies: alarm["AlarmActions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|t| Some(t.as_str()?.to_owned()))
            .collect(),
        comparison: text("ComparisonOperator")?,
        threshold,
        evaluation_periods,
        datapoints: count("DatapointsToAlarm", u64::try_from(evaluation_periods).ok())?,
        missing: Treatment::parse(&text("TreatMissingData")?).ok_or("TreatMissingData is none of the four")?,
        period_s,
    };
    if read.datapoints > read.evaluation_periods {
        return Err("more data points than periods".into());
    }
    read.breaches(0.0).map(|_| read).ok_or_else(|| "ComparisonOperator is not known".into())
}

type Watched = (BTreeMap<String, Query>, Expression, i64);

/// What it watches: one statistic, or an expression over several of one period.
fn watched(alarm: &Value) -> Result<Watched, String> {
    let Some(metrics) = alarm["Metrics"].as_array() else {
        let query = query(alarm, alarm["Statistic"].as_str().or(alarm["ExtendedStatistic"].as_str()), alarm)?;
        let period_s = query.period_s;
        return Ok((BTreeMap::from([("m".to_owned(), query)]), Expression::Id("m".to_owned()), period_s));
    };
    let (mut queries, mut expression, mut period_s) = (BTreeMap::new(), None, None);
    for metric in metrics {
        let id = metric["Id"].as_str().ok_or("an Id is missing")?;
        if let Some(text) = metric["Expression"].as_str() {
            if metric["ReturnData"] != true || expression.is_some() {
                return Err("one expression, and it is what the alarm watches".into());
            }
            expression = Some(math::parse(text)?);
            period_s = metric["Period"].as_i64();
            continue;
        }
        let stat = &metric["MetricStat"];
        if metric["ReturnData"] != false {
            return Err(format!("{id}: only the expression is watched"));
        }
        queries.insert(id.to_owned(), query(&stat["Metric"], stat["Stat"].as_str(), stat)?);
    }
    let expression = expression.ok_or("an expression is missing")?;
    let mut periods = queries.values().map(|query| query.period_s).chain(period_s);
    let period_s = periods.next().ok_or("a period is missing")?;
    if periods.any(|other| other != period_s) {
        return Err("periods differ".into());
    }
    let mut used = expression.ids();
    used.sort_unstable();
    used.dedup();
    if used != queries.keys().map(String::as_str).collect::<Vec<_>>() {
        return Err(format!("the expression uses {used:?}"));
    }
    Ok((queries, expression, period_s))
}

fn query(metric: &Value, statistic: Option<&str>, with_period: &Value) -> Result<Query, String> {
    let text =
        |value: &Value, what: &str| value.as_str().map(str::to_owned).ok_or_else(|| format!("{what} is missing"));
    let dimensions = metric["Dimensions"].as_array().into_iter().flatten();
    let dimensions = dimensions.map(|d| Ok((text(&d["Name"], "Name")?, text(&d["Value"], "Value")?)));
    Ok(Query {
        series: Series {
            namespace: text(&metric["Namespace"], "Namespace")?,
            metric: text(&metric["MetricName"], "MetricName")?,
            dimensions: dimensions.collect::<Result<_, String>>()?,
        },
        statistic: statistic.and_then(Statistic::parse).ok_or("a statistic is missing or unknown")?,
        period_s: with_period["Period"].as_i64().filter(|period| *period > 0 && period % 60 == 0).ok_or("Period")?,
    })
}

impl Alarm {
    fn breaches(&self, value: f64) -> Option<bool> {
        Some(match self.comparison.as_str() {
            "GreaterThanThreshold" => value > self.threshold,
            "GreaterThanOrEqualToThreshold" => value >= self.threshold,
            "LessThanThreshold" => value < self.threshold,
            "LessThanOrEqualToThreshold" => value <= self.threshold,
            _ => return None,
        })
    }

    /// What it watches, in each period that is in range at `now`, the oldest first.
    fn points(&self, captured: &Captured, rules: &[Rule], now: i64) -> Points {
        let periods = self.evaluation_periods + LOOKS_BACK;
        let windows = || {
            (0..periods).rev().map(|back| {
                let to = now - i64::try_from(back).unwrap_or(0) * self.period_s * 1000;
                (to - self.period_s * 1000, to)
            })
        };
        let mut series: BTreeMap<String, Points> = BTreeMap::new();
        for (id, query) in &self.queries {
            let point = |(from, to)| query.statistic.of(&captured.samples.within(&query.series, from, to));
            series.insert(id.clone(), windows().map(point).collect());
        }
        if let Some((name, metric)) = self.expression.insight() {
            let rule = rules.iter().find(|rule| rule.name == name).expect("the rule is in the template");
            let point = |(from, to)| rule.metric(metric, &captured.lines, from, to);
            series.insert(name.to_owned(), windows().map(point).collect());
        }
        self.expression.points(periods, &series)
    }

    /// Its state at `now`, the end of a minute.
    pub(crate) fn state(&self, captured: &Captured, rules: &[Rule], now: i64, before: State) -> State {
        let points = self.points(captured, rules, now).into_iter();
        let points: Vec<Option<bool>> = points.map(|point| point.and_then(|value| self.breaches(value))).collect();
        missing::decide(&points, self.evaluation_periods, self.datapoints, self.missing, before)
    }

    /// Its state at the end of each minute from `from` to `to`.
    pub(crate) fn states(&self, captured: &Captured, rules: &[Rule], from: i64, to: i64) -> Vec<(i64, State)> {
        let mut before = State::InsufficientData;
        let minutes = (1..).map(|minute| from + minute * 60_000).take_while(|end| *end <= to);
        minutes
            .map(|end| {
                before = self.state(captured, rules, end, before);
                (end, before)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
