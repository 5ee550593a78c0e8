//! A cancel between a worker's claim and the approval request that it derives: no request is recorded, and the job ends
//! as any other does.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use integration_tests::{App, Client, Fault, events};
use platform::metrics::{Dimension, Metric};
use serde_json::json;

use super::{note, say_in, steps};
use crate::turns::roomy;

/// The job is cancelled while its worker writes the record of the approval request.
async fn cancelled_at_the_approval_request(app: &mut App, alice: &Client, id: &str) {
    let once = AtomicBool::new(false);
    app.faults.plan_items(move |operation, sk| {
        let slow = operation == "PutItem" && sk.starts_with("A#") && !once.swap(true, Ordering::SeqCst);
        slow.then_some(Fault::Slow)
    });
    let cancel = async {
        while alice.job(id).await["status"] != "running" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        alice.cancel(id).await
    };
    let (_, cancelled) = tokio::join!(app.deliver(), cancel);
    app.faults.none();
    assert_eq!((cancelled.status.as_u16(), &cancelled.body["cancel_requested"]), (202, &json!(true)));
}

#[tokio::test]
async fn a_cancel_before_the_approval_request_ends_the_job_and_wakes_the_next_turn_of_its_conversation() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let (id, next) = (app.new_id(), app.new_id());
    let pay = json!({"tool":"ledger_pay","arguments":{"amount":120,"note":"tea"}});
    let body = steps(&[note("first"), pay, say_in("trip", "[[say:never]]")]);
    assert_eq!(alice.submit_body(&id, &body).await.status, 202);
    app.deliver().await;
    assert_eq!(alice.job(&id).await["cursor"], 1);
    app.metrics.clear();
    cancelled_at_the_approval_request(&mut app, &alice, &id).await;

    let job = alice.job(&id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("cancelled"), &json!("cancelled")), "{job}");
    let records = alice.records(&id).await;
    assert_eq!(events(&records), ["accepted", "intended", "ended", "cancel_requested", "ended"]);
    let last = records.last().unwrap();
    assert_eq!(
        (&last["outcome"], &last["status"], &last["code"], &last["key"]),
        (&json!("not_run"), &json!("cancelled"), &json!("cancelled"), &json!(null)),
        "{last}"
    );
    assert_eq!(app.metrics.values(Metric::JobsFinished, &[(Dimension::State, "cancelled")]), [1.0], "it is counted");
    assert_eq!(app.delays.next(), None, "no wake-up is left for an approval that was never requested");

    // The next turn of the conversation may go at once.
    assert_eq!(alice.submit_body(&next, &say_in("trip", "[[say:hello]]")).await.status, 202);
    assert_eq!(app.finish(&alice, &next).await["status"], "succeeded");
    assert_eq!(app.effects(&id), 1, "the first step alone");
}

#[tokio::test]
async fn a_turn_behind_a_job_that_is_cancelled_before_its_approval_request_is_woken_at_once() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let (id, next) = (app.new_id(), app.new_id());
    let pay = json!({"tool":"ledger_pay","arguments":{"amount":120,"note":"tea"}});
    assert_eq!(
        alice.submit_body(&id, &steps(&[note("first"), pay, say_in("trip", "[[say:never]]")])).await.status,
        202
    );
    app.deliver().await;
    let question = app.receive().await;
    assert_eq!(alice.submit_body(&next, &say_in("trip", "[[say:hello]]")).await.status, 202);
    app.deliver().await;
    assert_eq!(alice.job(&next).await["status"], "retrying", "it waits for its turn");
    app.delays.lose_all();
    for message in &question {
        app.put_on_queue(message.body().unwrap()).await;
    }
    cancelled_at_the_approval_request(&mut app, &alice, &id).await;
    assert!(app.deliver().await, "the next turn is woken without a wait");
    assert_eq!(alice.job(&next).await["status"], "running");
}
