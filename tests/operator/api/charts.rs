//! What is measured, for charts.

use std::time::Duration;

use integration_tests::App;
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
