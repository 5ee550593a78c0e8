//! Invariant 5, *lease outlives work*.

use std::time::Duration;

use integration_tests::{App, Setup};
use platform::runtime::Clock;
use serde_json::json;

use super::claim_and_die;

#[tokio::test]
async fn a_worker_that_still_has_time_is_not_replaced() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    claim_and_die(&mut app).await;
    let held = app.inspect().stored(&alice, &id).await;
    // The function's deadline is 30 s; until the lease has expired, a dead worker cannot be told from a slow one.
    for seconds in [15, 15, 3] {
        app.advance(Duration::from_secs(seconds)).await;
        app.wake(&alice, &id).await;
        app.deliver().await;
        assert_eq!(app.inspect().stored(&alice, &id).await, held);
    }
    app.advance(Duration::from_secs(3)).await;
    app.wake(&alice, &id).await;
    app.deliver().await;
    assert_eq!((alice.job(&id).await["status"].as_str(), app.effects(&id)), (Some("succeeded"), 1));
}

#[tokio::test]
async fn a_call_ends_before_the_function_must() {
    let mut app = App::with(Setup { journal: false, unjournaled_writes: true, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_read", json!({})).await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    app.gateway().next("/tools/invoke", "hang", None, 1).await;
    let messages = app.receive().await;
    let began = std::time::Instant::now();
    let deadline = app.clock.now().plus(Duration::from_secs(14));
    let done = app.worker.handle_batch(local::emulation::poller::event(&messages), deadline).await;
    // With room for a slow machine, and far less than the 30 s that the tool may take.
    assert!(began.elapsed() < Duration::from_secs(22), "the function has 14 s: {:?}", began.elapsed());
    assert!(done.batch_item_failures.is_empty());
    assert_eq!(alice.job(&id).await["status"], "unknown");
}
