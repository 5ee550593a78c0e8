//! A deletion that fails: however its job ends, and wherever a process dies, the conversation can be used and deleted
//! as before.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::{App, Client, Fault};
use serde_json::Value;

use super::{kept, queued, unlimited};
use crate::workflows::say_in;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How the job of a deletion can end without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its user cancels it before a worker claims it.
    Cancelled,
    /// The same while the gateway refuses it.
    CancelledLate,
    /// The gateway is unreachable for a day.
    Expired,
    /// Its payload is no longer stored.
    Failed,
}

const ENDS: [(End, (&str, &str)); 4] = [
    (End::Cancelled, ("cancelled", "cancelled")),
    (End::CancelledLate, ("cancelled", "cancelled")),
    (End::Expired, ("expired", "not_after_passed")),
    (End::Failed, ("failed", "payload_missing")),
];

fn verdict(job: &Value) -> (&str, &str) {
    (job["status"].as_str().unwrap_or_default(), job["error"]["code"].as_str().unwrap_or_default())
}

async fn says(app: &App, client: &Client) -> String {
    let id = app.new_id();
    let reply = client.submit_body(&id, &say_in("trip", "[[say:hello]]")).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    id
}

async fn delete(client: &Client) -> String {
    let reply = client.send("DELETE", "/v1/conversations/trip", &[], b"").await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    reply.body["request_id"].as_str().unwrap().to_owned()
}

async fn refused(app: &App, client: &Client) -> bool {
    let reply = client.submit_body(&app.new_id(), &say_in("trip", "hello")).await;
    reply.verdict() == (409, "conversation_ending")
}

/// A conversation whose turn is over.
async fn begun() -> (App, Client) {
    let mut app = unlimited().await;
    let alice = app.login("alice").await;
    let turn = says(&app, &alice).await;
    assert_eq!(app.finish(&alice, &turn).await["status"], "succeeded");
    (app, alice)
}

/// Brings the job of a deletion to its end. With `untold`, the conversation queue cannot be updated then.
async fn end(app: &mut App, alice: &mut Client, end: End, untold: bool) -> String {
    let id = delete(alice).await;
    assert!(refused(app, alice).await, "{end:?}");
    if end == End::Failed {
        let job = app.inspect().stored(alice, &id).await;
        let key = |text: String| AttributeValue::S(text);
        let payload = app.aws.dynamodb().delete_item().table_name(&app.deployment.backend.table);
        let payload = payload.key("pk", key(format!("U#{}", alice.user_id)));
        payload.key("sk", key(format!("IN#{id}#{}", job.fingerprint))).send().await.unwrap();
    }
    if matches!(end, End::CancelledLate | End::Expired) {
        app.gateway().drain(true).await;
        while app.deliver().await {}
        assert_eq!(alice.job(&id).await["status"], "retrying");
    }
    if untold {
        app.faults
            .plan_items(|operation, sk| (operation == "PutItem" && sk.starts_with("C#")).then_some(Fault::LostBefore));
    }
    match end {
        End::Cancelled | End::CancelledLate => assert_eq!(alice.cancel(&id).await.status, 200),
        End::Expired => {
            app.advance(DAY).await;
            *alice = app.login("alice").await;
        }
        End::Failed => {}
    }
    while app.deliver().await {}
    app.faults.none();
    app.gateway().drain(false).await;
    id
}

#[tokio::test]
async fn whatever_a_deletion_ends_as_the_conversation_can_be_used_again() {
    for (how, expected) in ENDS {
        for untold in [false, true] {
            let story = format!("{how:?}, untold: {untold}");
            let (mut app, mut alice) = begun().await;
            let id = end(&mut app, &mut alice, how, untold).await;
            assert_eq!(verdict(&alice.job(&id).await), expected, "{story}");
            let ended_by = kept(&app, &alice, "trip").await.unwrap().ended_by;
            assert_eq!(ended_by.is_some(), untold, "{story}");
            let turn = says(&app, &alice).await;
            assert_eq!(queued(&app, &alice, "trip").await, std::slice::from_ref(&turn), "{story}");
            assert_eq!(kept(&app, &alice, "trip").await.unwrap().ended_by, None, "{story}");
            assert_eq!(app.finish(&alice, &turn).await["status"], "succeeded", "{story}");
            let again = delete(&alice).await;
            assert_ne!(again, id, "{story}");
            assert_eq!(app.finish(&alice, &again).await["status"], "succeeded", "{story}");
            assert_eq!(kept(&app, &alice, "trip").await, None, "{story}");
        }
    }
}

/// When a worker dies between the end of the job and the update of the queue, another worker completes the update
/// without a new request.
#[tokio::test]
async fn a_late_wake_up_message_of_a_failed_deletion_opens_the_conversation() {
    for (how, expected) in ENDS {
        let (mut app, mut alice) = begun().await;
        let id = end(&mut app, &mut alice, how, true).await;
        assert!(kept(&app, &alice, "trip").await.unwrap().ended_by.is_some(), "{how:?}");
        app.wake(&alice, &id).await;
        while app.deliver().await {}
        assert_eq!(kept(&app, &alice, "trip").await.unwrap().ended_by, None, "{how:?}");
        assert_eq!(verdict(&alice.job(&id).await), expected, "{how:?}");
    }
}

/// Wherever a worker dies in a deletion, another one brings it to its end.
#[tokio::test]
async fn a_worker_that_dies_in_a_deletion_is_followed_by_another() {
    let (mut app, alice) = begun().await;
    for dies_at in 0..40 {
        let id = delete(&alice).await;
        // A new worker has empty caches.
        app.new_worker(None);
        app.faults.plan(move |_, n| (n == dies_at).then_some(Fault::KilledAfter));
        while app.deliver().await {}
        let made = app.faults.seen().len();
        app.faults.none();
        let job = app.finish(&alice, &id).await;
        assert_eq!(verdict(&job), ("succeeded", ""), "{dies_at}: {job}");
        assert_eq!(kept(&app, &alice, "trip").await, None, "{dies_at}");
        let turn = says(&app, &alice).await;
        assert_eq!(app.finish(&alice, &turn).await["status"], "succeeded", "{dies_at}");
        assert_eq!(kept(&app, &alice, "trip").await.unwrap().jobs, 1, "{dies_at}");
        if (made as u64) <= dies_at {
            assert!(dies_at > 8, "it was killed at every place before: {dies_at}");
            app.stop().await;
            return;
        }
    }
    panic!("a deletion takes more requests than this test knows");
}

/// The edge dies between marking the conversation as ending, with the id of the job, and recording the job.
async fn ended_and_not_recorded() -> (App, Client, String) {
    let (app, alice) = begun().await;
    app.faults.plan_items(|operation, sk| (operation == "PutItem" && sk == "C#trip").then_some(Fault::KilledAfter));
    tokio::select! {
        reply = alice.send("DELETE", "/v1/conversations/trip", &[], b"") => panic!("{}", reply.body),
        () = app.faults.killed() => {}
    }
    app.faults.none();
    let noted = kept(&app, &alice, "trip").await.unwrap().ended_by.unwrap().to_string();
    (app, alice, noted)
}

#[tokio::test]
async fn an_unrecorded_deletion_blocks_no_job_after_a_minute() {
    let (mut app, alice, noted) = ended_and_not_recorded().await;
    app.advance(Duration::from_secs(59)).await;
    assert!(refused(&app, &alice).await, "it may be on its way");
    app.advance(Duration::from_secs(1)).await;
    let turn = says(&app, &alice).await;
    assert_eq!(queued(&app, &alice, "trip").await, std::slice::from_ref(&turn));
    assert_eq!(app.finish(&alice, &turn).await["status"], "succeeded");
    let again = delete(&alice).await;
    assert_ne!(again, noted, "a job that was waited for is not met again");
    assert_eq!(app.finish(&alice, &again).await["status"], "succeeded");
    assert_eq!(kept(&app, &alice, "trip").await, None);
}

/// A request repeated after half a minute gets a job of another id, so that the first mark can be removed for good.
#[tokio::test]
async fn a_deletion_that_was_never_recorded_is_asked_for_again_at_any_time() {
    for seconds in [0, 29, 30, 59, 60, 600] {
        let (mut app, alice, noted) = ended_and_not_recorded().await;
        app.advance(Duration::from_secs(seconds)).await;
        let again = delete(&alice).await;
        assert_eq!(again == noted, seconds < 30, "{seconds}");
        assert_eq!(queued(&app, &alice, "trip").await, std::slice::from_ref(&again), "{seconds}");
        assert_eq!(app.finish(&alice, &again).await["status"], "succeeded", "{seconds}");
        assert_eq!(kept(&app, &alice, "trip").await, None, "{seconds}");
    }
}

/// A turn that was accepted before the deletion, and is not in the queue, because that could not be written.
#[tokio::test]
async fn a_turn_that_finds_a_deletion_runs_when_that_came_to_nothing_and_is_refused_while_it_is_to_come() {
    for taken_back in [true, false] {
        let (mut app, alice) = begun().await;
        let no_queue =
            |operation: &str, sk: &str| (operation == "PutItem" && sk == "C#trip").then_some(Fault::LostBefore);
        app.faults.plan_items(no_queue);
        let turn = says(&app, &alice).await;
        app.faults.none();
        app.gateway().drain(true).await;
        let ending = delete(&alice).await;
        if taken_back {
            app.faults.plan_items(no_queue);
            assert_eq!(alice.cancel(&ending).await.status, 200);
            app.faults.none();
        }
        while app.deliver().await {}
        app.gateway().drain(false).await;
        let job = app.finish(&alice, &turn).await;
        let expected = if taken_back { ("succeeded", "") } else { ("refused", "conversation_ending") };
        assert_eq!(verdict(&job), expected, "{job}");
        let job = app.finish(&alice, &ending).await;
        assert_eq!(job["status"], if taken_back { "cancelled" } else { "succeeded" });
        assert_eq!(kept(&app, &alice, "trip").await.is_some(), taken_back);
    }
}
