//! Metrics of jobs: each is counted once, also when requests are repeated or lost.

use std::time::Duration;

use domain::policy::{Policy, PolicyFiles};
use integration_tests::Fault;
use platform::metrics::{Dimension, Metric};
use serde_json::json;

use super::{count, state, submitted, tool, unlimited};

fn reason(name: &str) -> [(Dimension, &str); 1] {
    [(Dimension::Reason, name)]
}

#[tokio::test]
async fn a_turn_counts_under_its_agent_and_the_end_of_a_conversation_under_nothing_of_its_own() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    let turn = app.new_id();
    let body = json!({"message": "[[say:hello]]", "conversation": "trip"});
    assert_eq!(alice.submit_body(&turn, &body).await.status, 202);
    assert_eq!(app.finish(&alice, &turn).await["status"], "succeeded");
    assert_eq!(app.metrics.values(Metric::ToolCalls, &tool("agent:main")), [1.0]);
    assert_eq!(app.metrics.values(Metric::ToolDuration, &tool("agent:main")).len(), 1);
    let end = alice.send("DELETE", "/v1/conversations/trip", &[], b"").await.body;
    let end = end["request_id"].as_str().unwrap().to_owned();
    assert_eq!(app.finish(&alice, &end).await["status"], "succeeded");
    assert_eq!(app.metrics.values(Metric::ToolCalls, &tool("other")), [1.0]);
    assert_eq!(app.metrics.values(Metric::ToolCalls, &tool("agent:main")), [1.0]);
}

#[tokio::test]
async fn a_job_counts_once_however_often_it_is_submitted_and_woken() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    for _ in 0..3 {
        assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"n"})).await.status, 200);
        app.wake(&alice, &id).await;
    }
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    app.wake(&alice, &id).await;
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
    // Unknown, and a later resolution does not count as another end.
    app.gateway().next("/tools/invoke", "reset_after", None, 1).await;
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "unknown");
    for _ in 0..3 {
        app.advance(Duration::from_secs(3600)).await;
        app.sweep().await;
        while app.deliver().await {}
    }
    assert_eq!(app.metrics.sum(Metric::JobsFinished, &state("unknown")), 1.0);
    assert_eq!(count(&app, Metric::JobsUnknown), 1.0);
    assert_eq!(app.metrics.sum(Metric::ToolFailures, &tool("ledger_append")), 1.0);
    assert_eq!((count(&app, Metric::JobsFinished), count(&app, Metric::ToolCalls)), (3.0, 3.0));
}

#[tokio::test]
async fn policy_refusals_are_counted_at_the_edge_and_by_the_worker() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    alice.submit(&app.new_id(), "exec", json!({"cmd":"x"})).await;
    alice.submit(&app.new_id(), "ledger_delete", json!({})).await;
    assert_eq!(app.metrics.values(Metric::PolicyRefusals, &reason("tool_unknown")), [1.0]);
    assert_eq!(app.metrics.values(Metric::PolicyRefusals, &reason("tool_not_opened")), [1.0]);
    assert_eq!(count(&app, Metric::JobsAccepted), 0.0);
    let forbidden = "@id(\"none\") forbid (principal, action, resource);";
    let files = PolicyFiles::built_in().with("more.cedar", forbidden);
    app.new_worker(Some(Policy::parse(&files).unwrap()));
    app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(app.metrics.values(Metric::PolicyRefusals, &reason("policy_denied")), [1.0]);
    assert_eq!(app.metrics.values(Metric::JobsFinished, &state("refused")), [1.0]);
    assert_eq!((count(&app, Metric::ToolCalls), count(&app, Metric::ToolFailures)), (1.0, 0.0));
    assert_eq!(count(&app, Metric::PolicyRefusals), 3.0);
}

#[tokio::test]
async fn two_workers_that_race_lose_one_lease_and_finish_one_job() {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    let id = submitted(&app, &alice, "ledger_append", json!({"note":"n"})).await;
    app.wake(&alice, &id).await;
    // Both have read the job before either has claimed it.
    app.faults.plan(|operation, _| (operation == "PutItem").then_some(Fault::Late));
    app.deliver().await;
    app.faults.none();
    app.finish(&alice, &id).await;
    assert_eq!((count(&app, Metric::LeaseLost), count(&app, Metric::JobsFinished)), (1.0, 1.0));
}
