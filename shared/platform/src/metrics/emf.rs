//! CloudWatch's embedded metric format: one JSON line for each measurement, from which CloudWatch derives the
//! metrics.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::io::Write;

use serde_json::{Map, Number, Value, json};

use domain::alarms::Level;

use super::{Kind, Measurement, Metric, Sink};

/// Maximum number of values of a metric in one document, and of metrics in one directive.
const AT_MOST: usize = 100;

/// What a deployment publishes, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudMetrics {
    /// The namespace in CloudWatch.
    pub namespace: String,
    /// Which series, as far as the alarms need them.
    pub level: Level,
}

/// The documents of one measurement at a level: one, unless it has more values than a document may have, and none if
/// nothing of it is published. Without a level, every set of dimensions and every value is in it.
pub fn documents(namespace: &str, level: Option<Level>, measurement: Measurement<'_>) -> impl Iterator<Item = Value> {
    let chunks = measurement.values.chunks(AT_MOST);
    chunks.filter_map(move |values| document(namespace, level, Measurement { values, ..measurement }))
}

/// Under which sets of dimensions a value is published. A counter's zero is under none: a sum does not need it, and
/// CloudWatch bills the series for the hour.
fn sets(metric: Metric, value: f64, level: Option<Level>) -> Vec<&'static [super::Dimension]> {
    match level {
        None => metric.dimension_sets().to_vec(),
        Some(_) if metric.kind() == Kind::Counter && value == 0.0 => Vec::new(),
        Some(level) => metric.published(level).collect(),
    }
}

/// `None` when the measurement has nothing to publish.
fn document(namespace: &str, level: Option<Level>, measurement: Measurement<'_>) -> Option<Value> {
    let mut top = Map::new();
    let mut directives: Vec<(Vec<&[_]>, Vec<Metric>)> = Vec::new();
    for (metric, value) in measurement.values {
        let sets: Vec<_> = sets(*metric, *value, level).into_iter().filter(|set| measurement.has(set)).collect();
        let Some(value) = number(*value).filter(|_| !sets.is_empty()) else { continue };
        match top.get_mut(metric.name()) {
            None => _ = top.insert(metric.name().to_owned(), value),
            Some(Value::Array(several)) => several.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
        for dimension in sets.iter().flat_map(|set| set.iter()) {
            let value = measurement.dimension(*dimension).unwrap_or_default();
            top.insert(dimension.name().to_owned(), value.into());
        }
        match directives.iter_mut().find(|(known, _)| *known == sets) {
            None => directives.push((sets, vec![*metric])),
            Some((_, metrics)) if !metrics.contains(metric) => metrics.push(*metric),
            Some(_) => {}
        }
    }
    let directives: Vec<Value> = directives
        .into_iter()
        .map(|(sets, metrics)| {
            let names = |set: &&[super::Dimension]| set.iter().map(|dimension| dimension.name()).collect::<Vec<_>>();
            // The unit is optional, nothing reads it in CloudWatch, and each line would repeat it.
            let metric = |metric: Metric| match level {
                None => json!({ "Name": metric.name(), "Unit": metric.unit().name() }),
                Some(_) => json!({ "Name": metric.name() }),
            };
            json!({
                "Namespace": namespace,
                "Dimensions": sets.iter().map(names).collect::<Vec<_>>(),
                "Metrics": metrics.into_iter().map(metric).collect::<Vec<_>>(),
            })
        })
        .collect();
    if directives.is_empty() {
        return None;
    }
    top.insert("_aws".to_owned(), json!({ "Timestamp": measurement.at.millis(), "CloudWatchMetrics": directives }));
    Some(Value::Object(top))
}

/// A JSON number; integers without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "below 2^53 a whole double is exact")]
fn number(value: f64) -> Option<Value> {
    let whole = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
    let number = if whole { Some(Number::from(value as i64)) } else { Number::from_f64(value) };
    number.map(Value::Number)
}

/// Writes each document as one line to standard output, where Lambda collects it together with the log lines.
#[derive(Debug)]
pub struct ToStandardOutput(CloudMetrics);

impl ToStandardOutput {
    /// A writer for this namespace and level.
    pub const fn new(published: CloudMetrics) -> Self {
        Self(published)
    }
}

impl Sink for ToStandardOutput {
    fn take(&self, measurement: Measurement<'_>) {
        let CloudMetrics { namespace, level } = &self.0;
        for document in documents(namespace, Some(*level), measurement) {
            let line = format!("{document}\n");
            // A single write, so that another line cannot interrupt this one. An error of standard output cannot be
            // reported anywhere.
            let _measured = std::io::stdout().lock().write_all(line.as_bytes());
        }
    }
}
