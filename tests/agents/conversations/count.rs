//! Invariant 11, *bounded*: the count of a user's conversations, and the set of open jobs, under races and crashes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::limits::Rate;
use integration_tests::{App, Client, Fault, Setup};
use platform::config::EdgeAuthConfig;
use serde_json::json;

use super::{
    cap::{begin, capped, say, watch, with_one_that_never_began},
    kept,
};
use crate::workflows::{say as alone, say_in};

/// A limit of one open long job, and three existing conversations.
async fn full_with_one_place() -> (App, Client) {
    let edge = |edge: &mut EdgeAuthConfig| {
        edge.limits.submissions = Rate::new(Duration::from_millis(1), 10_000);
        (edge.limits.in_flight_long, edge.limits.conversations) = (1, 3);
    };
    let mut app = App::with(Setup { edge, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    for name in ["a", "b", "c"] {
        let id = begin(&app, &alice, name).await;
        app.finish(&alice, &id).await;
    }
    (app, alice)
}

async fn with_one_that_never_began_a_minute_ago() -> (App, Client) {
    let (mut app, alice) = with_one_that_never_began().await;
    app.advance(Duration::from_secs(60)).await;
    (app, alice)
}

/// The update of the count that is the `nth` from now is slow. Counts them.
fn slow(app: &App, nth: usize) -> Arc<AtomicUsize> {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = seen.clone();
    app.faults.plan_items(move |operation, sk| {
        let about = operation == "UpdateItem" && sk == "CN";
        (about && counted.fetch_add(1, Ordering::SeqCst) + 1 == nth).then_some(Fault::Slow)
    });
    seen
}

async fn until(seen: &AtomicUsize, at_least: usize) {
    while seen.load(Ordering::SeqCst) < at_least {
        tokio::task::yield_now().await;
    }
}

/// A conversation that is deleted before an accepted turn could join its queue: the turn begins it again.
async fn begun_by_a_worker(app: &mut App, alice: &Client, name: &str) {
    let pay = json!({"tool": "ledger_pay", "arguments": {"amount": 120, "note": "tea"}});
    app.faults
        .plan_items(|operation, sk| (operation == "PutItem" && sk.starts_with("C#")).then_some(Fault::LostBefore));
    let (id, steps) = (app.new_id(), json!({"steps": [pay, say_in(name, "[[say:hello]]")]}));
    let accepted = alice.submit_body(&id, &steps).await;
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    app.faults.none();
    delete(app, alice, name).await;
    begin(app, alice, "instead").await;
    assert_eq!(app.approve(alice, "alice", &id).await.status, 200);
    assert_eq!(app.finish(alice, &id).await["status"], "succeeded");
}

async fn delete(app: &mut App, alice: &Client, name: &str) {
    let ending = alice.send("DELETE", &format!("/v1/conversations/{name}"), &[], b"").await;
    let job = app.finish(alice, ending.body["request_id"].as_str().unwrap()).await;
    assert_eq!(job["status"], "succeeded", "{job}");
}

/// Two requests with one id: the refused one must not remove the place of the other one.
#[tokio::test]
async fn a_conversation_that_finds_no_room_frees_no_place_of_another_request() {
    let (app, alice) = full_with_one_place().await;
    let (key, asked) = (app.new_id(), slow(&app, 1));
    let (racing, same) = (alice.clone(), key.clone());
    let refused = tokio::spawn(async move { racing.submit_body(&same, &say_in("d", "hello")).await });
    until(&asked, 1).await;
    let open = alice.submit_body(&key, &alone("hello")).await;
    assert_eq!(open.status, 202, "{}", open.body);
    let refused = refused.await.unwrap();
    assert!(["idempotency_key_reused", "conversations_full"].contains(&refused.code()), "{}", refused.body);
    app.faults.none();
    let more = alice.submit_body(&app.new_id(), &alone("more")).await;
    assert_eq!(more.verdict(), (429, "in_flight_full"), "the open job keeps its place");
}

#[tokio::test]
async fn a_count_that_cannot_be_written_takes_no_place() {
    let (mut app, alice) = full_with_one_place().await;
    delete(&mut app, &alice, "c").await;
    app.faults.plan_items(|_, sk| (sk == "CN").then_some(Fault::LostBefore));
    assert_eq!(say(&app, &alice, "d").await.1.status, 503);
    app.faults.none();
    let other = alice.submit_body(&app.new_id(), &alone("hello")).await;
    assert_eq!(other.status, 202, "{}", other.body);
}

#[tokio::test]
async fn what_begins_a_conversation_is_charged_once_and_before_it_is_counted() {
    let edge = |edge: &mut EdgeAuthConfig| edge.limits.submissions = Rate::new(Duration::from_secs(60), 2);
    let app = App::with(Setup { edge, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    let asked = watch(&app);
    begin(&app, &alice, "a").await;
    begin(&app, &alice, "b").await;
    assert_eq!(say(&app, &alice, "c").await.1.verdict(), (429, "rate_limited"));
    assert_eq!(asked.load(Ordering::SeqCst), 2, "over the rate, nothing is written");
}

#[tokio::test]
async fn a_conversation_that_a_worker_begins_counts() {
    let mut app = capped().await;
    let alice = app.login("alice").await;
    for name in ["a", "b", "n"] {
        let id = begin(&app, &alice, name).await;
        app.finish(&alice, &id).await;
    }
    begun_by_a_worker(&mut app, &alice, "n").await;
    assert!(kept(&app, &alice, "n").await.is_some(), "it was accepted: the cap does not stop it");
    delete(&mut app, &alice, "instead").await;
    assert_eq!(say(&app, &alice, "d").await.1.verdict(), (409, "conversations_full"));
    delete(&mut app, &alice, "n").await;
    begin(&app, &alice, "d").await;
}

#[tokio::test]
async fn of_many_that_find_no_room_at_once_one_looks_at_every_conversation() {
    let (app, alice) = with_one_that_never_began_a_minute_ago().await;
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = looks.clone();
    app.faults.plan_items(move |operation, sk| {
        counted.fetch_add(usize::from(operation == "GetItem" && sk == "C#a"), Ordering::SeqCst);
        // All requests have read the count before the first one may prune.
        (operation == "UpdateItem" && sk == "CN").then_some(Fault::Late)
    });
    let racing: Vec<_> = (0..10)
        .map(|n| {
            let (alice, id) = (alice.clone(), app.new_id());
            tokio::spawn(
                async move { alice.submit_body(&id, &say_in(&format!("d{n}"), "hello")).await.status.as_u16() },
            )
        })
        .collect();
    let mut begun = 0;
    for one in racing {
        begun += usize::from(one.await.unwrap() == 202);
    }
    app.faults.none();
    assert_eq!((begun, looks.load(Ordering::SeqCst)), (1, 1));
}

/// The pruning finds no conversation under a name that is begun before the name is dropped.
#[tokio::test]
async fn a_name_that_is_counted_again_during_a_look_goes_on_counting() {
    let (app, alice) = with_one_that_never_began_a_minute_ago().await;
    // The count, the right to prune, and the removal of the name.
    let asked = slow(&app, 3);
    let racing = (alice.clone(), app.new_id());
    let looking = tokio::spawn(async move { racing.0.submit_body(&racing.1, &say_in("d", "hello")).await });
    until(&asked, 3).await;
    begin(&app, &alice, "never").await;
    assert_eq!(looking.await.unwrap().verdict(), (409, "conversations_full"));
    app.faults.none();
    assert_eq!(say(&app, &alice, "d").await.1.verdict(), (409, "conversations_full"));
}
