//! Turns of one conversation run in order, one at a time, and independently of other users'.

use integration_tests::{App, Client};
use serde_json::json;

use super::{reply, roomy, settle, verdict};

async fn in_trip(app: &App, client: &Client, text: &str) -> String {
    app.submit_body(client, &json!({"message": text, "conversation": "trip"})).await
}

#[tokio::test]
async fn turns_of_a_conversation_run_in_order_and_remember() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let mut ids = Vec::new();
    for text in ["one [[sleep:0.3]]", "two", "[[remember]]"] {
        ids.push(in_trip(&app, &alice, text).await);
    }
    // The last job is woken first.
    let messages = app.receive().await;
    for message in messages.into_iter().rev() {
        app.hand_over(&[message]).await;
    }
    let last = settle(&mut app, &alice, &ids[2]).await;
    assert_eq!((verdict(&last).0, reply(&last)), ("succeeded", "2 before: one [[sleep:0.3]]"), "{last}");
    let mut sent = Vec::new();
    for id in &ids {
        let records = alice.records(id).await;
        let at = |event: &str| {
            records.iter().find(|record| record["event"] == event).unwrap()["at"].as_str().unwrap().to_owned()
        };
        sent.push((at("turn_sent"), at("round_ended")));
    }
    assert!(sent.windows(2).all(|two| two[0].1 <= two[1].0), "one at a time: {sent:?}");
}

#[tokio::test]
async fn a_conversation_of_the_same_name_is_another_users_own() {
    let mut app = App::with(roomy()).await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    let first = in_trip(&app, &alice, "my secret").await;
    settle(&mut app, &alice, &first).await;
    let other = in_trip(&app, &bob, "[[remember]]").await;
    assert_eq!(reply(&settle(&mut app, &bob, &other).await), "0 before: none");
}

#[tokio::test]
async fn a_turn_without_a_conversation_remembers_nothing() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    for _ in 0..2 {
        let id = app.submit_body(&alice, &json!({"message": "[[remember]]"})).await;
        assert_eq!(reply(&settle(&mut app, &alice, &id).await), "0 before: none");
    }
}

#[tokio::test]
async fn a_conversation_that_was_deleted_is_forgotten_and_one_that_is_being_deleted_runs_to_its_end() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let first = in_trip(&app, &alice, "[[sleep:0.3]][[say:hi]]").await;
    let deleted = alice.send("DELETE", "/v1/conversations/trip", &[], b"").await;
    assert_eq!(deleted.status, 202, "{}", deleted.body);
    let ending = deleted.body["request_id"].as_str().unwrap().to_owned();
    let job = settle(&mut app, &alice, &ending).await;
    assert_eq!(verdict(&job), ("succeeded", ""), "{job}");
    assert_eq!(verdict(&alice.job(&first).await), ("succeeded", ""), "it stood behind the turn");
    assert_eq!(alice.get("/v1/conversations").await.body["conversations"], json!([]));
    let again = in_trip(&app, &alice, "[[remember]]").await;
    assert_eq!(reply(&settle(&mut app, &alice, &again).await), "0 before: none");
}

#[tokio::test]
async fn a_turn_behind_one_that_was_cancelled_goes_on() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    app.gateway().drain(true).await;
    let (first, second) = (in_trip(&app, &alice, "one").await, in_trip(&app, &alice, "[[remember]]").await);
    while app.deliver().await {}
    assert_eq!(alice.cancel(&first).await.status, 200);
    app.gateway().drain(false).await;
    let job = settle(&mut app, &alice, &second).await;
    assert_eq!(reply(&job), "0 before: none", "{job}");
}
