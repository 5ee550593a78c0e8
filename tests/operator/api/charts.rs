//! The data of the charts.

use std::{sync::Arc, time::Duration};

use integration_tests::{App, CloudWatch};
use local::emulation::api_gateway::Functions;
use operator::Operator;
use platform::runtime::Clock;
use serde_json::{Value, json};

use super::list;

fn line<'a>(body: &'a Value, name: &str, label: &str) -> Option<&'a Vec<Value>> {
    let series = list(body, "series").iter().find(|series| series["name"] == name && series["label"] == label);
    series.map(|series| list(series, "points"))
}

fn sum(points: &[Value]) -> f64 {
    points.iter().map(|point| point[1].as_f64().unwrap()).sum()
}

#[tokio::test]
async fn rate_percentile_refusals_and_failures_are_drawn_from_what_happened() {
    let mut app = App::start().await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["viewer"]));
    app.run(&alice, "ledger_fail", json!({"kind": "throw"})).await;
    alice.submit(&app.new_id(), "ledger_pay", json!({"amount": 10_001, "note": "a car"})).await;
    let body = zhang.get("/metrics?minutes=30").await.body;
    assert_eq!(body["step_s"], 15);
    for function in ["edge-auth", "status"] {
        assert!(sum(line(&body, "requests", function).unwrap()) >= 1.0, "{function}: {body}");
        assert!(!line(&body, "p95_ms", function).unwrap().is_empty());
    }
    assert!((sum(line(&body, "failures", "ledger_fail").unwrap()) - 1.0).abs() < 0.01, "{body}");
    assert!((sum(line(&body, "refusals", "policy_denied").unwrap()) - 1.0).abs() < 0.01, "{body}");
    let requests = line(&body, "requests", "edge-auth").unwrap();
    assert_eq!(requests.len(), 121, "half an hour of fifteen seconds, and now");
    assert!(requests.windows(2).all(|two| two[1][0].as_i64().unwrap() - two[0][0].as_i64().unwrap() == 15));
    let hours = zhang.get("/metrics?minutes=180").await.body;
    assert_eq!((hours["step_s"].as_u64(), line(&hours, "requests", "edge-auth").unwrap().len()), (Some(60), 181));
    app.clock.advance(Duration::from_secs(600));
    let later = app.operator("zhang", &["viewer"]).get("/metrics?minutes=1").await.body;
    assert!(line(&later, "failures", "ledger_fail").is_none(), "{later}");
    for minutes in ["0", "181", "x", "", "1.5", "-1"] {
        let reply = app.operator("zhang", &["viewer"]).get(&format!("/metrics?minutes={minutes}")).await;
        assert_eq!(reply.verdict(), (400, "parameter_invalid"), "{minutes}");
    }
}

/// An app whose operators' function is deployed as on AWS, with a fake CloudWatch.
async fn on_aws() -> (App, CloudWatch) {
    let mut app = App::start().await;
    let mut config = app.deployment.operator();
    config.metrics_namespace = Some("stack".to_owned());
    let cloudwatch = CloudWatch::beside(&mut config.table.aws).await;
    let operator = Operator::new(config, app.functions.runtime.clone()).expect("it starts");
    app.functions = Functions { operator: Arc::new(operator), ..app.functions.clone() };
    (app, cloudwatch)
}

/// The query for one series of a request, and its place in the answer.
fn query(asked: &Value, metric: &str, label: &str) -> Value {
    let is_it = |one: &&Value| {
        let metric_of = &one["MetricStat"]["Metric"];
        metric_of["MetricName"] == metric && metric_of["Dimensions"][0]["Value"] == label
    };
    list(asked, "MetricDataQueries").iter().find(is_it).expect("it is asked for").clone()
}

#[tokio::test]
async fn on_aws_charts_are_one_signed_request_for_every_series_and_counts_without_data_are_zero() {
    let (app, cloudwatch) = on_aws().await;
    app.clock.advance_to_a_minute();
    let now = app.clock.now().seconds_floor();
    let minute = now.div_euclid(60) * 60;
    cloudwatch.answer(move |asked| {
        let id = |metric: &str, label: &str| query(asked, metric, label)["Id"].clone();
        let series = [
            // Newest first, and epoch seconds with a fraction: so CloudWatch answers.
            json!({"Id": id("Invocations", "stack-edge-auth"), "Label": "edge-auth", "StatusCode": "Complete",
                "Timestamps": [minute as f64, (minute - 120) as f64], "Values": [3.0, 4.0]}),
            json!({"Id": id("Duration", "stack-status"), "Timestamps": [minute - 60], "Values": [12.5]}),
            json!({"Id": id("policy_refusals", "policy_denied"), "Timestamps": [], "Values": []}),
            json!({"Id": "q99999", "Timestamps": [minute], "Values": [1.0]}),
        ];
        (200, json!({"MetricDataResults": series, "Messages": []}).to_string())
    });
    let body = app.operator("zhang", &["viewer"]).get("/metrics?minutes=5").await.body;
    assert_eq!(body["step_s"], 60);
    let requests = line(&body, "requests", "edge-auth").unwrap();
    let expected: Vec<Value> = (0..=5).rev().map(|back| json!([minute - back * 60, 0.0])).collect();
    let mut expected = expected;
    (expected[3], expected[5]) = (json!([minute - 120, 4.0]), json!([minute, 3.0]));
    assert_eq!(*requests, expected);
    assert_eq!(*line(&body, "p95_ms", "status").unwrap(), [json!([minute - 60, 12.5])]);
    assert_eq!(list(&body, "series").len(), 2, "no series without data: {body}");

    let [asked] = cloudwatch.asked().try_into().expect("one request");
    let (from, to) = (asked["StartTime"].as_i64().unwrap(), asked["EndTime"].as_i64().unwrap());
    assert!((now..now + 60).contains(&to) && to - from == 300, "{from} to {to}");
    let stat = &query(&asked, "Duration", "stack-operator")["MetricStat"];
    let metric = json!({"Namespace": "AWS/Lambda", "MetricName": "Duration",
        "Dimensions": [{"Name": "FunctionName", "Value": "stack-operator"}]});
    assert_eq!(*stat, json!({"Metric": metric, "Period": 60, "Stat": "p95"}));
    let stat = &query(&asked, "tool_failures", "ledger_pay")["MetricStat"];
    assert_eq!((&stat["Metric"]["Namespace"], &stat["Stat"]), (&json!("stack"), &json!("Sum")));
    assert_eq!(cloudwatch.operations(), ["GetMetricData"]);
    cloudwatch.stop().await;
}

#[tokio::test]
async fn a_cloudwatch_that_fails_is_asked_twice_and_its_refusal_is_not_repeated() {
    let (app, cloudwatch) = on_aws().await;
    let zhang = app.operator("zhang", &["viewer"]);
    let denied = json!({"__type": "com.amazonaws#AccessDenied", "message": "User: arn:..."}).to_string();
    for (status, text, requests) in [
        (500, "{}".to_owned(), 2),
        (400, denied, 1),
        (200, "no JSON".to_owned(), 1),
        (200, " ".repeat(5 * 1024 * 1024), 1),
        (302, String::new(), 1),
    ] {
        cloudwatch.answer(move |_| (status, text.clone()));
        assert_eq!(zhang.get("/metrics").await.verdict(), (503, "unavailable"), "{status}");
        assert_eq!(cloudwatch.asked().len(), requests, "{status}");
    }
    let mut before = 0;
    cloudwatch.answer(move |_| {
        before += 1;
        if before == 1 { (503, String::new()) } else { (200, json!({"MetricDataResults": []}).to_string()) }
    });
    assert_eq!(zhang.get("/metrics").await.status, 200, "a failure that passes is not seen");
    cloudwatch.stop().await;
    assert_eq!(zhang.get("/metrics").await.verdict(), (503, "unavailable"), "nothing listens");
}
