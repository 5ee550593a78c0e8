//! Invariant 13, *always ends*.

use std::time::Duration;

use integration_tests::App;
use serde_json::json;

use super::INVOKE;

#[tokio::test]
async fn wake_up_messages_alone_bring_a_job_to_its_end() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    for (tool, arguments) in
        [("ledger_append", json!({"note":"rescheduled twice"})), ("ledger_sleep", json!({"ms":10}))]
    {
        let id = app.new_id();
        app.gateway().next("/tools/invoke", "status", Some(503), 2).await;
        alice.submit(&id, tool, arguments).await;
        for _ in 0..20 {
            while app.deliver().await {}
            if alice.job(&id).await["next_poll_ms"].is_null() {
                break;
            }
            let due = app.delays.next().unwrap_or_else(|| panic!("{tool}: an open job without a wake-up message"));
            app.advance(due.max(Duration::from_millis(200))).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(alice.job(&id).await["status"], "succeeded", "{tool}");
    }
}

#[tokio::test]
async fn a_cancel_acts_at_once_and_not_when_the_job_was_due() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let id = app.new_id();
    app.gateway().next(INVOKE, "reset_before", None, 6).await;
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    app.deliver().await;
    for _ in 0..4 {
        // Full jitter may also choose no delay at all.
        app.advance(app.delays.next().unwrap_or_default()).await;
        app.deliver().await;
    }
    assert_eq!(alice.job(&id).await["status"], "running", "it may be out");
    assert!(app.delays.next().unwrap() > Duration::from_secs(5), "it is not due soon");
    assert_eq!(alice.cancel(&id).await.status, 202);
    assert!(app.deliver().await, "it is woken");
    assert_eq!((alice.job(&id).await["status"].as_str(), app.effects(&id)), (Some("cancelled"), 0));
}
