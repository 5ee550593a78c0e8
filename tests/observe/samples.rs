//! Samples of series, as the functions emit them for CloudWatch in the embedded metric format.

use std::collections::BTreeMap;

use serde_json::Value;

/// A series: namespace, metric, dimensions. CloudWatch adds nothing up over dimensions: another set is another series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) namespace: String,
    pub(crate) metric: String,
    pub(crate) dimensions: BTreeMap<String, String>,
}

impl Series {
    pub(crate) fn new(namespace: &str, metric: &str, dimensions: &[(&str, &str)]) -> Self {
        let dimensions = dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { namespace: namespace.to_owned(), metric: metric.to_owned(), dimensions }
    }
}

/// Samples by series, each with its time in milliseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(BTreeMap<Series, Vec<(i64, f64)>>);

impl Samples {
    pub(crate) fn add(&mut self, series: Series, at: i64, value: f64) {
        self.0.entry(series).or_default().push((at, value));
    }

    /// Takes in one document of the embedded metric format.
    pub(crate) fn add_document(&mut self, document: &Value) {
        let at = document["_aws"]["Timestamp"].as_i64().expect("a document has its time");
        for directive in document["_aws"]["CloudWatchMetrics"].as_array().expect("and its directives") {
            let namespace = directive["Namespace"].as_str().expect("a directive has a namespace");
            for set in directive["Dimensions"].as_array().expect("and sets of dimensions") {
                let names = set.as_array().expect("a set is a list").iter().filter_map(Value::as_str);
                let dimensions: Vec<(&str, &str)> = names
                    .map(|name| (name, document[name].as_str().expect("a dimension has its value beside it")))
                    .collect();
                for metric in directive["Metrics"].as_array().expect("a directive has metrics") {
                    let name = metric["Name"].as_str().expect("a metric has a name");
                    let values = match &document[name] {
                        Value::Array(several) => several.clone(),
                        one => vec![one.clone()],
                    };
                    for value in values.iter().map(|value| value.as_f64().expect("a metric has a number")) {
                        self.add(Series::new(namespace, name, &dimensions), at, value);
                    }
                }
            }
        }
    }

    /// The values of a series from `from` up to, and without, `to`.
    pub(crate) fn within(&self, series: &Series, from: i64, to: i64) -> Vec<f64> {
        let all = self.0.get(series).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, value)| *value).collect()
    }

    pub(crate) fn series(&self) -> impl Iterator<Item = &Series> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_becomes_one_sample_per_set_of_dimensions_and_value() {
        let mut samples = Samples::default();
        samples.add_document(&json!({
            "_aws": {"Timestamp": 1000, "CloudWatchMetrics": [
                {"Namespace": "n", "Dimensions": [["f", "r"], ["f"]], "Metrics": [{"Name": "m", "Unit": "Count"}]},
                {"Namespace": "n", "Dimensions": [[]], "Metrics": [{"Name": "b", "Unit": "Bytes"}]}]},
            "f": "edge", "r": "GET /", "m": 1, "b": [3, 4.5],
        }));
        assert_eq!(samples.within(&Series::new("n", "m", &[("f", "edge"), ("r", "GET /")]), 0, 2000), [1.0]);
        assert_eq!(samples.within(&Series::new("n", "m", &[("f", "edge")]), 0, 2000), [1.0]);
        assert_eq!(samples.within(&Series::new("n", "b", &[]), 0, 2000), [3.0, 4.5]);
        assert!(samples.within(&Series::new("n", "m", &[]), 0, 2000).is_empty(), "another set is another series");
        assert_eq!(samples.series().count(), 3);
    }

    #[test]
    fn a_window_has_its_beginning_and_not_its_end() {
        let (mut samples, series) = (Samples::default(), Series::new("n", "m", &[]));
        for at in [0, 59_999, 60_000] {
            samples.add(series.clone(), at, 1.0);
        }
        assert_eq!(samples.within(&series, 0, 60_000).len(), 2);
        assert_eq!(samples.within(&series, 60_000, 120_000).len(), 1);
    }
}
