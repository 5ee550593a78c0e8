//! Repetitions of idempotent writes, calls that were released, and snapshots: cases in which a wrong outcome was once
//! reported.

use std::time::Duration;

use domain::policy::{Policy, PolicyFiles};
use integration_tests::App;
use serde_json::json;

const INVOKE: &str = "/miniprogram/v1/invoke";

/// An idempotent write whose first call ran and died on the way back.
async fn repeated(app: &mut App) -> (integration_tests::Client, String) {
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let id = app.new_id();
    app.gateway().next("/tools/invoke", "reset_after", None, 1).await;
    alice.submit(&id, "ledger_append_once", json!({"note":"n"})).await;
    app.deliver().await;
    assert_eq!((alice.job(&id).await["status"].as_str(), app.effects(&id)), (Some("retrying"), 1));
    (alice, id)
}

#[tokio::test]
async fn a_repetition_that_is_cancelled_does_not_claim_that_nothing_ran() {
    let mut app = App::start().await;
    let (alice, id) = repeated(&mut app).await;
    let reply = alice.cancel(&id).await;
    assert_eq!((&reply.body["status"], &reply.body["effect"]), (&json!("cancelled"), &json!("unknown")));
}

#[tokio::test]
async fn a_repetition_that_expires_does_not_claim_that_nothing_ran() {
    let mut app = App::start().await;
    let (alice, id) = repeated(&mut app).await;
    app.advance(Duration::from_secs(2000)).await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["effect"]), (&json!("expired"), &json!("unknown")), "{job}");
}

#[tokio::test]
async fn the_last_repetition_proves_nothing_about_the_ones_before() {
    let mut app = App::start().await;
    let (alice, id) = repeated(&mut app).await;
    app.gateway().next(INVOKE, "reset_before", None, 1).await;
    app.gateway().next(INVOKE, "status", Some(503), 1000).await;
    app.gateway().next("/miniprogram/v1/revoke", "status", Some(503), 1000).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "unknown");
    app.gateway().restart().await;
    for _ in 0..3 {
        app.advance(Duration::from_secs(3600)).await;
        app.sweep().await;
        while app.deliver().await {}
    }
    let alice = app.login("alice").await;
    assert!(alice.job(&id).await.get("resolution").is_none(), "one effect, and it is not denied");
}

#[tokio::test]
async fn a_call_that_was_given_back_after_its_claim_is_sent_again() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let id = app.new_id();
    app.gateway().next("/tools/invoke", "status", Some(503), 1).await;
    alice.submit(&id, "ledger_sleep", json!({"ms":10})).await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 2), "{job}");
}

#[tokio::test]
async fn an_old_journal_that_comes_back_is_met_with_what_was_known_of_it() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"first journal"})).await;
    app.gateway().snapshot_journal().await;
    let out = app.new_id();
    app.advance(Duration::from_secs(70)).await;
    app.run(&alice, "ledger_append", json!({"note":"seen further"})).await;
    // This call is claimed by the first journal, and its answer is lost.
    app.gateway().next(INVOKE, "reset_after", None, 2).await;
    alice.submit(&out, "ledger_append", json!({"note":"n"})).await;
    app.deliver().await;
    assert_eq!(app.effects(&out), 1);
    // Another journal for a while, then the first one's snapshot.
    app.gateway().lose_journal().await;
    app.new_worker(None);
    app.run(&alice, "ledger_append", json!({"note":"second journal"})).await;
    app.gateway().restore_snapshot().await;
    app.new_worker(None);
    let job = app.finish(&alice, &out).await;
    assert_eq!((&job["status"], app.effects(&out)), (&json!("unknown"), 1), "{job}");
}

#[tokio::test]
async fn a_tool_that_left_the_catalogue_is_still_asked_for() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_sleep", json!({"ms":10})).await;
    app.deliver().await;
    app.has_written(&id, 2).await;
    let files = PolicyFiles::built_in().replacing("tools.toml", "\"ledger_sleep\"", "\"ledger_nap\"").unwrap();
    app.new_worker(Some(Policy::parse(&files).unwrap()));
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 2), "{job}");
}

#[tokio::test]
async fn what_a_proxy_answers_after_it_has_passed_a_call_on_does_not_make_it_not_run() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    for status in [503, 404, 401, 429, 502] {
        let id = app.new_id();
        app.gateway().next(INVOKE, "status_after", Some(status), 1).await;
        alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
        app.deliver().await;
        assert_eq!(app.effects(&id), 1, "{status}");
        let cancelled = alice.cancel(&id).await;
        assert_ne!(cancelled.body["effect"], "not_run", "{status}: {}", cancelled.body);
        let job = app.finish(&alice, &id).await;
        assert_eq!((job["status"].as_str(), app.effects(&id)), (Some("succeeded"), 1), "{status}: {job}");
    }
}
