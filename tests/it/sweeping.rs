//! The sweeper: rings what a lost message left behind, and touches nothing else.

use std::time::Duration;

use integration_tests::App;
use serde_json::json;

#[tokio::test]
async fn a_queue_that_lost_everything_loses_no_job() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    let mut ids = Vec::new();
    for tool in ["ledger_append", "ledger_read", "ledger_sleep"] {
        let id = app.new_id();
        let arguments = if tool == "ledger_append" {
            json!({"note":"n"})
        } else if tool == "ledger_read" {
            json!({})
        } else {
            json!({"ms":10})
        };
        alice.submit(&id, tool, arguments).await;
        ids.push(id);
    }
    drop(app.receive().await); // taken, and never handed to anyone
    app.advance(Duration::from_secs(59)).await;
    assert_eq!(app.sweep().await.rung, 0, "bells get their chance first");
    app.clock.advance(Duration::from_secs(2));
    assert_eq!(app.sweep().await.rung, 3);
    for id in &ids {
        assert_eq!(app.finish(&alice, id).await["status"], "succeeded");
    }
    app.stop().await;
}

#[tokio::test]
async fn what_is_over_is_never_swept_again() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    alice.cancel(&id).await;
    while app.deliver().await {}
    app.advance(Duration::from_secs(7200)).await;
    let report = app.sweep().await;
    assert_eq!((report.rung, report.skipped), (0, 0), "the index holds open jobs only");
    app.stop().await;
}

#[tokio::test]
async fn a_job_that_is_rung_in_vain_is_rung_more_and_more_rarely() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    drop(app.receive().await);
    let mut rings = 0;
    for _ in 0..60 {
        app.clock.advance(Duration::from_secs(60));
        rings += app.sweep().await.rung;
        drop(app.receive().await);
    }
    assert!((5..=8).contains(&rings), "in an hour: {rings}");
    app.stop().await;
}

#[tokio::test]
async fn a_running_job_is_left_to_its_worker() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    app.clock.advance(Duration::from_secs(61));
    // A worker claims it and dies.
    app.faults.plan(|operation, n| (operation == "GetItem" && n > 0).then_some(integration_tests::Fault::KilledBefore));
    app.deliver().await;
    app.faults.none();
    let held = app.stored(&alice, &id).await;
    assert_eq!(held.state, domain::job::JobState::Running);
    assert_eq!(app.sweep().await.rung, 0);
    assert_eq!(app.stored(&alice, &id).await, held, "its revision is its worker's fence");
    app.clock.advance(Duration::from_secs(36));
    assert_eq!(app.sweep().await.rung, 1, "the lease is over");
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    app.stop().await;
}
