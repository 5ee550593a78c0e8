//! Invariant 4, *intent first*.

use std::{sync::atomic, time::Duration};

use domain::job::JobState;
use integration_tests::{App, Fault};
use platform::runtime::Clock;
use serde_json::json;
use store::Commit;

#[tokio::test]
async fn without_the_record_of_its_intent_alone_no_write_leaves() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    // A worker's first write is its claim, its second the record of the intent: lost, in each of the SDK's three
    // attempts.
    let puts = atomic::AtomicUsize::new(0);
    app.faults.plan(move |operation, _| {
        let record = operation == "PutItem" && (1..=3).contains(&puts.fetch_add(1, atomic::Ordering::SeqCst));
        record.then_some(Fault::LostBefore)
    });
    app.deliver().await;
    assert_eq!(app.effects(&id), 0, "no audit, no call");
    app.faults.none();
    assert_eq!((&app.finish(&alice, &id).await["status"], app.effects(&id)), (&json!("succeeded"), 1));
    assert_eq!(alice.get(&format!("/v1/jobs/{id}/audit")).await.status, 200, "the chain is whole");
}

#[tokio::test]
async fn a_cancel_that_arrives_before_the_intent_stops_the_call() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    let messages = app.receive().await;
    app.faults.plan(|_, _| Some(Fault::Late));
    let (worker, deadline) = (app.worker.clone(), app.clock.now().plus(Duration::from_secs(30)));
    let worker =
        tokio::spawn(async move { worker.handle_batch(local::emulation::poller::event(&messages), deadline).await });
    let claimed = loop {
        let job = app.inspect().stored(&alice, &id).await;
        if job.state == JobState::Running {
            break job;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    // The worker is reading the payload now, and does not see this before it commits its intent.
    let cancelled = claimed.apply(domain::job::JobEvent::CancelRequested, app.clock.now()).unwrap();
    assert!(matches!(app.inspect().table().commit(&claimed, &cancelled, "cancel").await.unwrap(), Commit::Done));
    worker.await.unwrap();
    app.faults.none();
    assert_eq!((alice.job(&id).await["status"].as_str(), app.effects(&id)), (Some("cancelled"), 0));
}
