//! Invariant 1, *one effect*.

use std::{sync::atomic, time::Duration};

use integration_tests::{App, Fault};
use platform::runtime::Clock;
use serde_json::json;

#[tokio::test]
async fn a_call_that_was_seen_running_is_not_sent_again_by_a_journal_that_forgot_it() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.gateway().snapshot_journal().await;
    app.new_worker(None);
    let id = app.submit(&alice, "ledger_sleep", json!({"ms":20_000})).await;
    app.deliver().await;
    app.begun(&id).await;
    // The snapshot is newer than the sequence in the table, and other calls advance the journal beyond that at once.
    app.gateway().restore_snapshot().await;
    app.new_worker(None);
    for _ in 0..4 {
        assert_eq!(app.run(&alice, "ledger_append", json!({"note":"n"})).await["status"], "succeeded");
    }
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("unknown"), 1), "{job}");
    // Its response that it does not know the key proves nothing.
    app.advance(Duration::from_secs(3600)).await;
    assert_eq!(app.sweep().await.woken, 1);
    while app.deliver().await {}
    let alice = app.login("alice").await;
    assert!(alice.job(&id).await.get("resolution").is_none(), "it ran, and that is not denied");
}

#[tokio::test]
async fn the_highest_sequence_of_a_journal_is_never_forgotten() {
    let app = App::start().await;
    let id = domain::job::JournalId { journal: "j".into(), boot: "b".into() };
    for sequence in [10, 7, 11, 3] {
        app.inspect().table().see_gateway(&id, sequence, app.clock.now()).await.unwrap();
    }
    assert_eq!(app.inspect().table().gateway_seen("j").await.unwrap().unwrap().sequence, 11);
}

#[tokio::test]
async fn a_boot_whose_first_prober_died_still_has_its_tool_guard_probed() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.gateway().restart().await;
    app.new_worker(None);
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    // It stores the new boot, and dies before it takes the lease of the guard probe.
    let updates = atomic::AtomicUsize::new(0);
    app.faults.plan(move |operation, _| {
        let second = operation == "UpdateItem" && updates.fetch_add(1, atomic::Ordering::SeqCst) == 1;
        second.then_some(Fault::KilledBefore)
    });
    app.deliver().await;
    app.faults.none();
    app.new_worker(None);
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    assert_eq!(app.gateway().counts().await["/miniprogram/v1/canary"], 1, "no write before the guard probe");
}

#[tokio::test]
async fn a_gateway_that_died_under_a_call_and_then_refuses_another_denies_nothing() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    // A client with a single connection, so that its second dispatch must open another.
    app.new_worker(None);
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    // The journal has claimed the call and runs it when the gateway dies; the worker's second dispatch is not answered.
    app.gateway().next("/tools/invoke", "hang", None, 1).await;
    let before = app.gateway().counts().await["/tools/invoke"].clone();
    let messages = app.receive().await;
    let (worker, deadline) = (app.worker.clone(), app.clock.now().plus(Duration::from_secs(30)));
    let worker =
        tokio::spawn(async move { worker.handle_batch(local::emulation::poller::event(&messages), deadline).await });
    while app.gateway().counts().await["/tools/invoke"] == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    app.gateway().kill().await;
    worker.await.unwrap();
    let asked = alice.cancel(&id).await;
    assert_eq!((asked.status.as_u16(), &asked.body["status"]), (202, &json!("running")), "{}", asked.body);
    app.gateway().restart().await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["effect"]), (&json!("unknown"), &json!("unknown")), "{job}");
}
