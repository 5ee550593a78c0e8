use super::*;
use serde_json::json;

fn alarm(properties: Value) -> Result<Alarm, String> {
    read(&Resource { name: "A".into(), kind: String::new(), properties })
}

fn simple(change: &[(&str, Value)]) -> Result<Alarm, String> {
    let mut properties = json!({
        "AlarmName": "stack-a", "AlarmDescription": "d", "Namespace": "n", "MetricName": "m", "Statistic": "Sum",
        "Period": 60, "EvaluationPeriods": 2, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 2,
        "TreatMissingData": "notBreaching",
    });
    for (name, value) in change {
        properties[name] = value.clone();
    }
    alarm(properties)
}

fn captured(per_minute: &[&[f64]]) -> Captured {
    let mut captured = Captured::default();
    for (at, values) in (0_i64..).step_by(60_000).zip(per_minute) {
        for value in *values {
            captured.samples.add(Series::new("n", "m", &[]), at, *value);
        }
    }
    captured
}

fn states(alarm: &Alarm, captured: &Captured, minutes: i64) -> String {
    let letter = |(_, state)| match state {
        State::Ok => 'o',
        State::Alarm => 'A',
        State::InsufficientData => '?',
    };
    alarm.states(captured, &[], 0, minutes * 60_000).into_iter().map(letter).collect()
}

#[test]
fn it_fires_when_every_period_breaches_and_is_over_when_one_does_not() {
    let captured = captured(&[&[1.0, 1.0], &[2.0, 1.0], &[3.0], &[3.0], &[0.0], &[3.0]]);
    assert_eq!(states(&simple(&[]).unwrap(), &captured, 6), "ooAAoo");
    assert_eq!(states(&simple(&[("DatapointsToAlarm", json!(1))]).unwrap(), &captured, 6), "oAAAAA");
    assert_eq!(states(&simple(&[("ComparisonOperator", json!("LessThanThreshold"))]).unwrap(), &captured, 6), "oooooo");
}

#[test]
fn a_longer_period_moves_with_each_minute() {
    let captured = captured(&[&[1.0], &[1.0], &[1.0], &[0.0], &[0.0]]);
    let alarm = simple(&[("Period", json!(180)), ("EvaluationPeriods", json!(1))]).unwrap();
    assert_eq!(states(&alarm, &captured, 5), "ooAoo");
}

#[test]
fn silence_fires_only_when_it_is_treated_as_breaching_and_sooner_when_it_is_filled() {
    let captured = captured(&[&[3.0], &[3.0], &[3.0], &[3.0]]);
    let change = |missing: &str| {
        [
            ("TreatMissingData", json!(missing)),
            ("ComparisonOperator", json!("LessThanThreshold")),
            ("Threshold", json!(1)),
        ]
    };
    assert_eq!(states(&simple(&change("notBreaching")).unwrap(), &captured, 10), "oooooooooo");
    assert_eq!(states(&simple(&change("breaching")).unwrap(), &captured, 10), "oooooooAAA");
    let filled = alarm(json!({
        "AlarmName": "stack-a", "AlarmDescription": "d", "EvaluationPeriods": 2, "Threshold": 1,
        "ComparisonOperator": "LessThanThreshold", "TreatMissingData": "breaching",
        "Metrics": [
            {"Id": "w", "Expression": "FILL(m1, 0)", "ReturnData": true},
            {"Id": "m1", "ReturnData": false, "MetricStat": {"Period": 60, "Stat": "Sum", "Metric": {"Namespace": "n", "MetricName": "m"}}},
        ],
    }));
    assert_eq!(states(&filled.unwrap(), &captured, 10), "oooooAAAAA");
}

#[test]
fn what_cannot_be_an_alarm_is_refused() {
    for (name, value) in [
        ("Period", json!(61)),
        ("Period", Value::Null),
        ("Statistic", json!("Median")),
        ("ComparisonOperator", json!("IsOdd")),
        ("TreatMissingData", Value::Null),
        ("DatapointsToAlarm", json!(3)),
        ("Threshold", Value::Null),
        ("AlarmDescription", Value::Null),
    ] {
        assert!(simple(&[(name, value.clone())]).is_err(), "{name} {value}");
    }
}

#[test]
fn an_expression_uses_every_series_of_one_period() {
    let with = |expression: &str, period: i64| {
        alarm(json!({
            "AlarmName": "stack-a", "AlarmDescription": "d", "EvaluationPeriods": 1, "Threshold": 1,
            "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
            "Metrics": [
                {"Id": "w", "Expression": expression, "ReturnData": true},
                {"Id": "a", "ReturnData": false, "MetricStat": {"Period": 60, "Stat": "Sum", "Metric": {"Namespace": "n", "MetricName": "m"}}},
                {"Id": "b", "ReturnData": false, "MetricStat": {"Period": period, "Stat": "p95", "Metric": {"Namespace": "n", "MetricName": "m"}}},
            ],
        }))
    };
    assert!(with("a + b", 60).is_ok());
    assert!(with("a", 60).is_err(), "one is not used");
    assert!(with("a + b + c", 60).is_err(), "one is not there");
    assert!(with("a + b", 300).is_err(), "periods differ");
}
