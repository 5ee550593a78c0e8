//! The service mode through the API: what each mode permits, what users see, and what applies when it cannot be
//! read.

use std::time::Duration;

use domain::access::service_mode::Mode;
use integration_tests::{App, Client, Fault, Setup};
use platform::metrics::Metric;
use serde_json::{Value, json};
use service::controls;

mod destructive;
mod fault_watch;
mod stored;

/// Outcome of a call: the code of its refusal, the final state of its job, or `awaiting_approval`.
async fn outcome(app: &mut App, client: &Client, tool: &str, arguments: Value) -> String {
    app.advance(Duration::from_secs(1)).await; // within the user's rate
    let id = app.new_id();
    let reply = client.submit(&id, tool, arguments).await;
    if reply.status == 403 {
        assert_eq!(client.get(&format!("/v1/jobs/{id}")).await.status, 404, "a refused call leaves no job");
        return reply.code().to_owned();
    }
    assert_eq!(reply.status, 202, "{}", reply.body);
    let status = |job: &Value| job["status"].as_str().unwrap_or_default().to_owned();
    if status(&reply.body) == "awaiting_approval" {
        return status(&reply.body);
    }
    let ended = status(&app.finish(client, &id).await);
    assert_eq!(app.effects(&id) > 0, ended == "succeeded" && tool != "ledger_read", "{tool} {ended}");
    ended
}

/// Sets the mode, and lets every function see it.
async fn in_mode(app: &mut App, mode: Mode) {
    app.mode(mode).await;
    app.advance(controls::MAX_AGE).await;
}

/// How a write that has not begun ends in each lower mode.
const LOWERED: [(Mode, &str, &str); 3] = [
    (Mode::ReadOnly, "refused", "mode_read_only"),
    (Mode::ExplainOnly, "explained", "mode_explain_only"),
    (Mode::Closed, "refused", "mode_closed"),
];

#[tokio::test]
async fn each_mode_lets_through_what_it_says() {
    let (mut app, alice) = App::start_with("alice").await;
    app.open_tool("ledger_delete", 60).await;
    app.checkpoint(true).await;
    for (mode, read, write, destructive) in [
        (Mode::Closed, "mode_closed", "mode_closed", "mode_closed"),
        (Mode::ExplainOnly, "explained", "explained", "explained"),
        (Mode::ReadOnly, "succeeded", "mode_read_only", "mode_read_only"),
        (Mode::Full, "succeeded", "succeeded", "awaiting_approval"),
    ] {
        in_mode(&mut app, mode).await;
        assert_eq!(outcome(&mut app, &alice, "ledger_read", json!({})).await, read, "{mode:?}");
        assert_eq!(outcome(&mut app, &alice, "ledger_append", json!({"note":"n"})).await, write, "{mode:?}");
        assert_eq!(outcome(&mut app, &alice, "ledger_delete", json!({})).await, destructive, "{mode:?}");
        // A call that policy forbids to everyone is refused, not explained.
        let dear = outcome(&mut app, &alice, "ledger_pay", json!({"amount":10_001,"note":"n"})).await;
        let denied = match mode {
            Mode::Closed => "mode_closed",
            Mode::ReadOnly => "mode_read_only",
            Mode::ExplainOnly | Mode::Full => "policy_denied",
        };
        assert_eq!(dear, denied, "{mode:?}");
    }
}

#[tokio::test]
async fn one_tool_is_switched_without_the_others() {
    let (mut app, alice) = App::start_with("alice").await;
    for (mode, write) in [
        (Mode::Closed, "tool_closed"),
        (Mode::ExplainOnly, "explained"),
        (Mode::ReadOnly, "mode_read_only"),
        (Mode::Full, "succeeded"),
    ] {
        app.switch_tool("ledger_append", mode).await;
        app.advance(controls::MAX_AGE).await;
        assert_eq!(outcome(&mut app, &alice, "ledger_append", json!({"note":"n"})).await, write, "{mode:?}");
        assert_eq!(outcome(&mut app, &alice, "ledger_append_once", json!({"note":"n"})).await, "succeeded");
    }
    app.switch_tool("ledger_read", Mode::Closed).await;
    app.advance(controls::MAX_AGE).await;
    assert_eq!(outcome(&mut app, &alice, "ledger_read", json!({})).await, "tool_closed");
}

#[tokio::test]
async fn the_weaker_of_the_services_mode_and_the_tools_holds() {
    let (mut app, alice) = App::start_with("alice").await;
    for (service, tool, expected) in [
        (Mode::ReadOnly, Mode::Full, "mode_read_only"),
        (Mode::ExplainOnly, Mode::Full, "explained"),
        (Mode::Closed, Mode::Full, "mode_closed"),
        (Mode::ExplainOnly, Mode::Closed, "tool_closed"),
        (Mode::Closed, Mode::Closed, "mode_closed"),
        (Mode::ReadOnly, Mode::ExplainOnly, "explained"),
    ] {
        app.switch_tool("ledger_append", tool).await;
        in_mode(&mut app, service).await;
        let got = outcome(&mut app, &alice, "ledger_append", json!({"note":"n"})).await;
        assert_eq!(got, expected, "{service:?} {tool:?}");
    }
}

#[tokio::test]
async fn a_table_in_which_no_mode_was_set_is_read_only_and_says_so() {
    let mut app = App::with(Setup { mode: None, ..Setup::default() }).await;
    let _listening = app.metrics.listen();
    let alice = app.login("alice").await;
    assert_eq!(outcome(&mut app, &alice, "ledger_read", json!({})).await, "succeeded");
    assert_eq!(outcome(&mut app, &alice, "ledger_append", json!({"note":"n"})).await, "mode_read_only");
    assert!(app.metrics.logs().iter().any(|(_, line)| line["code"] == "mode_missing"));
    // The first day has no alarms: nothing is measured of what is not in service yet.
    app.sweep().await;
    let measured = |app: &App, metric| app.metrics.values(metric, &[]).len();
    let silent = [Metric::Mode, Metric::GatewayReady, Metric::CheckpointAge, Metric::CheckpointFailures];
    assert_eq!(silent.map(|metric| measured(&app, metric)), [0; 4]);
    assert_eq!((measured(&app, Metric::SweepRuns), measured(&app, Metric::ControlsUnreadable)), (1, 0));
    // A switch of a tool holds before any mode is set.
    app.switch_tool("ledger_read", Mode::Closed).await;
    app.advance(controls::MAX_AGE).await;
    assert_eq!(outcome(&mut app, &alice, "ledger_read", json!({})).await, "tool_closed");
}

#[tokio::test]
async fn a_mode_that_cannot_be_read_is_read_only_whatever_it_was_a_moment_ago() {
    let mut app = App::start().await;
    let _listening = app.metrics.listen();
    let alice = app.login("alice").await;
    assert_eq!(outcome(&mut app, &alice, "ledger_append", json!({"note":"n"})).await, "succeeded");
    app.faults.plan_items(|operation, key| (operation == "Query" && key == "LADDER#").then_some(Fault::Quoted));
    app.advance(controls::MAX_AGE).await;
    assert_eq!(outcome(&mut app, &alice, "ledger_append", json!({"note":"n"})).await, "mode_read_only");
    assert_eq!(outcome(&mut app, &alice, "ledger_read", json!({})).await, "succeeded");
    let ready = app.anonymous().get("/readyz").await;
    assert_eq!(ready.body["mode"], "read_only", "{}", ready.body);
    assert!(app.metrics.sum(Metric::ControlsUnreadable, &[]) > 0.0);
    assert!(app.metrics.logs().iter().any(|(_, line)| line["code"] == "mode_unreadable"));
    app.faults.none();
    app.advance(controls::RETRY_AFTER).await;
    assert_eq!(outcome(&mut app, &alice, "ledger_append", json!({"note":"n"})).await, "succeeded");
}

#[tokio::test]
async fn what_was_closed_stays_closed_while_the_mode_cannot_be_read() {
    for (service, tool, read) in [(Mode::Closed, Mode::Full, "mode_closed"), (Mode::Full, Mode::Closed, "tool_closed")]
    {
        let (mut app, alice) = App::start_with("alice").await;
        app.mode(service).await;
        app.switch_tool("ledger_read", tool).await;
        assert_eq!(outcome(&mut app, &alice, "ledger_read", json!({})).await, read);
        app.faults.plan_items(|operation, key| (operation == "Query" && key == "LADDER#").then_some(Fault::Quoted));
        app.advance(controls::MAX_AGE).await;
        assert_eq!(outcome(&mut app, &alice, "ledger_read", json!({})).await, read, "{service:?} {tool:?}");
    }
}

#[tokio::test]
async fn a_change_is_acted_upon_within_five_seconds_by_edge_and_worker() {
    let (mut app, alice) = App::start_with("alice").await;
    let (before, held) = (app.new_id(), app.new_id());
    // Both functions have just read it.
    alice.submit(&before, "ledger_append", json!({"note":"n"})).await;
    app.deliver().await;
    alice.submit(&held, "ledger_append", json!({"note":"n"})).await;
    in_mode(&mut app, Mode::ReadOnly).await;
    let late = alice.submit(&app.new_id(), "ledger_append", json!({"note":"n"})).await;
    assert_eq!(late.verdict(), (403, "mode_read_only"), "the edge");
    let job = app.finish(&alice, &held).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("refused"), &json!("mode_read_only")), "the worker");
    assert_eq!(app.effects(&held), 0);
}

#[tokio::test]
async fn a_mode_that_is_lowered_after_accept_holds_for_what_was_accepted() {
    for (mode, status, code) in LOWERED {
        let (mut app, alice) = App::start_with("alice").await;
        let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
        in_mode(&mut app, mode).await;
        let job = app.finish(&alice, &id).await;
        assert_eq!((&job["status"], &job["error"]["code"]), (&json!(status), &json!(code)), "{job}");
        assert_eq!((&job["effect"], app.effects(&id)), (&json!("not_run"), 0), "{job}");
    }
}

#[tokio::test]
async fn what_is_out_is_still_asked_for_in_any_mode() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_sleep", json!({"ms":10})).await;
    app.deliver().await;
    app.begun(&id).await;
    in_mode(&mut app, Mode::Closed).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
}

#[tokio::test]
async fn what_was_sent_and_has_not_begun_does_not_begin_in_a_lower_mode() {
    for (mode, status, code) in LOWERED {
        let (mut app, alice) = App::start_with("alice").await;
        let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
        // A proxy answers in place of the gateway, so it is unknown whether the call has arrived. It has not.
        app.gateway().next("/miniprogram/v1/invoke", "status", Some(503), 1).await;
        app.deliver().await;
        assert_eq!(alice.job(&id).await["status"], "running");
        in_mode(&mut app, mode).await;
        let job = app.finish(&alice, &id).await;
        assert_eq!((&job["status"], &job["error"]["code"]), (&json!(status), &json!(code)), "{job}");
        assert_eq!((&job["effect"], app.effects(&id)), (&json!("not_run"), 0), "{job}");
    }
}

#[tokio::test]
async fn readiness_and_the_gauge_tell_the_mode_and_a_lower_one_is_no_failure() {
    let mut app = App::start().await;
    for (mode, level) in [(Mode::ReadOnly, 2.0), (Mode::ExplainOnly, 1.0), (Mode::Closed, 0.0), (Mode::Full, 3.0)] {
        in_mode(&mut app, mode).await;
        app.metrics.clear();
        app.sweep().await;
        assert_eq!(app.metrics.values(Metric::Mode, &[]), [level], "{mode:?}");
        let ready = app.anonymous().get("/readyz").await;
        assert_eq!((ready.status.as_u16(), &ready.body["mode"]), (200, &json!(mode.name())), "{}", ready.body);
    }
}
