//! The table of alarms, the dashboard, the generated template and the code name the same things.

use std::collections::BTreeSet;

use domain::alarms::{AlarmTable, Level, Limit, Series, Shape};
use platform::{
    metrics::{Kind, Metric},
    telemetry,
};
use serde_json::Value;

pub(crate) const OBSERVE: &str = include_str!("../../observe/template.yaml");
const DASHBOARD: &str = include_str!("../../observe/dashboard.toml");
/// The metrics of Lambda, SQS and API Gateway, and their dimensions.
const PLATFORM: [(&str, &[&str]); 6] = [
    ("platform.function_errors", &["function"]),
    ("platform.function_throttles", &["function"]),
    ("platform.requests", &["function"]),
    ("platform.request_duration_ms", &["function"]),
    ("platform.dead_letters", &[]),
    ("platform.oldest_message_s", &[]),
];

/// Fails unless the platform measures it, or the service under these dimensions and from this level on.
fn is_published(who: &str, metric: &str, dimensions: &BTreeSet<&str>, level: Level) {
    let is = |known: &[&str]| known.iter().copied().collect::<BTreeSet<_>>() == *dimensions;
    if let Some((_, known)) = PLATFORM.iter().find(|(name, _)| *name == metric) {
        assert!(is(known), "{who}: {metric} by {dimensions:?}");
        return;
    }
    let known = Metric::ALL.iter().find(|known| known.name() == metric).unwrap_or_else(|| panic!("{who}: {metric}"));
    let published = known.published(level).any(|set| is(&set.iter().map(|one| one.name()).collect::<Vec<_>>()));
    assert!(published, "{who}: {metric} is not published by {dimensions:?} at level {level:?}");
}

#[test]
fn every_alarm_watches_what_is_published_from_its_level_on() {
    for alarm in AlarmTable::built_in().unwrap().alarms() {
        for Series { metric, dimensions } in alarm.series() {
            is_published(alarm.name(), metric, &dimensions.keys().map(String::as_str).collect(), alarm.level());
        }
    }
}

#[test]
fn every_series_of_level_basic_is_watched_by_an_alarm_of_that_level() {
    let table = AlarmTable::built_in().unwrap();
    let basic = table.alarms().iter().filter(|alarm| alarm.level() == Level::Basic);
    let watched: BTreeSet<&str> = basic.flat_map(|alarm| alarm.series()).map(|series| series.metric.as_str()).collect();
    for metric in Metric::ALL.iter().filter(|metric| metric.published(Level::Basic).next().is_some()) {
        assert!(watched.contains(metric.name()), "{} costs and shows nothing", metric.name());
    }
}

/// The charts of the dashboard, with their titles.
fn charts() -> Vec<(String, toml::Value)> {
    let dashboard: toml::Table = DASHBOARD.parse().expect("it is TOML");
    let rows = dashboard["row"].as_array().unwrap().iter();
    let charts = rows.flat_map(|row| row["charts"].as_array().unwrap().clone());
    charts.map(|chart| (chart["title"].as_str().unwrap().to_owned(), chart)).collect()
}

#[test]
fn every_chart_shows_what_is_published_and_an_alarms_limit_where_it_marks_one() {
    let table = AlarmTable::built_in().unwrap();
    for (title, chart) in charts() {
        for line in chart.get("lines").and_then(toml::Value::as_array).into_iter().flatten() {
            let dimensions = line.get(3).and_then(toml::Value::as_table);
            let names = dimensions.into_iter().flat_map(|dimensions| dimensions.keys().map(String::as_str)).collect();
            is_published(&title, line[0].as_str().unwrap(), &names, Level::Full);
        }
        if let Some(each) = chart.get("each") {
            let dimension = BTreeSet::from([each[2].as_str().unwrap()]);
            is_published(&title, each[0].as_str().unwrap(), &dimension, Level::Full);
        }
        let mark = chart.get("mark").map(|mark| mark.as_str().unwrap());
        assert!(mark.is_none_or(|mark| table.alarms().iter().any(|alarm| alarm.name() == mark)), "{title}: {mark:?}");
    }
}

/// The text of a resource in the generated template.
pub(crate) fn resource(name: &str) -> &'static str {
    let begin = OBSERVE.find(&format!("\n  {name}:\n")).unwrap_or_else(|| panic!("{name} is not in the template"));
    OBSERVE[begin + 1..].split("\n\n").next().unwrap()
}

fn camel(name: &str) -> String {
    let upper = |part: &str| part[..1].to_uppercase() + &part[1..];
    name.split('-').map(upper).collect()
}

/// `observe/generate.py --check` compares the whole text; this parses the result independently.
#[test]
fn the_template_has_each_alarm_of_the_table_with_its_limit_and_its_level() {
    let table = AlarmTable::built_in().unwrap();
    assert_eq!(OBSERVE.matches("Type: AWS::CloudWatch::Alarm\n").count(), table.alarms().len());
    for alarm in table.alarms() {
        let text = resource(&format!("{}Alarm", camel(alarm.name())));
        let has = |part: String| assert!(text.contains(&part), "{}: {part} is not in\n{text}", alarm.name());
        has(format!("AlarmName: !Sub \"${{Prefix}}-{}\"\n", alarm.name()));
        has(format!("AlarmDescription: \"{} ", alarm.says()));
        has(format!("docs/operate/runbook.md#{}\"\n", alarm.name()));
        has(format!("EvaluationPeriods: {}\n", alarm.periods()));
        has("AlarmActions: [!Ref AlarmTopic]\n".to_owned());
        let (comparison, threshold, missing) = match alarm.shape() {
            Shape::Threshold { limit, .. } => match limit {
                Limit::Above(limit) => ("GreaterThanThreshold", *limit, "notBreaching"),
                Limit::AtLeast(limit) => ("GreaterThanOrEqualToThreshold", *limit, "notBreaching"),
                Limit::Below(limit) => ("LessThanThreshold", *limit, "notBreaching"),
            },
            Shape::Ratio { above, .. } => ("GreaterThanThreshold", *above, "notBreaching"),
            Shape::Heartbeat { .. } => ("LessThanThreshold", 1.0, "breaching"),
        };
        has(format!("ComparisonOperator: {comparison}\n      Threshold: {threshold}\n"));
        has(format!("TreatMissingData: {missing}\n"));
        assert_eq!(text.contains("Condition: Full\n"), alarm.level() == Level::Full, "{}", alarm.name());
    }
}

/// As above, for Prometheus.
#[test]
fn the_rules_of_one_host_are_its_alarms_and_rules_and_dashboard_read_metrics_that_it_exports() {
    let rules = include_str!("../../observe/prometheus-rules.yaml");
    let alarms = local::host::alerts::rows().unwrap();
    assert_eq!(rules.matches("- alert: ").count(), alarms.len());
    for alarm in &alarms {
        let rule = rules.split("      - alert: ").find(|rule| rule.starts_with(&format!("{}\n", alarm.name())));
        let rule = rule.unwrap_or_else(|| panic!("{} has no rule", alarm.name()));
        assert!(rule.contains(alarm.says()) && rule.contains(&format!("runbook.md#{}\n", alarm.name())), "{rule}");
    }
    let exported = |metric: &Metric| match metric.kind() {
        Kind::Counter => vec![format!("{}_total", metric.name())],
        Kind::Gauge => vec![metric.name().to_owned()],
        Kind::Distribution => ["bucket", "count"].map(|suffix| format!("{}_{suffix}", metric.name())).to_vec(),
    };
    let exported: BTreeSet<String> = Metric::ALL.iter().flat_map(exported).collect();
    for text in [rules, include_str!("../../observe/grafana-dashboard.json")] {
        for read in text.split("miniprogram_").skip(1) {
            let name: String = read.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            assert!(exported.contains(&name), "{name}");
        }
    }
}

#[test]
fn rules_look_at_fields_that_log_lines_may_have() {
    let bodies = OBSERVE.lines().map(str::trim).filter(|line| line.starts_with("{\"Schema\""));
    let rules: Vec<Value> = bodies.map(|body| serde_json::from_str(body).expect("a rule's body is JSON")).collect();
    assert_eq!(rules.len(), 2);
    for rule in rules {
        let contribution = &rule["Contribution"];
        let filters = contribution["Filters"].as_array().unwrap().iter().map(|filter| &filter["Match"]);
        for field in contribution["Keys"].as_array().unwrap().iter().chain(filters) {
            let name = field.as_str().and_then(|field| field.strip_prefix("$.")).unwrap();
            assert!(telemetry::FIELDS.contains(&name), "{name}");
        }
    }
}

#[test]
fn the_dashboard_is_named_for_its_region_and_its_widgets_stay_on_the_grid() {
    let text = resource("Dashboard");
    assert!(text.contains("DashboardName: !Sub \"${Prefix}-${AWS::Region}\"\n"), "names are unique in an account");
    let body = text.split_once("DashboardBody: !Sub |\n").unwrap().1;
    let body: Value = serde_json::from_str(body).expect("it is JSON");
    let mut taken = BTreeSet::new();
    for widget in body["widgets"].as_array().unwrap() {
        let [x, y, width, height] = ["x", "y", "width", "height"].map(|name| widget[name].as_u64().unwrap());
        assert!(x + width <= 24 && width > 0 && height > 0, "{widget}");
        let cells = (x..x + width).flat_map(|column| (y..y + height).map(move |row| (column, row)));
        assert!(cells.into_iter().all(|cell| taken.insert(cell)), "it lies on another widget: {widget}");
    }
}
