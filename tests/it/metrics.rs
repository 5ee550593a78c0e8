//! What is measured, of every kind of flow: once, with the right dimensions, and none of them a client's.

use std::{collections::BTreeSet, time::Duration};

use integration_tests::{App, Client, Fault, Setup, app::AFTER_A_CRASH};
use serde_json::{Value, json};
use shared::{
    catalogue::Catalogue,
    http::Code,
    metrics::{Dimension, Metric},
    rate_limit::Rate,
};

const EDGE: (Dimension, &str) = (Dimension::Function, "edge-auth");
const STATUS: (Dimension, &str) = (Dimension::Function, "status");
const SUBMIT: (Dimension, &str) = (Dimension::Route, "POST /v1/jobs");

fn state(name: &str) -> [(Dimension, &str); 1] {
    [(Dimension::State, name)]
}

fn tool(name: &str) -> [(Dimension, &str); 1] {
    [(Dimension::Tool, name)]
}

fn reason(name: &str) -> [(Dimension, &str); 1] {
    [(Dimension::Reason, name)]
}

async fn unlimited() -> App {
    let edge = |edge: &mut shared::config::EdgeAuthConfig| {
        edge.limits.submissions = Rate::new(Duration::from_millis(1), 1000);
        edge.login_rate = Rate::new(Duration::from_millis(1), 1000);
    };
    App::with(Setup { edge, ..Setup::default() }).await
}

async fn submitted(app: &App, alice: &Client, tool: &str, arguments: Value) -> String {
    let id = app.new_id();
    assert_eq!(alice.submit(&id, tool, arguments).await.status, 202);
    id
}

fn count(app: &App, metric: Metric) -> f64 {
    app.metrics.sum(metric, &[])
}

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
    app.stop().await;
}

#[tokio::test]
async fn an_error_of_the_service_is_one_and_a_probe_that_is_told_the_truth_is_none() {
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
    app.stop().await;
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
    app.stop().await;
}

#[tokio::test]
async fn a_job_counts_once_however_often_it_is_submitted_and_rung() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    for _ in 0..3 {
        assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"n"})).await.status, 200);
        app.ring(&alice, &id).await;
    }
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    app.ring(&alice, &id).await;
    while app.deliver().await {}
    assert_eq!((count(&app, Metric::JobsAccepted), count(&app, Metric::JobsReplayed)), (1.0, 3.0));
    assert_eq!(app.metrics.values(Metric::JobsFinished, &state("succeeded")), [1.0]);
    assert_eq!(app.metrics.values(Metric::JobsFinished, &[]), [1.0]);
    assert_eq!(app.metrics.values(Metric::JobAttempts, &[]), [1.0]);
    assert_eq!(app.metrics.values(Metric::JobDuration, &[]).len(), 1);
    for dimensions in [&tool("ledger_append")[..], &[]] {
        assert_eq!(app.metrics.values(Metric::ToolCalls, dimensions), [1.0]);
        assert_eq!(app.metrics.values(Metric::ToolFailures, dimensions), [0.0]);
        assert_eq!(app.metrics.values(Metric::ToolDuration, dimensions).len(), 1);
    }
    assert_eq!(app.metrics.values(Metric::ClaimDelay, &[]).len(), 1);
    assert!(app.metrics.sum(Metric::GatewayAnswers, &[(Dimension::Status, "200")]) >= 1.0);
    assert_eq!(count(&app, Metric::GatewayFailures), 0.0);
    app.stop().await;
}

#[tokio::test]
async fn a_job_whose_requests_are_repeated_one_by_one_counts_once_each_time() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    let mut jobs = 0.0;
    for tool in ["ledger_append", "ledger_read"] {
        for place in 0..14 {
            for fault in [Fault::LostAfter, Fault::Twice] {
                app.faults.plan(move |_, number| (number == place).then_some(fault));
                let arguments = if tool == "ledger_read" { json!({}) } else { json!({"note":"n"}) };
                app.run(&alice, tool, arguments).await;
                jobs += 1.0;
                let all =
                    [Metric::JobsAccepted, Metric::JobsFinished, Metric::ToolCalls].map(|metric| count(&app, metric));
                assert_eq!(all, [jobs; 3], "{tool} {place} {fault:?}");
            }
        }
    }
    assert_eq!(app.metrics.sum(Metric::ToolCalls, &tool("ledger_read")), 28.0);
    assert_eq!(app.metrics.sum(Metric::JobsFinished, &state("succeeded")), jobs);
    app.stop().await;
}

#[tokio::test]
async fn what_limits_refuse_is_counted_as_limited() {
    let edge =
        |edge: &mut shared::config::EdgeAuthConfig| edge.limits.submissions = Rate::new(Duration::from_secs(60), 2);
    let app = App::with(Setup { edge, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    for _ in 0..5 {
        alice.submit(&app.new_id(), "ledger_read", json!({})).await;
    }
    assert_eq!((count(&app, Metric::JobsAccepted), count(&app, Metric::RateLimited)), (2.0, 3.0));
    assert_eq!(app.metrics.sum(Metric::Rejections, &[(Dimension::Code, "rate_limited")]), 3.0);
    app.stop().await;
}

#[tokio::test]
async fn ends_that_are_no_success_are_counted_by_their_state() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    // Cancelled at the edge: no worker ever sees it end.
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(alice.cancel(&id).await.status, 200);
    assert_eq!(alice.cancel(&id).await.status, 200);
    while app.deliver().await {}
    assert_eq!(app.metrics.values(Metric::JobsFinished, &state("cancelled")), [1.0]);
    assert_eq!(app.metrics.values(Metric::JobAttempts, &[]), [0.0]);
    assert_eq!(app.metrics.values(Metric::ToolFailures, &[]), [0.0], "it never ran");
    assert_eq!(app.metrics.values(Metric::ToolDuration, &[]), [0.0; 0]);
    // Failed.
    app.run(&alice, "ledger_fail", json!({"kind":"throw"})).await;
    assert_eq!(app.metrics.sum(Metric::JobsFinished, &state("failed")), 1.0);
    assert_eq!(app.metrics.sum(Metric::ToolFailures, &tool("ledger_fail")), 1.0);
    // Unknown, and what is learnt later does not end it again.
    app.gateway().next("/tools/invoke", "reset_after", None, 1).await;
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "unknown");
    for _ in 0..3 {
        app.advance(Duration::from_secs(3600)).await;
        app.sweep().await;
        while app.deliver().await {}
    }
    assert_eq!(app.metrics.sum(Metric::JobsFinished, &state("unknown")), 1.0);
    assert_eq!(app.metrics.sum(Metric::ToolFailures, &tool("ledger_append")), 1.0);
    assert_eq!((count(&app, Metric::JobsFinished), count(&app, Metric::ToolCalls)), (3.0, 3.0));
    app.stop().await;
}

#[tokio::test]
async fn a_gateway_that_is_down_shows_and_a_job_that_expires_is_finished() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.sweep().await;
    assert_eq!(app.metrics.values(Metric::GatewayReady, &[]), [1.0]);
    app.gateway().kill().await;
    app.gateway = None;
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "expired");
    assert_eq!(app.metrics.values(Metric::JobsFinished, &state("expired")), [1.0]);
    let unreachable = app.metrics.sum(Metric::GatewayAnswers, &[(Dimension::Status, "unreachable")]);
    assert!(unreachable >= 1.0);
    assert_eq!(count(&app, Metric::GatewayFailures), unreachable);
    app.sweep().await;
    assert_eq!(app.metrics.values(Metric::GatewayReady, &[]).last(), Some(&0.0));
    // A job that goes again and again is not overdue: a worker takes it on each time.
    assert_eq!(count(&app, Metric::SweepFailures), 0.0);
}

#[tokio::test]
async fn a_gateway_that_answers_with_a_failure_or_not_in_time_is_counted_by_what_it_said() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    for (status, name) in [(503, "503"), (401, "401"), (418, "4xx")] {
        app.gateway().next("/miniprogram/v1/invoke", "status", Some(status), 1).await;
        app.run(&alice, "ledger_append", json!({"note":"n"})).await;
        assert_eq!(app.metrics.sum(Metric::GatewayAnswers, &[(Dimension::Status, name)]), 1.0, "{name}");
    }
    app.gateway().next("/miniprogram/v1/invoke", "hang", None, 1).await;
    app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(app.metrics.sum(Metric::GatewayAnswers, &[(Dimension::Status, "timeout")]), 1.0);
    assert_eq!(count(&app, Metric::GatewayFailures), 3.0, "503, 401 and the timeout");
    let calls = app.metrics.values(Metric::GatewayFailures, &[]).len();
    assert_eq!(calls, app.metrics.values(Metric::GatewayAnswers, &[]).len());
    app.stop().await;
}

#[tokio::test]
async fn a_gateway_that_starts_again_is_counted_once_whoever_meets_it() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(count(&app, Metric::GatewayRestarts), 0.0, "the first boot is none");
    for restarts in [1.0, 2.0] {
        app.gateway().restart().await;
        for _ in 0..3 {
            app.new_worker(None);
            app.run(&alice, "ledger_append", json!({"note":"n"})).await;
        }
        assert_eq!(count(&app, Metric::GatewayRestarts), restarts);
    }
    app.stop().await;
}

#[tokio::test]
async fn policy_refusals_are_counted_at_the_edge_and_by_the_worker() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    alice.submit(&app.new_id(), "exec", json!({"cmd":"x"})).await;
    alice.submit(&app.new_id(), "ledger_delete", json!({})).await;
    assert_eq!(app.metrics.values(Metric::PolicyRefusals, &reason("tool_unknown")), [1.0]);
    assert_eq!(app.metrics.values(Metric::PolicyRefusals, &reason("tool_destructive")), [1.0]);
    assert_eq!(count(&app, Metric::JobsAccepted), 0.0);
    let policy = integration_tests::mini_gateway::checkout().join("policy");
    let closed = std::fs::read_to_string(policy.join("tools.toml")).unwrap().replace("run_unapproved = true", "");
    let schema = |name: &str| std::fs::read(policy.join("schemas").join(name)).ok();
    app.new_worker(Some(Catalogue::parse(&closed, schema).unwrap()));
    app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(app.metrics.values(Metric::PolicyRefusals, &reason("approval_needed")), [1.0]);
    assert_eq!(app.metrics.values(Metric::JobsFinished, &state("refused")), [1.0]);
    assert_eq!((count(&app, Metric::ToolCalls), count(&app, Metric::ToolFailures)), (1.0, 0.0));
    assert_eq!(count(&app, Metric::PolicyRefusals), 3.0);
    app.stop().await;
}

#[tokio::test]
async fn two_workers_that_race_lose_one_lease_and_finish_one_job() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    app.ring(&alice, &id).await;
    // Both have read the job before either has claimed it.
    app.faults.plan(|operation, _| (operation == "PutItem").then_some(Fault::Late));
    app.deliver().await;
    app.faults.none();
    app.finish(&alice, &id).await;
    assert_eq!((count(&app, Metric::LeaseLost), count(&app, Metric::JobsFinished)), (1.0, 1.0));
    app.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_rung_or_recorded_is_counted() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    app.put_on_queue("no job").await;
    app.deliver().await;
    assert_eq!(count(&app, Metric::UndecodableMessages), 1.0);
    // A bell at the edge, and one of the sweep.
    app.faults.plan(|operation, _| (operation == "SendMessage").then_some(Fault::LostBefore));
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(count(&app, Metric::RingFailures), 1.0);
    app.advance(AFTER_A_CRASH).await;
    app.sweep().await;
    assert_eq!((count(&app, Metric::RingFailures), count(&app, Metric::SweepFailures)), (2.0, 1.0));
    app.faults.none();
    // The record of an acceptance, of an intent, of a cancel.
    let no_audit =
        |operation: &str, key: &str| (operation == "PutItem" && key.starts_with("A#")).then_some(Fault::LostBefore);
    app.faults.plan_items(no_audit);
    assert_eq!(alice.submit(&app.new_id(), "ledger_append", json!({"note":"n"})).await.status, 503);
    assert_eq!(count(&app, Metric::AuditWriteFailures), 1.0);
    app.ring(&alice, &id).await;
    app.deliver().await;
    assert_eq!(count(&app, Metric::AuditWriteFailures), 2.0);
    app.faults.none();
    app.advance(AFTER_A_CRASH).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    app.faults.plan_items(no_audit);
    assert_eq!(alice.cancel(&id).await.status, 503);
    assert_eq!(count(&app, Metric::AuditWriteFailures), 3.0);
    assert_eq!(app.metrics.sum(Metric::JobsFinished, &state("cancelled")), 0.0);
    app.stop().await;
}

#[tokio::test]
async fn what_is_overdue_is_so_until_a_worker_takes_it_on_however_rarely_it_is_rung() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    let last = |app: &App, metric| app.metrics.values(metric, &[]).last().copied().unwrap();
    app.sweep().await;
    assert_eq!(
        (last(&app, Metric::OpenJobs), last(&app, Metric::OverdueJobs), last(&app, Metric::OverdueAge)),
        (1.0, 0.0, 0.0)
    );
    // Nobody hears the bells.
    let mut rung = 0;
    for minutes in 1..=7_u32 {
        app.receive().await;
        app.advance(Duration::from_secs(60)).await;
        rung += app.sweep().await.rung;
        assert_eq!((last(&app, Metric::OpenJobs), last(&app, Metric::OverdueJobs)), (1.0, 1.0), "minute {minutes}");
        let age = last(&app, Metric::OverdueAge);
        assert!((f64::from(minutes * 60)..f64::from(minutes * 60 + 30)).contains(&age), "minute {minutes}: {age}");
    }
    assert!(rung < 7, "it was not rung each time");
    app.ring(&alice, &id).await;
    app.finish(&alice, &id).await;
    app.sweep().await;
    assert_eq!(
        (last(&app, Metric::OpenJobs), last(&app, Metric::OverdueJobs), last(&app, Metric::OverdueAge)),
        (0.0, 0.0, 0.0)
    );
    assert!(app.metrics.values(Metric::ClaimDelay, &[]).last().unwrap() >= &420_000.0);
    app.faults.plan(|operation, _| (operation == "Query").then_some(Fault::LostBefore));
    let (runs, counted) = (count(&app, Metric::SweepRuns), app.metrics.values(Metric::OpenJobs, &[]).len());
    app.sweep().await;
    assert_eq!((count(&app, Metric::SweepRuns), count(&app, Metric::SweepFailures)), (runs + 1.0, 1.0));
    assert_eq!(app.metrics.values(Metric::OpenJobs, &[]).len(), counted, "what is not known is not said");
    app.stop().await;
}

/// Every value that a dimension may have, from our own lists.
fn known(dimension: &str, value: &str) -> bool {
    let listed = |list: &[&str]| list.contains(&value);
    match dimension {
        "function" => listed(&["edge-auth", "worker", "status", "sweep", "local"]),
        "route" => {
            value == "other"
                || local::routes::ROUTES.iter().any(|route| value == format!("{} {}", route.method, route.path))
        }
        "code" => Code::ALL.iter().any(|code| code.text() == value),
        "outcome" => listed(&["ok", "refused", "unavailable", "misconfigured"]),
        "state" => shared::job::JobState::ALL.iter().any(|state| state.is_over() && state.name() == value),
        "tool" => value == "other" || Catalogue::built_in().unwrap().get(value).is_some(),
        "reason" => {
            listed(&["tool_unknown", "approval_needed", "tool_destructive", "arguments_invalid", "tool_changed"])
        }
        "status" => {
            listed(&["unreachable", "timeout", "2xx", "3xx", "4xx", "5xx", "other"])
                || value.parse::<u16>().is_ok_and(|status| (200..=504).contains(&status))
        }
        _ => false,
    }
}

#[tokio::test]
async fn no_dimension_has_a_value_that_a_client_made_up() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    let evil = "evil\"},{\"route\":\"x";
    for (method, path) in [
        ("GET", "/v1/evil"),
        ("GET", "/v1/jobs/evil%22"),
        ("EVIL", "/v1/jobs"),
        ("GET", "/v1/jobs/evil/audit?wait=evil&cursor=evil"),
        ("POST", "/v1/jobs/evil/cancel"),
        ("DELETE", "/evil/../v1/sessions"),
        ("GET", "/v1/jobs?limit=evil"),
        ("GET", "/healthz/evil"),
    ] {
        let headers = [("idempotency-key", evil), ("traceparent", evil), ("x-evil", evil), ("user-agent", evil)];
        alice.send(method, path, &headers, evil.as_bytes()).await;
        app.anonymous().send(method, path, &headers, evil.as_bytes()).await;
    }
    for name in [evil, "", "ledger_append ", "LEDGER_APPEND", "\u{202e}ledger", &"x".repeat(5000)] {
        alice.submit(&app.new_id(), name, json!({})).await;
        alice.submit(name.get(..40).unwrap_or("x"), "ledger_append", json!({"note":evil})).await;
        app.log_in_with(name).await;
    }
    app.put_on_queue(evil).await;
    let foreign = json!({ "user_id": alice.user_id, "request_id": app.new_id(), "traceparent": evil, "tool": evil });
    app.put_on_queue(&foreign.to_string()).await;
    app.deliver().await;
    app.run(&alice, "ledger_append", json!({"note":evil})).await;
    app.sweep().await;
    let names: BTreeSet<&str> = Dimension::ALL.iter().map(|dimension| dimension.name()).collect();
    let metrics: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    let documents = app.metrics.documents();
    assert!(documents.len() > 40);
    for document in documents {
        for (name, value) in document.as_object().unwrap() {
            if let Some(value) = value.as_str() {
                assert!(names.contains(name.as_str()) && known(name, value), "{name}={value} in {document}");
            } else {
                assert!(name == "_aws" || metrics.contains(name.as_str()), "{name} in {document}");
            }
        }
    }
    app.stop().await;
}
