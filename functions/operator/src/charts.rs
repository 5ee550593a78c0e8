//! `GET /v1/operator/metrics`: rate, 95th percentile, refusals and failures of the last minutes. On one host they come
//! from the process's memory, on AWS from CloudWatch.

mod cloudwatch;

use std::{borrow::Cow, ops::RangeInclusive, time::Duration};

use domain::{catalogue::Catalogue, ids::Timestamp, policy::DenyReason};
use lambda_http::Request;
use platform::{
    config::OperatorConfig,
    http::{self, ApiError, Response, query},
    metrics::history::{Chart, History, Line, SLOT},
};
use serde::Serialize;

use crate::Operator;
pub use cloudwatch::BadCloudWatchClient;
use cloudwatch::{CloudFault, CloudWatch, Dimension, Metric, MetricStat, QUERIES_AT_ONCE, Query};

/// How many minutes back a chart may go.
const MINUTES: RangeInclusive<usize> = 1..=180;
/// How many minutes back if the query does not say.
const DEFAULT_MINUTES: usize = 60;
/// The resolution of the metrics in CloudWatch.
const CLOUD_STEP: Duration = Duration::from_secs(60);
/// The namespace of what Lambda measures.
const LAMBDA: &str = "AWS/Lambda";
/// Functions that answer requests.
const FUNCTIONS: [&str; 3] = ["edge-auth", "status", "operator"];

/// The source of the charts.
#[derive(Debug)]
pub(crate) enum Charts {
    /// No metrics are kept.
    None,
    /// The memory of this process.
    Memory(History),
    /// CloudWatch, in this namespace.
    Cloud(Box<CloudWatch>, String),
}

impl Charts {
    /// CloudWatch, if its namespace is configured.
    pub(crate) fn of(config: &OperatorConfig) -> Result<Self, BadCloudWatchClient> {
        Ok(match &config.metrics_namespace {
            None => Self::None,
            Some(namespace) => Self::Cloud(Box::new(CloudWatch::new(&config.table.aws)?), namespace.clone()),
        })
    }
}

#[derive(Serialize)]
struct Metrics {
    step_s: u64,
    series: Vec<Series>,
}

#[derive(Serialize)]
struct Series {
    name: &'static str,
    label: String,
    points: Vec<(i64, f64)>,
}

/// Returns the charts.
pub(crate) async fn show(operator: &Operator, request: &Request) -> Result<Response, ApiError> {
    let minutes = query::number(request, "minutes", &MINUTES)?.unwrap_or(DEFAULT_MINUTES);
    let now = operator.runtime.now();
    let from = now.minus(Duration::from_secs(minutes as u64 * 60));
    let (step, lines) = match &operator.charts {
        Charts::None => (CLOUD_STEP, Vec::new()),
        Charts::Memory(history) => {
            // Limits the number of points to what a chart has room for.
            let slots = if minutes <= 60 { 1 } else { 4 };
            (SLOT * slots, history.lines(from, now, slots))
        }
        Charts::Cloud(cloudwatch, namespace) => {
            let lines = from_cloud(cloudwatch, namespace, operator.policy.catalogue(), from, now).await;
            (CLOUD_STEP, lines.map_err(ApiError::unavailable)?)
        }
    };
    let series = lines.into_iter().map(|Line { chart, label, points }| Series { name: chart.name(), label, points });
    Ok(http::ok(&Metrics { step_s: step.as_secs(), series: series.collect() }))
}

/// Every series that there can be.
fn wanted(catalogue: &Catalogue) -> Vec<(Chart, String)> {
    let labels = |chart: Chart| -> Vec<String> {
        match chart {
            Chart::Requests | Chart::P95 => FUNCTIONS.map(str::to_owned).to_vec(),
            Chart::Refusals => DenyReason::ALL.map(|reason| reason.code().to_owned()).to_vec(),
            Chart::Failures => catalogue.tools().map(|tool| tool.entry.name.clone()).collect(),
        }
    };
    Chart::ALL.into_iter().flat_map(|chart| labels(chart).into_iter().map(move |label| (chart, label))).collect()
}

async fn from_cloud(
    cloudwatch: &CloudWatch,
    namespace: &str,
    catalogue: &Catalogue,
    from: Timestamp,
    now: Timestamp,
) -> Result<Vec<Line>, CloudFault> {
    let wanted = wanted(catalogue);
    let mut lines = Vec::new();
    for some in wanted.chunks(QUERIES_AT_ONCE) {
        let queries = some.iter().enumerate().map(|(place, (chart, label))| query(place, namespace, *chart, label));
        let queries: Vec<Query<'_>> = queries.collect();
        // All points fit into one answer: 180 of each of 500 are fewer than the 100,800 that one may have.
        for series in cloudwatch.series(&queries, from, now).await? {
            let place = series.id.strip_prefix('q').and_then(|place| place.parse::<usize>().ok());
            let Some((chart, label)) = place.and_then(|place| some.get(place)) else { continue };
            let points = series.points();
            if !points.is_empty() {
                lines.push(Line { chart: *chart, label: label.clone(), points: filled(*chart, &points, from, now) });
            }
        }
    }
    Ok(lines)
}

/// A count without data is zero; a percentile without data has no value.
fn filled(chart: Chart, points: &[(i64, f64)], from: Timestamp, now: Timestamp) -> Vec<(i64, f64)> {
    match chart {
        Chart::P95 => points.to_vec(),
        Chart::Requests | Chart::Refusals | Chart::Failures => {
            let step = CLOUD_STEP.as_secs().cast_signed();
            let (first, last) = (from.seconds_floor().div_euclid(step), now.seconds_floor().div_euclid(step));
            let value = |at: i64| points.iter().find(|(known, _)| *known == at).map_or(0.0, |(_, value)| *value);
            (first..=last).map(|minute| (minute * step, value(minute * step))).collect()
        }
    }
}

fn query<'a>(place: usize, namespace: &'a str, chart: Chart, label: &'a str) -> Query<'a> {
    // Lambda measures each invocation by itself. A function is named after the stack, which the namespace is named after, too.
    let function = || Dimension { name: "FunctionName", value: Cow::Owned(format!("{namespace}-{label}")) };
    let (metric, dimension) = chart.source();
    let own = Dimension { name: dimension.name(), value: Cow::Borrowed(label) };
    let (stat, namespace, metric_name, dimension) = match chart {
        Chart::Requests => ("Sum", LAMBDA, "Invocations", function()),
        Chart::P95 => ("p95", LAMBDA, "Duration", function()),
        Chart::Refusals | Chart::Failures => ("Sum", namespace, metric.name(), own),
    };
    let metric = Metric { namespace, metric_name, dimensions: [dimension] };
    Query { id: format!("q{place}"), metric_stat: MetricStat { metric, period: CLOUD_STEP.as_secs(), stat } }
}
