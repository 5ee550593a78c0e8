//! How many requests to table and queue an accept, a poll and a worker's run take. `docs/design/numbers.md` says what
//! each is for.

use std::time::Duration;

use integration_tests::{App, Client};
use serde_json::json;

/// The operations that were sent since the plan of faults was last made.
fn sent(app: &App) -> Vec<String> {
    let seen = app.faults.seen();
    app.faults.none();
    seen
}

/// An app that is warm: secrets, service mode and the gateway's view are cached.
async fn warm() -> (App, Client) {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    // The burst of the rate limit is over, and the caches are not yet.
    app.advance(Duration::from_secs(2)).await;
    sent(&app);
    (app, alice)
}

#[tokio::test]
async fn an_accept_takes_four_requests_of_the_table_and_one_of_the_queue() {
    let (app, alice) = warm().await;
    assert_eq!(alice.submit(&app.new_id(), "ledger_append", json!({"note":"n"})).await.status, 202);
    assert_eq!(sent(&app), ["BatchGetItem", "UpdateItem", "PutItem", "PutItem", "SendMessage"]);
}

#[tokio::test]
async fn a_refused_submission_takes_one_read_and_its_charge() {
    let (app, alice) = warm().await;
    assert_eq!(alice.submit(&app.new_id(), "ledger_append", json!({"note":7})).await.status, 422);
    assert_eq!(sent(&app), ["BatchGetItem", "UpdateItem"]);
}

#[tokio::test]
async fn a_replay_takes_two_reads() {
    let (mut app, alice) = warm().await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    app.finish(&alice, &id).await;
    sent(&app);
    assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"n"})).await.status, 200);
    assert_eq!(sent(&app), ["BatchGetItem", "GetItem"]);
}

#[tokio::test]
async fn a_poll_takes_one_read_whether_the_job_has_changed_or_not() {
    let (mut app, alice) = warm().await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    let path = format!("/v1/jobs/{id}");
    for over in [false, true] {
        if over {
            app.finish(&alice, &id).await;
        }
        sent(&app);
        let seen = alice.get(&path).await;
        assert_eq!((seen.status.as_u16(), sent(&app)), (200, vec!["BatchGetItem".to_owned()]), "over: {over}");
        let headers = [("if-none-match", seen.header("etag"))];
        let same = alice.send("GET", &path, &headers, b"").await;
        assert_eq!((same.status.as_u16(), sent(&app)), (304, vec!["BatchGetItem".to_owned()]), "over: {over}");
    }
}

#[tokio::test]
async fn a_poll_that_shows_a_record_of_its_own_takes_two_reads() {
    let (app, alice) = warm().await;
    let id = app.new_id();
    let payment = json!({"amount": 120, "note": "two coffees"});
    assert_eq!(alice.submit(&id, "ledger_pay", payment).await.body["status"], "awaiting_approval");
    sent(&app);
    assert!(alice.job(&id).await["approval"].is_object());
    assert_eq!(sent(&app), ["BatchGetItem", "GetItem"]);
}

#[tokio::test]
async fn the_worker_takes_eight_requests_for_a_write_that_is_answered_at_once() {
    let (mut app, alice) = warm().await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    sent(&app);
    app.deliver().await;
    let seen = sent(&app);
    assert_eq!(alice.job(&id).await["status"], "succeeded");
    let work = [
        "GetItem",      // the job
        "PutItem",      // the claim
        "BatchGetItem", // the payload, and the user's groups
        "PutItem",      // the audit record of the intent
        "PutItem",      // the intent
        "PutItem",      // the audit record of the outcome
        "PutItem",      // the marker for the next checkpoint
        "PutItem",      // the outcome
    ];
    assert_eq!(seen, work);
}

#[tokio::test]
async fn a_notification_adds_one_wake_up_message_and_six_requests_after_the_job_has_ended() {
    const TEMPLATE: &str = "hD-ixGOhYmUfjOnI8MCzQMPshzGVeux_2vzyvQu7O68";
    let (mut app, alice) = warm().await;
    app.wechat().accept("alice", TEMPLATE);
    let headers = [("content-type", "application/json")];
    alice.send("POST", "/v1/notifications", &headers, br#"{"accepted":["job_update"]}"#).await;
    assert_eq!(sent(&app), ["GetItem", "UpdateItem", "UpdateItem"]);
    // The refused request was charged, so the next one is within a burst.
    app.advance(Duration::from_secs(2)).await;
    let body = json!({"tool": "ledger_append", "arguments": {"note": "n"}, "notify": "job_update"});
    let id = app.new_id();
    assert_eq!(alice.submit_body(&id, &body).await.status, 202);
    assert_eq!(sent(&app), ["BatchGetItem", "UpdateItem", "PutItem", "PutItem", "SendMessage"], "as without");
    app.deliver().await;
    assert_eq!(sent(&app).split_off(8), ["SendMessage"], "after the job");
    app.deliver().await;
    let steps = [
        "GetItem",    // the job
        "UpdateItem", // its record: a worker has begun
        "UpdateItem", // a credit of the user, and the lock
        "GetItem",    // the access token
        "UpdateItem", // the access token, which WeChat has just given
        "UpdateItem", // the lock
        "UpdateItem", // the record: sent
    ];
    assert_eq!(sent(&app), steps);
    assert_eq!(alice.job(&id).await["notification"]["status"], "sent");
}

#[tokio::test]
async fn the_worker_takes_six_requests_for_a_read() {
    let (mut app, alice) = warm().await;
    let id = app.submit(&alice, "ledger_read", json!({"limit":1})).await;
    sent(&app);
    app.deliver().await;
    let seen = sent(&app);
    assert_eq!(alice.job(&id).await["status"], "succeeded");
    assert_eq!(seen, ["GetItem", "PutItem", "BatchGetItem", "PutItem", "PutItem", "PutItem"]);
}
