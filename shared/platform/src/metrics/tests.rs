use std::collections::{BTreeMap, BTreeSet};

use domain::alarms::Level;
use serde_json::Value;

use super::*;

const AT: Timestamp = Timestamp::from_millis(1_795_341_600_123);

/// A value for each dimension that a metric has.
fn dimensions_of(metric: Metric) -> Vec<(Dimension, &'static str)> {
    let dimensions: BTreeSet<Dimension> = metric.dimension_sets().iter().flat_map(|set| set.iter().copied()).collect();
    dimensions.into_iter().map(|dimension| (dimension, "some")).collect()
}

fn documents(values: &[(Metric, f64)], dimensions: &[(Dimension, &str)]) -> Vec<Value> {
    let measurement = Measurement { at: AT, values, dimensions };
    emf::documents("ns", None, measurement).map(|document| obeys_the_format(&document)).collect()
}

/// What CloudWatch gets at a level.
fn published(level: Level, values: &[(Metric, f64)], dimensions: &[(Dimension, &str)]) -> Vec<Value> {
    let measurement = Measurement { at: AT, values, dimensions };
    emf::documents("ns", Some(level), measurement).map(|document| obeys_the_format(&document)).collect()
}

/// The published rules of the embedded metric format.
fn obeys_the_format(document: &Value) -> Value {
    let root = document.as_object().unwrap();
    assert!(document["_aws"]["Timestamp"].is_i64());
    let directives = document["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    assert!(!directives.is_empty());
    for directive in directives {
        let namespace = directive["Namespace"].as_str().unwrap();
        assert!((1..=1024).contains(&namespace.len()), "{document}");
        let sets = directive["Dimensions"].as_array().unwrap();
        assert!(!sets.is_empty(), "{document}");
        for set in sets {
            let names = set.as_array().unwrap();
            assert!(names.len() <= 30, "{document}");
            for name in names {
                let value = root[name.as_str().unwrap()].as_str().expect("a dimension is a property and a string");
                assert!((1..=1024).contains(&value.len()) && value.is_ascii() && !value.starts_with(':'), "{document}");
            }
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()), "{document}");
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            assert!((1..=1024).contains(&name.len()), "{document}");
            let unit = metric["Unit"].as_str().unwrap_or("None");
            assert!(["Count", "Milliseconds", "Seconds", "Bytes", "None"].contains(&unit), "{unit}");
            let values = match &root[name] {
                Value::Array(several) => several.clone(),
                one => vec![one.clone()],
            };
            assert!((1..=100).contains(&values.len()), "{document}");
            assert!(values.iter().all(Value::is_number), "{document}");
        }
    }
    document.clone()
}

#[test]
fn every_metric_makes_a_document_by_the_rules() {
    for metric in Metric::ALL {
        let made = documents(&[(*metric, 1.5)], &dimensions_of(*metric));
        assert_eq!((made.len(), &made[0][metric.name()]), (1, &1.5.into()), "{metric:?}");
        assert_eq!(made[0]["_aws"]["Timestamp"], 1_795_341_600_123_i64);
        let sets = made[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"].as_array().unwrap();
        assert_eq!(sets.len(), metric.dimension_sets().len(), "{metric:?}");
        assert_eq!(made[0]["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Unit"], metric.unit().name());
    }
}

#[test]
fn one_document_holds_metrics_of_several_dimension_sets() {
    let values = [
        (Metric::Requests, 1.0),
        (Metric::RequestDuration, 3.25),
        (Metric::Rejections, 1.0),
        (Metric::RateLimited, 1.0),
    ];
    let dimensions = [(Dimension::Function, "f"), (Dimension::Route, "r"), (Dimension::Code, "c")];
    let made = documents(&values, &dimensions);
    let directives = &made[0]["_aws"]["CloudWatchMetrics"];
    assert_eq!((made.len(), directives.as_array().unwrap().len()), (1, 3));
    assert_eq!(directives[0]["Dimensions"], serde_json::json!([["function", "route"], ["function"]]));
    assert_eq!(directives[0]["Metrics"].as_array().unwrap().len(), 2);
    assert_eq!(directives[1]["Dimensions"], serde_json::json!([["code"], []]));
    assert_eq!(directives[2]["Dimensions"], serde_json::json!([[]]));
    assert_eq!(made[0]["requests"], 1, "a whole number has no fraction");
}

#[test]
fn a_level_publishes_its_series_only_and_no_zero_of_a_counter() {
    let values = [(Metric::Requests, 1.0), (Metric::RequestErrors, 1.0), (Metric::RateLimited, 0.0)];
    let dimensions = [(Dimension::Function, "f"), (Dimension::Route, "r")];
    assert!(published(Level::Basic, &values, &dimensions).is_empty(), "no line at all");
    let full = published(Level::Full, &values, &dimensions);
    assert_eq!(full[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], serde_json::json!([["function"]]));
    for absent in ["route", "requests", "rate_limited"] {
        assert!(full[0].get(absent).is_none(), "{absent}: {full:?}");
    }
    let sweep = [(Metric::SweepRuns, 1.0), (Metric::OverdueAge, 0.0), (Metric::Mode, 3.0)];
    let basic = published(Level::Basic, &sweep, &[]);
    assert_eq!(
        (&basic[0]["sweep_runs"], &basic[0]["overdue_age_s"]),
        (&1.into(), &0.into()),
        "a gauge's zero is a value"
    );
    assert!(basic[0].get("mode").is_none());
}

#[test]
fn a_metric_with_more_values_than_a_document_may_hold_gets_several_documents() {
    let values: Vec<_> = (0..250).map(|n| (Metric::PayloadBytes, f64::from(n))).collect();
    let made = documents(&values, &[]);
    let count = |document: &Value| document["payload_bytes"].as_array().unwrap().len();
    assert_eq!(made.iter().map(count).collect::<Vec<_>>(), [100, 100, 50]);
}

#[test]
fn what_is_no_number_or_lacks_its_dimensions_is_left_out() {
    assert!(documents(&[(Metric::PayloadBytes, f64::NAN)], &[]).is_empty());
    assert!(documents(&[(Metric::Logins, 1.0)], &[]).is_empty(), "it has no set without dimensions");
    let made = documents(&[(Metric::Rejections, 1.0)], &[]);
    assert_eq!(made[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], serde_json::json!([[]]));
}

#[test]
#[should_panic(expected = "a dimension is missing")]
fn a_missing_dimension_stops_a_test() {
    Meter::none().take(Measurement { at: AT, values: &[(Metric::Rejections, 1.0)], dimensions: &[] });
}

#[test]
#[should_panic(expected = "a dimension is missing")]
fn a_dimension_that_no_value_has_stops_a_test() {
    let dimensions = &[(Dimension::Tool, "t")];
    Meter::none().take(Measurement { at: AT, values: &[(Metric::SweepRuns, 1.0)], dimensions });
}

#[test]
fn names_are_distinct_and_legal_everywhere() {
    let legal = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let metrics: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    let dimensions: BTreeSet<&str> = Dimension::ALL.iter().map(|dimension| dimension.name()).collect();
    assert_eq!((metrics.len(), dimensions.len()), (Metric::ALL.len(), Dimension::ALL.len()));
    // Both are properties of one document.
    assert!(metrics.is_disjoint(&dimensions));
    assert!(metrics.iter().chain(&dimensions).all(|name| legal(name)));
}

#[test]
fn the_first_set_of_a_metric_has_every_dimension_of_the_others() {
    for metric in Metric::ALL {
        let sets = metric.dimension_sets();
        assert!(sets.iter().flat_map(|set| set.iter()).all(|dimension| sets[0].contains(dimension)), "{metric:?}");
    }
}

#[test]
fn the_page_and_the_list_say_the_same() {
    let page = include_str!("../../../../docs/operate/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")).map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, kind, unit, sets, help, ..] = cells[..] else { panic!("{line}") };
        (name.trim_end_matches('`').to_owned(), [kind, unit, sets, help].map(str::to_owned))
    });
    let ours = Metric::ALL.iter().map(|metric| {
        let names = |set: &&[Dimension]| set.iter().map(|dimension| dimension.name()).collect::<Vec<_>>().join(", ");
        let level = |set: &[Dimension]| match [Level::Basic, Level::Full]
            .map(|level| metric.published(level).any(|s| s == set))
        {
            [true, _] => " basic",
            [false, true] => "",
            [false, false] => " one host",
        };
        let cell = |set: &&'static [Dimension]| format!("`[{}]`{}", names(set), level(set));
        let sets: Vec<String> = metric.dimension_sets().iter().map(cell).collect();
        let cells = [metric.kind().name(), metric.unit().name(), &sets.join(", "), metric.help()].map(str::to_owned);
        (metric.name().to_owned(), cells)
    });
    let (page, ours): (BTreeMap<_, _>, BTreeMap<_, _>) = (rows.collect(), ours.collect());
    assert_eq!(page, ours);
    assert_eq!(page.len(), Metric::ALL.len());
}
