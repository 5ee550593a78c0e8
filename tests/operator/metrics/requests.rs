//! What is measured of requests: once each, by function, route and code.

use std::time::Duration;

use domain::limits::Rate;
use integration_tests::{App, Fault, Setup};
use platform::metrics::{Dimension, Metric};
use serde_json::{Value, json};

use super::{count, unlimited};

const EDGE: (Dimension, &str) = (Dimension::Function, "edge-auth");
const STATUS: (Dimension, &str) = (Dimension::Function, "status");
const SUBMIT: (Dimension, &str) = (Dimension::Route, "POST /v1/jobs");

#[tokio::test]
async fn a_request_is_counted_by_function_and_route_and_a_rejection_by_its_code() {
    let app = unlimited().await;
    let alice = app.login("alice").await;
    alice.get("/v1/tools").await;
    alice.get("/v1/jobs/none").await;
    app.anonymous().get("/v1/jobs").await;
    alice.get("/v1/nowhere").await;
    alice.send("PATCH", "/v1/jobs", &[], b"").await;
    let large = vec![b'x'; 40_000];
    alice.send("POST", "/v1/jobs", &[("idempotency-key", &app.new_id())], &large).await;
    let sum = |metric, dimensions: &[(Dimension, &str)]| app.metrics.sum(metric, dimensions);
    assert_eq!(sum(Metric::Requests, &[EDGE, (Dimension::Route, "POST /v1/sessions")]), 1.0);
    assert_eq!(sum(Metric::Requests, &[EDGE, SUBMIT]), 1.0);
    assert_eq!(sum(Metric::Requests, &[EDGE]), 2.0);
    assert_eq!(sum(Metric::Requests, &[STATUS]), 3.0);
    let local = [(Dimension::Function, "local"), (Dimension::Route, "other")];
    assert_eq!(sum(Metric::Requests, &local), 2.0, "what no function answers");
    for (code, times) in [("not_found", 2.0), ("no_session", 1.0), ("method_not_allowed", 1.0), ("body_too_large", 1.0)]
    {
        assert_eq!(sum(Metric::Rejections, &[(Dimension::Code, code)]), times, "{code}");
    }
    assert_eq!(count(&app, Metric::Rejections), 5.0);
    assert_eq!(app.metrics.values(Metric::RequestErrors, &[STATUS]), [0.0, 0.0, 0.0], "said to be none");
    assert_eq!(app.metrics.values(Metric::RequestDuration, &[STATUS]).len(), 3);
    let payloads = app.metrics.values(Metric::PayloadBytes, &[]);
    assert_eq!(payloads.len(), 2, "the login's and the one over the cap");
    assert_eq!(payloads[1], 40_000.0);
}

#[tokio::test]
async fn an_error_of_the_service_counts_and_a_probe_that_reports_not_ready_does_not() {
    let app = unlimited().await;
    let alice = app.login("alice").await;
    assert_eq!(alice.get("/readyz").await.status, 503, "no sweep has run");
    let route = |name| [STATUS, (Dimension::Route, name)];
    assert_eq!(app.metrics.values(Metric::RequestErrors, &route("GET /readyz")), [0.0]);
    app.faults.plan(|operation, _| (operation == "Query").then_some(Fault::LostBefore));
    assert_eq!(alice.get("/v1/jobs").await.status, 503);
    assert_eq!(app.metrics.values(Metric::RequestErrors, &route("GET /v1/jobs")), [1.0]);
    assert_eq!(app.metrics.sum(Metric::RequestErrors, &[STATUS]), 1.0);
    assert_eq!(count(&app, Metric::Rejections), 0.0);
}

#[tokio::test]
async fn each_login_has_an_outcome() {
    let app = unlimited().await;
    for code in ["dev-alice", "dev-bob", "made-up", "dev-blocked", "dev-busy", ""] {
        app.log_in_with(code).await;
    }
    let document: Value = serde_json::from_slice(&std::fs::read(&app.secrets_file).unwrap()).unwrap();
    let text = document.to_string();
    let secret = document["wechat"]["app_secrets"][0].as_str().unwrap();
    std::fs::write(&app.secrets_file, text.replace(secret, "00000000000000000000000000000000")).unwrap();
    app.clock.advance(Duration::from_secs(301));
    assert_eq!(app.log_in_with("dev-alice").await.status, 500);
    for (outcome, times) in [("ok", 2.0), ("refused", 3.0), ("unavailable", 1.0), ("misconfigured", 1.0)] {
        assert_eq!(app.metrics.sum(Metric::Logins, &[(Dimension::Outcome, outcome)]), times, "{outcome}");
    }
}

#[tokio::test]
async fn what_limits_refuse_is_counted_as_limited() {
    let edge =
        |edge: &mut platform::config::EdgeAuthConfig| edge.limits.submissions = Rate::new(Duration::from_secs(60), 2);
    let app = App::with(Setup { edge, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    for _ in 0..5 {
        alice.submit(&app.new_id(), "ledger_read", json!({})).await;
    }
    assert_eq!((count(&app, Metric::JobsAccepted), count(&app, Metric::RateLimited)), (2.0, 3.0));
    assert_eq!(app.metrics.sum(Metric::Rejections, &[(Dimension::Code, "rate_limited")]), 3.0);
}
