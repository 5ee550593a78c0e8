//! Invariant 11, *bounded*: how many conversations a user may have.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::limits::Rate;
use integration_tests::{App, Client, Contract, Fault, Reply, Setup};
use platform::config::EdgeAuthConfig;

use super::{kept, queued};
use crate::workflows::say_in;

const CAP: usize = 3;

pub(super) async fn capped() -> App {
    let edge = |edge: &mut EdgeAuthConfig| {
        edge.limits.submissions = Rate::new(Duration::from_millis(1), 10_000);
        (edge.limits.in_flight, edge.limits.in_flight_long, edge.limits.conversations) = (100, 100, CAP);
    };
    App::with(Setup { edge, ..Setup::default() }).await
}

pub(super) async fn say(app: &App, client: &Client, name: &str) -> (String, Reply) {
    let id = app.new_id();
    let reply = client.submit_body(&id, &say_in(name, "[[say:hello]]")).await;
    Contract::of_the_checkout().check("POST", "/v1/jobs", &reply);
    (id, reply)
}

pub(super) async fn begin(app: &App, client: &Client, name: &str) -> String {
    let (id, reply) = say(app, client, name).await;
    assert_eq!(reply.status, 202, "{name}: {}", reply.body);
    id
}

/// Two conversations, and a name that was counted by a function that died before it created the conversation.
pub(super) async fn with_one_that_never_began() -> (App, Client) {
    let app = capped().await;
    let alice = app.login("alice").await;
    for name in ["a", "b"] {
        begin(&app, &alice, name).await;
    }
    app.faults.plan_items(|operation, sk| (operation == "UpdateItem" && sk == "CN").then_some(Fault::KilledAfter));
    tokio::select! {
        (_, reply) = say(&app, &alice, "never") => panic!("{}", reply.body),
        () = app.faults.killed() => {}
    }
    app.faults.none();
    (app, alice)
}

/// Counts the requests about the item that conversations are counted by.
pub(super) fn watch(app: &App) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    app.faults.plan_items(move |_, sk| {
        counted.fetch_add(usize::from(sk == "CN"), Ordering::SeqCst);
        None
    });
    asked
}

#[tokio::test]
async fn one_conversation_too_many_does_not_begin_until_another_is_deleted() {
    let mut app = capped().await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    for name in ["a", "b", "c"] {
        begin(&app, &alice, name).await;
    }
    let user = async || app.inspect().table().user(alice.user_id.parse().unwrap()).await.unwrap().unwrap();
    let taken = user().await.in_flight_long;
    let (late, refused) = say(&app, &alice, "d").await;
    assert_eq!(refused.verdict(), (409, "conversations_full"));
    assert_eq!(alice.get(&format!("/v1/jobs/{late}")).await.status, 404, "nothing is recorded");
    assert_eq!((kept(&app, &alice, "d").await, user().await.in_flight_long), (None, taken), "and no place is taken");
    begin(&app, &alice, "b").await;
    begin(&app, &bob, "d").await;
    assert_eq!(alice.submit_body(&app.new_id(), &crate::workflows::say("hello")).await.status, 202, "in none");
    let ending = alice.send("DELETE", "/v1/conversations/b", &[], b"").await;
    assert_eq!(say(&app, &alice, "d").await.1.verdict(), (409, "conversations_full"), "it is still there");
    let job = app.finish(&alice, ending.body["request_id"].as_str().unwrap()).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    let asked = watch(&app);
    let again = alice.submit_body(&late, &say_in("d", "[[say:hello]]")).await;
    assert_eq!(again.status, 202, "the same request: {}", again.body);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "there was room at once");
    app.faults.none();
    assert_eq!(say(&app, &alice, "b").await.1.verdict(), (409, "conversations_full"));
    begin(&app, &alice, "a").await;
}

#[tokio::test]
async fn of_many_that_begin_at_once_as_many_begin_as_may_be() {
    let app = capped().await;
    let alice = app.login("alice").await;
    app.faults.plan(|operation, _| (operation == "UpdateItem").then_some(Fault::Late));
    let mut racing = Vec::new();
    for n in 0..10 {
        let (alice, id, name) = (alice.clone(), app.new_id(), format!("c{}", n / 2));
        racing.push(tokio::spawn(async move {
            let reply = alice.submit_body(&id, &say_in(&name, "hello")).await;
            (name, reply.status.as_u16(), reply.code().to_owned())
        }));
    }
    let mut begun = BTreeSet::new();
    for one in racing {
        match one.await.unwrap() {
            (name, 202, _) => drop(begun.insert(name)),
            (name, status, code) => assert_eq!((status, code.as_str()), (409, "conversations_full"), "{name}"),
        }
    }
    app.faults.none();
    assert_eq!(begun.len(), CAP, "{begun:?}");
    for name in begun {
        assert_eq!(queued(&app, &alice, &name).await.len(), 2, "both turns of it: {name}");
    }
}

#[tokio::test]
async fn only_what_begins_a_conversation_asks_how_many_there_are() {
    let app = capped().await;
    let alice = app.login("alice").await;
    let asked = watch(&app);
    begin(&app, &alice, "a").await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    begin(&app, &alice, "a").await;
    assert_eq!(alice.submit_body(&app.new_id(), &crate::workflows::say("hello")).await.status, 202);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "a turn in one that is there costs nothing more");
}

/// Submissions that are refused by the limit of open jobs do not use up the limit of conversations.
#[tokio::test]
async fn names_that_are_tried_without_a_place_for_a_job_count_for_nothing() {
    let edge = |edge: &mut EdgeAuthConfig| {
        edge.limits.submissions = Rate::new(Duration::from_millis(1), 10_000);
        (edge.limits.in_flight_long, edge.limits.conversations) = (1, CAP);
    };
    let mut app = App::with(Setup { edge, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    let open = begin(&app, &alice, "a").await;
    for n in 0..CAP + 3 {
        assert_eq!(say(&app, &alice, &format!("try{n}")).await.1.verdict(), (429, "in_flight_full"), "{n}");
    }
    app.finish(&alice, &open).await;
    for name in ["b", "c"] {
        let id = begin(&app, &alice, name).await;
        app.finish(&alice, &id).await;
    }
    assert_eq!(say(&app, &alice, "d").await.1.verdict(), (409, "conversations_full"), "as many as may be");
}

/// Of two concurrent requests for one name and one place, the refused one does not undo the count of the other one.
#[tokio::test]
async fn a_name_that_another_request_counts_on_is_not_given_back() {
    let edge = |edge: &mut EdgeAuthConfig| {
        edge.limits.submissions = Rate::new(Duration::from_millis(1), 10_000);
        (edge.limits.in_flight_long, edge.limits.conversations) = (1, 1);
    };
    for _ in 0..10 {
        let mut app = App::with(Setup { edge, ..Setup::default() }).await;
        let alice = app.login("alice").await;
        app.faults.plan(|operation, _| (operation == "UpdateItem").then_some(Fault::Late));
        let mut racing = Vec::new();
        for _ in 0..4 {
            let (alice, id) = (alice.clone(), app.new_id());
            racing.push(tokio::spawn(async move {
                let reply = alice.submit_body(&id, &say_in("a", "hello")).await;
                (reply.status.as_u16() == 202).then_some(id)
            }));
        }
        let mut accepted = Vec::new();
        for one in racing {
            accepted.extend(one.await.unwrap());
        }
        app.faults.none();
        assert_eq!(accepted.len(), 1);
        app.finish(&alice, &accepted[0]).await;
        app.advance(Duration::from_secs(61)).await;
        assert_eq!(say(&app, &alice, "b").await.1.verdict(), (409, "conversations_full"), "a is there, and counts");
    }
}

/// The edge may die between counting a conversation and recording its first turn.
#[tokio::test]
async fn a_conversation_that_was_counted_and_never_begun_takes_no_room_after_a_minute() {
    let (mut app, alice) = with_one_that_never_began().await;
    assert_eq!(kept(&app, &alice, "never").await, None);
    assert_eq!(say(&app, &alice, "c").await.1.verdict(), (409, "conversations_full"), "it may be on its way");
    app.advance(Duration::from_secs(60)).await;
    begin(&app, &alice, "c").await;
    assert_eq!(say(&app, &alice, "d").await.1.verdict(), (409, "conversations_full"));
    // Pruning is expensive: after one that found nothing, there is none for a while.
    app.advance(Duration::from_secs(60)).await;
    let asked = watch(&app);
    for expected in [2, 3] {
        assert_eq!(say(&app, &alice, "d").await.1.verdict(), (409, "conversations_full"));
        assert_eq!(asked.load(Ordering::SeqCst), expected);
    }
}

/// A crash during a deletion neither leaves the conversation counted, nor uncounts it while it exists.
#[tokio::test]
async fn a_deletion_that_is_cut_short_makes_room_all_the_same() {
    for fault in [Fault::KilledBefore, Fault::KilledAfter, Fault::LostAfter, Fault::Twice] {
        for place in ["CN", "C#b"] {
            let mut app = capped().await;
            let alice = app.login("alice").await;
            for name in ["a", "b", "c"] {
                let id = begin(&app, &alice, name).await;
                app.finish(&alice, &id).await;
            }
            let ending = alice.send("DELETE", "/v1/conversations/b", &[], b"").await;
            let ending = ending.body["request_id"].as_str().unwrap().to_owned();
            app.faults.plan_items(move |operation, sk| (operation != "GetItem" && sk == place).then_some(fault));
            while app.deliver().await {}
            app.faults.none();
            let job = app.finish(&alice, &ending).await;
            assert_eq!(job["status"], "succeeded", "{fault:?} {place}: {job}");
            begin(&app, &alice, "d").await;
            assert_eq!(say(&app, &alice, "b").await.1.verdict(), (409, "conversations_full"), "{fault:?} {place}");
        }
    }
}
