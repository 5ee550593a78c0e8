//! Definitions and code name the same things: every series that an alarm or a widget names, and every log field that a
//! rule names, left the service in one run; and the platform's own are spelled as the platform does.

use std::collections::BTreeSet;

use platform::metrics::Metric;

use crate::{
    alarm::{Captured, alarms, rules},
    dashboard::{Drawn, Search, Shows, widgets},
    samples::Series,
    template::{Resource, STACK, resources},
};

/// What AWS itself measures, with its dimensions: from the services' own documentation, sorted by name.
const PLATFORM: &[(&str, &str, &[&str])] = &[
    ("AWS/Lambda", "Errors", &["FunctionName"]),
    ("AWS/Lambda", "Errors", &["ExecutedVersion", "FunctionName", "Resource"]),
    ("AWS/Lambda", "Throttles", &["FunctionName"]),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible", &["QueueName"]),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage", &["QueueName"]),
    ("AWS/ApiGateway", "5xx", &["ApiId"]),
];

/// Every series that the template names, and the alarm or widget that names it.
fn named(resources: &[Resource]) -> Vec<(String, Series)> {
    let alarms = alarms(resources).into_iter().flat_map(|alarm| {
        let claim = alarm.claim;
        alarm.queries.into_values().map(move |query| (claim.clone(), query.series))
    });
    let widgets = widgets(resources).into_iter().flat_map(|widget| match widget.shows {
        Shows::Metrics { lines, .. } => lines
            .into_iter()
            .filter_map(|line| match line {
                Drawn::Line { query, .. } => Some((widget.title.clone(), query.series)),
                Drawn::Search(_) => None,
            })
            .collect(),
        _ => Vec::new(),
    });
    alarms.chain(widgets).collect()
}

fn searches(resources: &[Resource]) -> Vec<Search> {
    let metrics = widgets(resources).into_iter().filter_map(|widget| match widget.shows {
        Shows::Metrics { lines, .. } => Some(lines),
        _ => None,
    });
    let search = |line| match line {
        Drawn::Search(search) => Some(search),
        Drawn::Line { .. } => None,
    };
    metrics.flatten().filter_map(search).collect()
}

/// Fails unless the run has emitted everything that the template watches.
pub(crate) fn all_seen(captured: &Captured) {
    let resources = resources();
    let seen: BTreeSet<&Series> = captured.samples.series().collect();
    for (who, series) in named(&resources).iter().filter(|(_, series)| series.namespace == STACK) {
        assert!(seen.contains(series), "{who} watches what was not measured: {series:?}");
    }
    for search in searches(&resources) {
        assert!(!search.finds(captured).is_empty(), "{search:?} finds nothing");
    }
    for rule in rules(&resources) {
        let lines = || captured.lines.iter().filter(|line| rule.groups.contains(&line.group));
        for field in rule.fields() {
            assert!(lines().any(|line| !line.fields[field].is_null()), "{}: no line has {field}", rule.name);
        }
        assert!(!rule.contributors(&captured.lines, 0, i64::MAX).is_empty(), "{} has no contributors", rule.name);
    }
}

#[test]
fn every_metric_of_ours_is_in_the_list_under_that_set_of_dimensions() {
    let resources = resources();
    let own = named(&resources).into_iter().filter(|(_, series)| series.namespace == STACK);
    let searched = searches(&resources).into_iter().map(|search| {
        let dimensions = [(search.dimension.as_str(), "any")];
        (search.metric.clone(), Series::new(&search.namespace, &search.metric, &dimensions))
    });
    for (who, series) in own.chain(searched) {
        assert_eq!(series.namespace, STACK, "{who}");
        let metric = Metric::ALL.iter().find(|metric| metric.name() == series.metric);
        let metric = metric.unwrap_or_else(|| panic!("{who}: no metric {}", series.metric));
        let names: BTreeSet<&str> = series.dimensions.keys().map(String::as_str).collect();
        let published =
            metric.dimension_sets().iter().any(|set| set.iter().map(|d| d.name()).collect::<BTreeSet<_>>() == names);
        assert!(published, "{who}: {} is not published by {names:?}", series.metric);
    }
}

#[test]
fn what_the_platform_measures_is_spelled_as_it_does_and_names_a_resource() {
    let resources = resources();
    for (who, series) in named(&resources).into_iter().filter(|(_, series)| series.namespace != STACK) {
        let names: Vec<&str> = series.dimensions.keys().map(String::as_str).collect();
        let known = PLATFORM.contains(&(series.namespace.as_str(), series.metric.as_str(), names.as_slice()));
        assert!(known, "{who}: {series:?}");
        for value in series.dimensions.values() {
            let name = value.split(['.', ':']).next().unwrap();
            assert!(resources.iter().any(|resource| resource.name == name), "{who}: no resource {value}");
        }
    }
}

#[test]
fn rules_look_at_fields_that_log_lines_may_have_and_at_log_groups_of_the_template() {
    let resources = resources();
    for rule in rules(&resources) {
        for field in rule.fields() {
            assert!(platform::telemetry::FIELDS.contains(&field), "{}: {field}", rule.name);
        }
        for group in &rule.groups {
            let log_group = |r: &Resource| r.name == *group && r.kind == "AWS::Logs::LogGroup";
            assert!(resources.iter().any(log_group), "{}: {group}", rule.name);
        }
    }
}

#[test]
fn the_dashboard_shows_every_alarm_that_notifies_and_every_rule() {
    let resources = resources();
    let (mut shown, mut counted) = (BTreeSet::new(), BTreeSet::new());
    for widget in widgets(&resources) {
        match widget.shows {
            Shows::Alarms(arns) => shown.extend(arns),
            Shows::Rule { rule, .. } => _ = counted.insert(rule),
            Shows::Text(_) | Shows::Metrics { .. } => {}
        }
    }
    let arn = |claim: &str| format!("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{STACK}-{claim}");
    let notifying = alarms(&resources).into_iter().filter(|alarm| !alarm.notifies.is_empty());
    assert_eq!(shown, notifying.map(|alarm| arn(&alarm.claim)).collect());
    assert_eq!(counted, rules(&resources).into_iter().map(|rule| rule.name).collect());
}

#[test]
fn every_alarm_notifies_people_and_nothing_else() {
    for alarm in alarms(&resources()) {
        // Only CodeDeploy listens to these.
        if alarm.claim.ends_with("Rollback") {
            assert!(alarm.notifies.is_empty(), "{}", alarm.claim);
            continue;
        }
        assert_eq!(alarm.notifies, ["AlarmTopic"], "{}", alarm.claim);
    }
}
