//! `GET /v1/operator/metrics`: rate, 95th percentile, refusals and failures of the last minutes. On one host they come
//! from the process's memory, on AWS from CloudWatch.

use std::{ops::RangeInclusive, time::Duration};

use aws_sdk_cloudwatch::{
    Client,
    error::SdkError,
    types::{self, Metric as CloudWatchMetric, MetricDataQuery, MetricStat},
};
use domain::{catalogue::Catalogue, ids::Timestamp, policy::DenyReason};
use lambda_http::Request;
use platform::{
    aws,
    config::OperatorConfig,
    http::{self, ApiError, Response, query},
    metrics::history::{Chart, History, Line, SLOT},
};
use serde::Serialize;

use crate::Operator;

/// How many minutes back a chart may go.
const MINUTES: RangeInclusive<usize> = 1..=180;
/// How many minutes back if the query does not say.
const DEFAULT_MINUTES: usize = 60;
/// The resolution of the metrics in CloudWatch.
const CLOUD_STEP: Duration = Duration::from_secs(60);
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
    Cloud(Box<Client>, String),
}

impl Charts {
    /// CloudWatch, if its namespace is configured.
    pub(crate) fn of(config: &OperatorConfig) -> Self {
        match &config.metrics_namespace {
            None => Self::None,
            Some(namespace) => Self::Cloud(Box::new(Client::new(&config.table.aws.cloudwatch())), namespace.clone()),
        }
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

/// CloudWatch did not answer. The text has the cause, and nothing of the request.
#[derive(Debug, thiserror::Error)]
#[error("CloudWatch did not answer GetMetricData: {0}")]
struct CloudFault(String);

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
        Charts::Cloud(client, namespace) => {
            let lines = from_cloud(client, namespace, operator.policy.catalogue(), from, now).await;
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

/// The most queries that one GetMetricData request may have.
const QUERIES_AT_ONCE: usize = 500;

async fn from_cloud(
    client: &Client,
    namespace: &str,
    catalogue: &Catalogue,
    from: Timestamp,
    now: Timestamp,
) -> Result<Vec<Line>, CloudFault> {
    let wanted = wanted(catalogue);
    let mut lines = Vec::new();
    for some in wanted.chunks(QUERIES_AT_ONCE) {
        let queries =
            some.iter().enumerate().map(|(place, (chart, label))| data_query(place, namespace, *chart, label));
        let asked = client
            .get_metric_data()
            .set_metric_data_queries(Some(queries.collect()))
            .start_time(time(from))
            .end_time(time(now));
        // All points fit into one answer: 180 of each of 500 are fewer than the 100,800 that one may have.
        let answer = asked.send().await.map_err(|error: SdkError<_, _>| CloudFault(aws::cause(&error)))?;
        for result in answer.metric_data_results() {
            let place = result.id().and_then(|id| id.strip_prefix('q')?.parse::<usize>().ok());
            let Some((chart, label)) = place.and_then(|place| some.get(place)) else { continue };
            let mut points: Vec<(i64, f64)> =
                result.timestamps().iter().map(types_seconds).zip(result.values().iter().copied()).collect();
            points.sort_by_key(|(at, _)| *at);
            if !points.is_empty() {
                lines.push(Line { chart: *chart, label: label.clone(), points: filled(*chart, points, from, now) });
            }
        }
    }
    Ok(lines)
}

fn types_seconds(at: &aws_sdk_cloudwatch::primitives::DateTime) -> i64 {
    at.secs()
}

fn time(at: Timestamp) -> aws_sdk_cloudwatch::primitives::DateTime {
    aws_sdk_cloudwatch::primitives::DateTime::from_secs(at.seconds_floor())
}

/// A count without data is zero; a percentile without data has no value.
fn filled(chart: Chart, points: Vec<(i64, f64)>, from: Timestamp, now: Timestamp) -> Vec<(i64, f64)> {
    match chart {
        Chart::P95 => points,
        Chart::Requests | Chart::Refusals | Chart::Failures => {
            let step = CLOUD_STEP.as_secs().cast_signed();
            let (first, last) = (from.seconds_floor().div_euclid(step), now.seconds_floor().div_euclid(step));
            let value = |at: i64| points.iter().find(|(known, _)| *known == at).map_or(0.0, |(_, value)| *value);
            (first..=last).map(|minute| (minute * step, value(minute * step))).collect()
        }
    }
}

fn data_query(place: usize, namespace: &str, chart: Chart, label: &str) -> MetricDataQuery {
    let (metric, dimension) = chart.source();
    let dimension = types::Dimension::builder().name(dimension.name()).value(label).build();
    let metric = CloudWatchMetric::builder().namespace(namespace).metric_name(metric.name()).dimensions(dimension);
    let statistic = match chart {
        Chart::P95 => "p95",
        Chart::Requests | Chart::Refusals | Chart::Failures => "Sum",
    };
    let seconds = i32::try_from(CLOUD_STEP.as_secs()).unwrap_or(60);
    let stat = MetricStat::builder().metric(metric.build()).period(seconds).stat(statistic).build();
    MetricDataQuery::builder().id(format!("q{place}")).metric_stat(stat).build()
}
