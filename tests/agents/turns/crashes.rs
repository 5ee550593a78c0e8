//! Gateways that are killed during a turn. The turn is identified by its session, never sent again.

use std::time::Duration;

use integration_tests::App;
use serde_json::json;

use super::{TURNS, reply, roomy, say, settle, settle_slowly, until_asked, until_resumed, verdict};

async fn turns_sent(app: &mut App) -> u64 {
    app.gateway().counts().await[TURNS].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn a_turn_whose_gateway_died_is_brought_to_its_end_and_never_sent_again() {
    for (text, place) in [
        ("[[sleep:1]][[say:done]]", "in the model call"),
        ("[[tool:ledger_read {}]][[pause:1]][[say:done]]", "between the tool and the reply"),
    ] {
        let mut app = App::with(roomy()).await;
        let alice = app.login("alice").await;
        let id = say(&app, &alice, text).await;
        until_asked(&mut app).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        app.gateway().restart().await;
        let job = settle_slowly(&mut app, &alice, &id).await;
        assert_eq!((verdict(&job), reply(&job)), (("succeeded", ""), "done"), "{place}: {job}");
        assert_eq!(turns_sent(&mut app).await, 0, "{place}: the new gateway was only asked");
    }
}

#[tokio::test]
async fn a_turn_whose_gateway_died_twice_still_ends_in_one_state() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = say(&app, &alice, "[[sleep:1]][[say:done]]").await;
    until_asked(&mut app).await;
    app.gateway().restart().await;
    until_resumed(&mut app).await;
    app.gateway().restart().await;
    let job = settle_slowly(&mut app, &alice, &id).await;
    assert!(matches!(verdict(&job), ("succeeded", "") | ("failed", "turn_lost")), "{job}");
    assert_eq!(turns_sent(&mut app).await, 0);
}

#[tokio::test]
async fn a_turn_that_the_gateway_gives_up_is_lost_and_harmless() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = say(&app, &alice, "[[lost]][[sleep:1]][[say:never]]").await;
    until_asked(&mut app).await;
    app.gateway().restart().await;
    let job = settle_slowly(&mut app, &alice, &id).await;
    assert_eq!((job["status"].as_str(), &job["effect"]), (Some("failed"), &json!("not_run")), "{job}");
}

#[tokio::test]
async fn a_turn_of_a_journal_that_was_wiped_is_lost_and_not_sent_to_the_new_one() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = say(&app, &alice, "[[gone]][[sleep:2]][[say:never]]").await;
    until_asked(&mut app).await;
    app.gateway().lose_journal().await;
    let job = settle_slowly(&mut app, &alice, &id).await;
    assert_eq!((verdict(&job), &job["effect"]), (("failed", "turn_lost"), &json!("not_run")), "{job}");
    assert_eq!(turns_sent(&mut app).await, 0);
}

#[tokio::test]
async fn a_journal_that_is_lost_between_two_rounds_stops_nothing_that_was_not_out() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let text = "[[tool:ledger_pay {\"amount\":120,\"note\":\"tea\"}]][[then]][[say:paid]]";
    let id = say(&app, &alice, text).await;
    assert_eq!(settle(&mut app, &alice, &id).await["status"], "awaiting_approval");
    app.gateway().lose_journal().await;
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!((verdict(&job), reply(&job), app.effects(&id)), (("succeeded", ""), "paid", 1), "{job}");
}

#[tokio::test]
async fn a_gateway_that_dies_under_a_proposed_write_makes_the_job_unknown_and_the_write_is_never_sent_again() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = say(&app, &alice, "[[tool:ledger_sleep {\"ms\":5000,\"note\":\"nap\"}]][[then]][[say:slept]]").await;
    settle(&mut app, &alice, &id).await;
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    app.deliver().await;
    app.begun(&id).await;
    app.gateway().restart().await;
    let job = settle_slowly(&mut app, &alice, &id).await;
    assert_eq!((&job["status"], &job["effect"], app.effects(&id)), (&json!("unknown"), &json!("unknown"), 1), "{job}");
}

#[tokio::test]
async fn a_round_that_was_not_claimed_is_not_sent_again_before_the_tool_guard_of_the_new_gateway_is_proven() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.gateway().next(TURNS, "reset_before", None, 2).await;
    let id = say(&app, &alice, "[[say:hi]]").await;
    app.deliver().await;
    assert!(app.inspect().journaled(&alice, &id).await, "it may be out");
    app.gateway().restart().await;
    app.gateway().next("/miniprogram/v1/canary", "status", Some(503), 100).await;
    for _ in 0..4 {
        app.advance(app.delays.next().unwrap_or(Duration::from_secs(31))).await;
        while app.deliver().await {}
    }
    assert_eq!((turns_sent(&mut app).await, app.gateway().model_calls().await), (0, 0), "nothing is sent");
    // The guard probe of this gateway succeeds.
    app.gateway().restart().await;
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!((verdict(&job), reply(&job), app.gateway().model_calls().await), (("succeeded", ""), "hi", 1), "{job}");
}

#[tokio::test]
async fn a_turn_never_begins_while_the_tool_guard_is_unproven() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    app.gateway().next("/miniprogram/v1/canary", "status", Some(503), 1000).await;
    let id = say(&app, &alice, "[[say:never]]").await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((verdict(&job), &job["effect"]), (("expired", "not_after_passed"), &json!("not_run")), "{job}");
    assert_eq!(turns_sent(&mut app).await, 0);
}
