//! Invariant 11, *bounded*, by kind: long jobs have a limit of their own for each user.

use std::time::Duration;

use domain::limits::Rate;
use integration_tests::{App, Client, Fault, Setup};
use serde_json::{Value, json};

use super::{note, say, steps};

const QUICK: usize = 3;
const LONG: usize = 2;

async fn app() -> App {
    let edge = |edge: &mut platform::config::EdgeAuthConfig| {
        edge.limits.submissions = Rate::new(Duration::from_millis(1), 10_000);
        (edge.limits.in_flight, edge.limits.in_flight_long) = (QUICK, LONG);
    };
    App::with(Setup { edge, ..Setup::default() }).await
}

async fn submitted(app: &App, client: &Client, body: &Value) -> (u16, String) {
    let reply = client.submit_body(&app.new_id(), body).await;
    (reply.status.as_u16(), reply.code().to_owned())
}

fn taken() -> (u16, String) {
    (202, String::new())
}

fn full() -> (u16, String) {
    (429, "in_flight_full".to_owned())
}

#[tokio::test]
async fn a_user_at_the_cap_of_open_turns_can_still_submit_a_call() {
    let app = app().await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    let workflow = steps(&[note("a"), note("b")]);
    assert_eq!(submitted(&app, &alice, &say("hello")).await, taken());
    assert_eq!(submitted(&app, &alice, &workflow).await, taken());
    for long in [say("hello"), workflow.clone(), steps(&[say("hello")])] {
        assert_eq!(submitted(&app, &alice, &long).await, full(), "{long}");
    }
    for _ in 0..QUICK {
        assert_eq!(submitted(&app, &alice, &note("quick")).await, taken());
    }
    assert_eq!(submitted(&app, &alice, &steps(&[note("one step is a quick call")])).await, full());
    for long in [say("hello"), workflow] {
        assert_eq!(submitted(&app, &bob, &long).await, taken(), "one user's turns take no place of another's");
    }
}

#[tokio::test]
async fn a_user_at_the_cap_of_open_calls_can_still_submit_a_turn() {
    let app = app().await;
    let alice = app.login("alice").await;
    for _ in 0..QUICK {
        assert_eq!(submitted(&app, &alice, &note("quick")).await, taken());
    }
    assert_eq!(submitted(&app, &alice, &note("quick")).await, full());
    for _ in 0..LONG {
        assert_eq!(submitted(&app, &alice, &say("hello")).await, taken());
    }
    assert_eq!(submitted(&app, &alice, &say("hello")).await, full());
}

#[tokio::test]
async fn a_place_of_either_kind_is_free_again_once_its_job_is_over() {
    let app = app().await;
    let alice = app.login("alice").await;
    for (kind, places) in [(note("quick"), QUICK), (say("hello"), LONG)] {
        let ids: Vec<String> = (0..places).map(|_| app.new_id()).collect();
        for id in &ids {
            assert_eq!(alice.submit_body(id, &kind).await.status, 202);
        }
        assert_eq!(submitted(&app, &alice, &kind).await, full());
        assert_eq!(alice.submit_body(&ids[0], &kind).await.status, 200, "a replay is no new job");
        assert_eq!(alice.cancel(&ids[0]).await.status, 200);
        assert_eq!(submitted(&app, &alice, &kind).await, taken(), "one was dropped");
        assert_eq!(submitted(&app, &alice, &kind).await, full(), "and no more than that one");
    }
}

#[tokio::test]
async fn turns_that_were_charged_and_never_recorded_are_dropped_after_a_minute() {
    let mut app = app().await;
    let alice = app.login("alice").await;
    for _ in 0..LONG {
        app.faults.plan_items(|operation, sk| {
            (operation == "PutItem" && sk.starts_with("IN#")).then_some(Fault::KilledBefore)
        });
        let (id, hello) = (app.new_id(), say("hello"));
        tokio::select! {
            reply = alice.submit_body(&id, &hello) => panic!("{}", reply.body),
            () = app.faults.killed() => {}
        }
        app.faults.none();
    }
    assert_eq!(submitted(&app, &alice, &say("hello")).await, full());
    assert_eq!(submitted(&app, &alice, &note("quick")).await, taken());
    app.advance(Duration::from_secs(61)).await;
    assert_eq!(submitted(&app, &alice, &say("hello")).await, taken());
}

/// One conditional update charges the rate and adds the job, so concurrent requests do not exceed the limit.
#[tokio::test]
async fn many_that_race_take_no_more_places_of_either_kind_than_there_are() {
    let app = app().await;
    let alice = app.login("alice").await;
    app.faults.plan(|operation, _| (operation == "PutItem").then_some(Fault::Late));
    let racing: Vec<_> = (0..32)
        .map(|n| {
            let (alice, id, body) =
                (alice.clone(), app.new_id(), if n % 2 == 0 { note("quick") } else { say("hello") });
            tokio::spawn(async move { (n % 2 == 0, alice.submit_body(&id, &body).await) })
        })
        .collect();
    let (mut quick, mut long) = (0, 0);
    for one in racing {
        let (is_quick, reply) = one.await.unwrap();
        match reply.status.as_u16() {
            202 if is_quick => quick += 1,
            202 => long += 1,
            _ => assert_eq!(reply.verdict(), (429, "in_flight_full"), "{}", reply.body),
        }
    }
    assert_eq!((quick, long), (QUICK, LONG));
    let user = app.inspect().table().user(alice.user_id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((user.in_flight.len(), user.in_flight_long.len()), (QUICK, LONG));
    app.faults.none();
}

#[tokio::test]
async fn a_submission_that_is_refused_takes_no_place() {
    let app = app().await;
    let alice = app.login("alice").await;
    for _ in 0..3 {
        let (status, _) = submitted(&app, &alice, &steps(&[say("hello"), json!({"tool":"exec","arguments":{}})])).await;
        assert_eq!(status, 403);
    }
    let user = app.inspect().table().user(alice.user_id.parse().unwrap()).await.unwrap().unwrap();
    assert!(user.in_flight.is_empty() && user.in_flight_long.is_empty());
}
