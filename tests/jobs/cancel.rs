//! Cancellation: a call that was not sent is never sent, and the outcome of a call that was sent is reported.

use integration_tests::App;
use serde_json::json;

#[tokio::test]
async fn a_queued_job_is_cancelled_at_once_and_never_runs() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    let cancelled = alice.cancel(&id).await;
    assert_eq!(cancelled.status, 200);
    assert_eq!((&cancelled.body["status"], &cancelled.body["effect"]), (&json!("cancelled"), &json!("not_run")));
    while app.deliver().await {}
    assert_eq!(app.effects(&id), 0);
    // Repeating the cancel, or the submission, changes nothing.
    assert_eq!(alice.cancel(&id).await.status, 200);
    let replay = alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    assert_eq!((replay.status.as_u16(), &replay.body["status"]), (200, &json!("cancelled")));
}

#[tokio::test]
async fn a_call_that_was_sent_goes_on_after_a_cancel_and_its_outcome_is_shown() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_sleep", json!({"ms":1500})).await;
    app.deliver().await;
    for _ in 0..2 {
        let asked = alice.cancel(&id).await;
        assert_eq!((asked.status.as_u16(), &asked.body["cancel_requested"]), (202, &json!(true)));
    }
    while app.deliver().await {}
    app.has_written(&id, 2).await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 2), "{job}");
    assert_eq!(alice.cancel(&id).await.status, 200, "repeating a cancel is no error");
}

#[tokio::test]
async fn what_is_over_cannot_be_cancelled_any_more() {
    let (mut app, alice) = App::start_with("alice").await;
    let job = app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    let reply = alice.cancel(job["request_id"].as_str().unwrap()).await;
    assert_eq!((reply.verdict(), &reply.body["job_status"]), ((409, "job_over"), &json!("succeeded")));
}

#[tokio::test]
async fn a_call_that_may_have_been_sent_is_revoked_before_it_counts_as_cancelled() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    for (action, status, effects) in [("reset_before", "cancelled", 0), ("reset_after", "succeeded", 1)] {
        let id = app.new_id();
        app.gateway().next("/miniprogram/v1/invoke", action, None, 1).await;
        app.gateway().next("/miniprogram/v1/invoke", "reset_before", None, 1).await;
        alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
        app.deliver().await;
        assert_eq!(alice.cancel(&id).await.status, 202, "{action}");
        let job = app.finish(&alice, &id).await;
        assert_eq!((job["status"].as_str(), app.effects(&id)), (Some(status), effects), "{action}: {job}");
    }
}

#[tokio::test]
async fn a_cancel_that_arrives_while_a_worker_holds_the_job_does_not_cost_it_its_answer() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    let (cancelling, of) = (alice.clone(), id.clone());
    let cancel = tokio::spawn(async move { cancelling.cancel(&of).await.status.as_u16() });
    app.deliver().await;
    let cancelled = cancel.await.unwrap();
    let job = app.finish(&alice, &id).await;
    match cancelled {
        200 => assert_eq!((job["status"].as_str(), app.effects(&id)), (Some("cancelled"), 0)),
        _ => assert!(
            (job["status"] == "succeeded" && app.effects(&id) == 1)
                || (job["status"] == "cancelled" && app.effects(&id) == 0),
            "{job}"
        ),
    }
}

#[tokio::test]
async fn cancelling_at_every_moment_has_one_outcome() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    for place in 0..8 {
        let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
        // The worker dies at this place; the user cancels; another worker goes on.
        app.faults.plan(move |_, n| (n == place).then_some(integration_tests::Fault::KilledAfter));
        app.deliver().await;
        app.faults.none();
        let reply = alice.cancel(&id).await;
        let job = app.finish(&alice, &id).await;
        let effects = app.effects(&id);
        match job["status"].as_str().unwrap() {
            "cancelled" => assert_eq!((effects, &job["effect"]), (0, &json!("not_run")), "{place}: {job}"),
            "succeeded" => assert_eq!(effects, 1, "{place}: {job}"),
            other => panic!("{place}: {other}: {} {job}", reply.body),
        }
    }
}
