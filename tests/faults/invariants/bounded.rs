//! Invariant 11, *bounded*.

use std::time::Duration;

use domain::limits::admission::JobKind;
use integration_tests::{App, Setup, app::AFTER_A_CRASH};
use serde_json::json;

#[tokio::test]
async fn a_result_over_the_cap_is_not_kept_by_a_gateway_without_a_journal_either() {
    let mut app = App::with(Setup {
        journal: false,
        unjournaled_writes: true,
        edge: |edge| edge.limits.submissions = domain::limits::Rate::new(Duration::from_millis(1), 1000),
        ..Setup::default()
    })
    .await;
    let alice = app.login("alice").await;
    for _ in 0..40 {
        app.run(&alice, "ledger_append", json!({"note":"x".repeat(1900)})).await;
        app.advance(Duration::from_millis(10)).await;
    }
    let job = app.run(&alice, "ledger_read", json!({})).await;
    assert_eq!((&job["status"], &job["result"]), (&json!("succeeded"), &json!({"omitted":"too_large"})));
}

#[tokio::test]
async fn a_run_of_the_sweep_sends_no_more_wake_ups_than_its_cap() {
    let mut app = App::with(Setup {
        edge: |edge| edge.limits.submissions = domain::limits::Rate::new(Duration::from_millis(1), 1000),
        ..Setup::default()
    })
    .await;
    let mut config = app.deployment.sweep();
    config.wakes_per_run = 2;
    app.sweep = sweep::Sweep::new(config, app.functions.runtime.clone()).unwrap();
    let alice = app.login("alice").await;
    for _ in 0..8 {
        assert_eq!(alice.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202);
    }
    drop(app.receive().await);
    app.clock.advance(AFTER_A_CRASH);
    for _ in 0..4 {
        assert_eq!(app.sweep().await.woken, 2);
    }
    assert_eq!(app.sweep().await.woken, 0, "each was woken once");
}

#[tokio::test]
async fn a_concurrent_admission_keeps_its_place() {
    let (mut app, alice) = App::start_with("alice").await;
    let user = alice.user_id.parse().unwrap();
    let ids = [app.new_id(), app.new_id()];
    assert_eq!(alice.submit(&ids[0], "ledger_read", json!({})).await.status, 202);
    // One request reads the set, and prunes it only after the next admission.
    let seen = app.inspect().table().user(user).await.unwrap().unwrap().last_admission;
    app.advance(Duration::from_secs(61)).await;
    assert_eq!(alice.submit(&ids[1], "ledger_read", json!({})).await.status, 202);
    let both = ids.clone().map(|id| id.parse().unwrap());
    assert!(!app.inspect().table().drop_unrecorded(user, JobKind::Quick, &both, seen).await.unwrap());
    assert_eq!(app.inspect().table().user(user).await.unwrap().unwrap().in_flight.len(), 2);
    let seen = app.inspect().table().user(user).await.unwrap().unwrap().last_admission;
    assert!(app.inspect().table().drop_unrecorded(user, JobKind::Quick, &both, seen).await.unwrap());
    assert!(app.inspect().table().user(user).await.unwrap().unwrap().in_flight.is_empty());
}
