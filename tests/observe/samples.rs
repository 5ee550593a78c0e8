//! The samples that CloudWatch would have at a level, by series.

use std::collections::BTreeMap;

use domain::{
    alarms::{Level, Samples, Series},
    ids::Timestamp,
};
use platform::metrics::{Dimension, Kind, Measurement, Metric, Sink};
use serde_json::Value;

/// A series without or with dimensions.
pub(crate) fn series(metric: &str, dimensions: &[(&str, &str)]) -> Series {
    let dimensions = dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Series { metric: metric.to_owned(), dimensions }
}

/// Samples, each with its time in milliseconds, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Captured(BTreeMap<Series, Vec<(i64, f64)>>);

impl Captured {
    pub(crate) fn add(&mut self, series: Series, at: i64, value: f64) {
        self.0.entry(series).or_default().push((at, value));
    }

    /// Takes in what a level publishes of a document of the embedded metric format that has everything.
    pub(crate) fn add_document(&mut self, level: Level, document: &Value) {
        let at = document["_aws"]["Timestamp"].as_i64().expect("a document has its time");
        for directive in document["_aws"]["CloudWatchMetrics"].as_array().expect("and its directives") {
            for listed in directive["Metrics"].as_array().expect("a directive has metrics") {
                let name = listed["Name"].as_str().expect("a metric has a name");
                let metric = Metric::ALL.iter().find(|metric| metric.name() == name).expect("it is in the list");
                let several = document[name].as_array().cloned().unwrap_or_else(|| vec![document[name].clone()]);
                let values = several.iter().map(|value| value.as_f64().expect("a metric has numbers"));
                let values: Vec<f64> = values.filter(|value| metric.kind() != Kind::Counter || *value != 0.0).collect();
                // Lambda tells these two of each function, at every level.
                if matches!(metric, Metric::Requests | Metric::RequestDuration) {
                    let function = document["function"].as_str().expect("a request has its function");
                    let lambda = series(&format!("platform.{name}"), &[("function", function)]);
                    values.iter().for_each(|value| self.add(lambda.clone(), at, *value));
                }
                for set in metric.published(level) {
                    let pair = |name: &str| (name.to_owned(), document[name].as_str().unwrap_or_default().to_owned());
                    let dimensions = set.iter().map(|dimension| pair(dimension.name())).collect();
                    let series = Series { metric: name.to_owned(), dimensions };
                    values.iter().for_each(|value| self.add(series.clone(), at, *value));
                }
            }
        }
    }

    pub(crate) fn series(&self) -> impl Iterator<Item = &Series> {
        self.0.keys()
    }
}

/// Measures again what a document has, into another sink.
pub(crate) fn measurements(document: &Value, into: &impl Sink) {
    let at = Timestamp::from_millis(document["_aws"]["Timestamp"].as_i64().expect("a document has its time"));
    let dimension = |dimension: Dimension| Some((dimension, document[dimension.name()].as_str()?));
    let dimensions: Vec<_> = Dimension::ALL.into_iter().filter_map(dimension).collect();
    for metric in Metric::ALL {
        let values = match &document[metric.name()] {
            Value::Null => continue,
            Value::Array(several) => several.clone(),
            one => vec![one.clone()],
        };
        for value in values {
            let values = &[(*metric, value.as_f64().expect("a metric has numbers"))];
            into.take(Measurement { at, values, dimensions: &dimensions });
        }
    }
}

impl Samples for Captured {
    fn within(&self, series: &Series, from: Timestamp, to: Timestamp) -> Vec<f64> {
        let all = self.0.get(series).map(Vec::as_slice).unwrap_or_default();
        let at = |time: &i64| (from.millis()..to.millis()).contains(time);
        all.iter().filter(|(time, _)| at(time)).map(|(_, value)| *value).collect()
    }
}
