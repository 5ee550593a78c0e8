use std::time::Duration;

use domain::{
    access::service_mode::Mode,
    job::{JobState, StepKind},
};
use integration_tests::{App, Client, Contract, Fault, Reply, Setup};
use serde_json::{Value, json};

use super::{kept, queued, unlimited};
use crate::workflows::say_in;

const ROUTE: &str = "/v1/conversations/{conversation}";

async fn delete(client: &Client, name: &str) -> Reply {
    let reply = client.send("DELETE", &format!("/v1/conversations/{name}"), &[], b"").await;
    Contract::of_the_checkout().check("DELETE", ROUTE, &reply);
    reply
}

async fn says(app: &App, client: &Client) -> String {
    let id = app.new_id();
    let reply = client.submit_body(&id, &say_in("trip", "hello")).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    id
}

fn id_of(reply: &Reply) -> String {
    reply.body["request_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_conversation_is_deleted_by_a_job_behind_the_turns_before_it() {
    let app = unlimited().await;
    let alice = app.login("alice").await;
    let turn = says(&app, &alice).await;
    drop(app.receive().await);
    let reply = delete(&alice, "trip").await;
    assert_eq!((reply.status.as_u16(), &reply.body["status"]), (202, &json!("queued")), "{}", reply.body);
    let ending = id_of(&reply);
    assert_eq!(reply.header("location"), format!("/v1/jobs/{ending}"));
    assert_eq!(queued(&app, &alice, "trip").await, [turn.clone(), ending.clone()]);
    let job = app.inspect().stored(&alice, &ending).await;
    let [step] = &job.steps[..] else { panic!("{job:?}") };
    assert_eq!((step.kind, step.tool.as_str(), job.state), (StepKind::End, "main", JobState::Queued));
    assert_eq!(app.receive().await.len(), 1, "it is woken");
    for _ in 0..3 {
        let again = delete(&alice, "trip").await;
        assert_eq!((again.status.as_u16(), id_of(&again)), (202, ending.clone()), "the same job");
    }
    let refused = app.new_id();
    assert_eq!(alice.submit_body(&refused, &say_in("trip", "more")).await.verdict(), (409, "conversation_ending"));
    assert_eq!(alice.get(&format!("/v1/jobs/{refused}")).await.status, 404, "nothing is recorded");
    assert_eq!(alice.submit_body(&turn, &say_in("trip", "hello")).await.status, 200, "what was accepted is there");
    let chain = alice.get(&format!("/v1/jobs/{ending}/audit")).await;
    Contract::of_the_checkout().check("GET", "/v1/jobs/{request_id}/audit", &chain);
    assert_eq!(chain.body["records"][0]["event"], "accepted");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_however_it_is_spelled() {
    let app = unlimited().await;
    let alice = app.login("alice").await;
    says(&app, &alice).await;
    for name in ["none", "Trip", "TRIP", "trip%20", "trip:main", "", &"x".repeat(65)] {
        let reply = alice.send("DELETE", &format!("/v1/conversations/{name}"), &[], b"").await;
        assert_eq!(reply.verdict(), (404, "not_found"), "{name}");
    }
    assert_eq!(app.anonymous().send("DELETE", "/v1/conversations/trip", &[], b"").await.verdict(), (401, "no_session"));
    assert_eq!(alice.send("PUT", "/v1/conversations/trip", &[], b"").await.verdict(), (405, "method_not_allowed"));
    assert!(kept(&app, &alice, "trip").await.unwrap().ended_by.is_none());
}

#[tokio::test]
async fn of_many_that_delete_at_once_one_job_comes() {
    let app = unlimited().await;
    let alice = app.login("alice").await;
    says(&app, &alice).await;
    app.faults.plan(|operation, _| (operation == "PutItem").then_some(Fault::Late));
    let racing: Vec<_> = (0..6)
        .map(|_| {
            let alice = alice.clone();
            tokio::spawn(async move { delete(&alice, "trip").await })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    for one in racing {
        let reply = one.await.unwrap();
        assert_eq!(reply.status, 202, "{}", reply.body);
        ids.insert(id_of(&reply));
    }
    app.faults.none();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let jobs = alice.get("/v1/jobs").await.body["jobs"].as_array().unwrap().len();
    assert_eq!((jobs, queued(&app, &alice, "trip").await.len()), (2, 2), "the turn, and its end");
}

/// Wherever the process dies, repeating the request completes the deletion, with one job.
#[tokio::test]
async fn a_deletion_that_was_cut_short_is_taken_up_again() {
    for dies_at in 0..12 {
        let app = unlimited().await;
        let alice = app.login("alice").await;
        let turn = says(&app, &alice).await;
        app.faults.plan(move |_, n| (n == dies_at).then_some(Fault::KilledAfter));
        let died = tokio::select! {
            _ = alice.send("DELETE", "/v1/conversations/trip", &[], b"") => false,
            () = app.faults.killed() => true,
        };
        app.faults.none();
        let reply = delete(&alice, "trip").await;
        assert_eq!(reply.status, 202, "{dies_at}: {}", reply.body);
        assert_eq!(queued(&app, &alice, "trip").await, [turn, id_of(&reply)], "{dies_at}");
        assert_eq!(kept(&app, &alice, "trip").await.unwrap().ended_by.unwrap().to_string(), id_of(&reply));
        let jobs = alice.get("/v1/jobs").await.body["jobs"].as_array().unwrap().len();
        assert_eq!(jobs, 2, "{dies_at}");
        app.stop().await;
        if !died {
            assert!(dies_at > 5, "it was killed at every place before");
            return;
        }
    }
    panic!("a deletion takes more requests than this test knows");
}

#[tokio::test]
async fn a_deletion_that_was_taken_back_leaves_the_conversation_as_it_was_and_can_be_asked_for_again() {
    let app = unlimited().await;
    let alice = app.login("alice").await;
    says(&app, &alice).await;
    let first = id_of(&delete(&alice, "trip").await);
    assert_eq!(alice.cancel(&first).await.status, 200);
    assert_eq!(queued(&app, &alice, "trip").await.len(), 1, "the turn is still there");
    says(&app, &alice).await;
    let reply = delete(&alice, "trip").await;
    let second = id_of(&reply);
    assert_eq!(reply.status, 202);
    assert_ne!(first, second);
    assert_eq!(queued(&app, &alice, "trip").await.last(), Some(&second));
    assert_eq!(id_of(&delete(&alice, "trip").await), second);
}

#[tokio::test]
async fn a_closed_service_deletes_nothing_and_any_other_does() {
    for (mode, verdict) in
        [(Mode::Closed, (403, "mode_closed")), (Mode::ExplainOnly, (202, "")), (Mode::ReadOnly, (202, ""))]
    {
        let mut app = unlimited().await;
        let alice = app.login("alice").await;
        says(&app, &alice).await;
        app.mode(mode).await;
        app.advance(Duration::from_secs(60)).await;
        assert_eq!(delete(&alice, "trip").await.verdict(), verdict, "{mode:?}");
    }
}

#[tokio::test]
async fn a_user_with_every_long_place_taken_can_still_delete_and_not_without_end() {
    let edge = |edge: &mut platform::config::EdgeAuthConfig| {
        (edge.limits.in_flight, edge.limits.in_flight_long) = (2, 3);
    };
    let app = App::with(Setup { edge, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    let names = ["a", "b", "c"];
    for name in names {
        assert_eq!(alice.submit_body(&app.new_id(), &say_in(name, "hello")).await.status, 202);
    }
    let verdicts: Vec<Value> = {
        let mut verdicts = Vec::new();
        for name in names {
            let reply = delete(&alice, name).await;
            verdicts.push(json!([reply.status.as_u16(), reply.code()]));
        }
        verdicts
    };
    assert_eq!(verdicts, [json!([202, ""]), json!([202, ""]), json!([429, "in_flight_full"])]);
    assert!(kept(&app, &alice, "c").await.unwrap().ended_by.is_none(), "a refused deletion ends nothing");
}
