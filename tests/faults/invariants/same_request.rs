//! Invariant 6, *same id, same request*.

use std::{sync::atomic, time::Duration};

use integration_tests::{App, Fault, Setup};
use serde_json::json;

#[tokio::test]
async fn eight_different_requests_that_race_under_one_id_are_one_job_and_seven_conflicts() {
    let mut app = App::with(Setup {
        edge: |edge| edge.limits.submissions = domain::limits::Rate::new(Duration::from_millis(1), 1000),
        ..Setup::default()
    })
    .await;
    let alice = app.login("alice").await;
    let id = app.new_id();
    // Each request to the table takes a while, so that all eight find no job of that id.
    app.faults.plan(|_, _| Some(Fault::Late));
    let submissions = (0..8).map(|n| {
        let (alice, id) = (alice.clone(), id.clone());
        tokio::spawn(async move { alice.submit(&id, "ledger_append", json!({"note":format!("{n}")})).await })
    });
    let mut verdicts = Vec::new();
    for submission in submissions.collect::<Vec<_>>() {
        let reply = submission.await.unwrap();
        verdicts.push((reply.status.as_u16(), reply.code().to_owned()));
    }
    app.faults.none();
    verdicts.sort();
    assert_eq!(verdicts[0], (202, String::new()), "{verdicts:?}");
    assert!(verdicts[1..].iter().all(|v| *v == (422, "idempotency_key_reused".to_owned())), "{verdicts:?}");
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    assert_eq!(app.effects(&id), 1);
}

#[tokio::test]
async fn a_job_whose_recording_was_answered_late_is_new_all_the_same() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    // Payload, audit record, job: the SDK repeats the third put, which then finds its own job.
    let puts = atomic::AtomicUsize::new(0);
    app.faults.plan(move |operation, _| {
        let third = operation == "PutItem" && puts.fetch_add(1, atomic::Ordering::SeqCst) == 2;
        third.then_some(Fault::LostAfter)
    });
    let reply = alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    app.faults.none();
    assert_eq!((reply.status.as_u16(), reply.header("idempotent-replayed")), (202, ""), "{}", reply.body);
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
}
