//! Invariant 3, *fence*.

use std::{sync::atomic, time::Duration};

use domain::job::JobState;
use integration_tests::{App, Client, Fault, app::AFTER_A_CRASH};
use platform::runtime::Clock;
use serde_json::json;
use store::Commit;

use super::{INVOKE, claim_and_die};

/// A job that another worker has claimed after the first one died: as the first one left it, and as it is now.
async fn taken_over(app: &mut App) -> (Client, String, domain::job::Job, domain::job::Job) {
    let alice = app.login("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    claim_and_die(app).await;
    let first = app.inspect().stored(&alice, &id).await;
    app.advance(AFTER_A_CRASH).await;
    app.wake(&alice, &id).await;
    claim_and_die(app).await;
    let second = app.inspect().stored(&alice, &id).await;
    assert_eq!((first.state, second.state), (JobState::Running, JobState::Running));
    (alice, id, first, second)
}

#[tokio::test]
async fn a_late_write_is_refused_even_when_the_state_is_the_same() {
    let mut app = App::start().await;
    let (_, _, first, second) = taken_over(&mut app).await;
    assert!(second.rev > first.rev, "each write has a revision of its own");
    let mut late = first.clone();
    late.rev += 1;
    let commit = app.inspect().table().commit(&first, &late, "late").await.unwrap();
    assert!(matches!(commit, Commit::Lost(_)), "{commit:?}");
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_changes_nothing_when_its_answer_comes_at_last() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    app.gateway().next(INVOKE, "hang", None, 1).await;
    let before = app.gateway().counts().await[INVOKE].clone();
    let messages = app.receive().await;
    let (slow, deadline) = (app.worker.clone(), app.clock.now().plus(Duration::from_secs(30)));
    let slow =
        tokio::spawn(async move { slow.handle_batch(local::emulation::poller::event(&messages), deadline).await });
    while app.gateway().counts().await[INVOKE] == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // It waits for the gateway, its lease runs out, and another worker claims the job.
    app.advance(AFTER_A_CRASH).await;
    app.new_worker(None);
    app.wake(&alice, &id).await;
    claim_and_die(&mut app).await;
    let held = app.inspect().stored(&alice, &id).await;
    assert_eq!(held.state, JobState::Running);
    slow.await.unwrap();
    assert_eq!(app.inspect().stored(&alice, &id).await, held, "the job is the other worker's");
    assert_eq!((app.finish(&alice, &id).await["status"].as_str(), app.effects(&id)), (Some("succeeded"), 1));
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_the_workers_own_all_the_same() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    let puts = atomic::AtomicUsize::new(0);
    app.faults.plan(move |operation, _| {
        let claim = operation == "PutItem" && puts.fetch_add(1, atomic::Ordering::SeqCst) == 0;
        claim.then_some(Fault::LostAfter)
    });
    app.deliver().await;
    app.faults.none();
    assert_eq!(
        alice.job(&id).await["status"],
        "succeeded",
        "by the first wake-up message, without waiting for the lease to end"
    );
}
