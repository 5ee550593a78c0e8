//! Turns that are cancelled or exceed a deadline, and their progress meanwhile.

use std::time::Duration;

use integration_tests::{App, Client};
use platform::runtime::Clock;
use serde_json::json;

use super::{roomy, say, settle, settle_slowly, until_asked, verdict};

#[tokio::test]
async fn a_cancel_stops_a_turn_that_runs_and_what_would_come_after_it() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let body = json!({"steps": [{"message": "[[sleep:30]]"}, {"tool": "ledger_append", "arguments": {"note": "n"}}]});
    let id = app.submit_body(&alice, &body).await;
    until_asked(&mut app).await;
    let asked = alice.cancel(&id).await;
    assert_eq!((asked.status.as_u16(), &asked.body["cancel_requested"]), (202, &json!(true)), "{}", asked.body);
    let job = settle_slowly(&mut app, &alice, &id).await;
    assert_eq!(
        (verdict(&job), &job["effect"], app.effects(&id)),
        (("cancelled", "cancelled"), &json!("not_run"), 0),
        "{job}"
    );
}

#[tokio::test]
async fn a_cancel_during_a_poll_takes_effect_at_once() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = say(&app, &alice, "[[sleep:30]]").await;
    until_asked(&mut app).await;
    app.advance(Duration::from_secs(60)).await;
    app.gateway().next("/miniprogram/v1/outcome", "hang", None, 1).await;
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(app_state(&alice, &id).await, "running");
        alice.cancel(&id).await
    };
    let (_, cancelled) = tokio::join!(app.deliver(), cancel);
    assert_eq!(cancelled.status, 202, "{}", cancelled.body);
    assert!(app.deliver().await, "it is looked up again without a wait");
    let job = settle_slowly(&mut app, &alice, &id).await;
    assert_eq!(verdict(&job), ("cancelled", "cancelled"), "{job}");
}

async fn app_state(client: &Client, id: &str) -> String {
    client.job(id).await["status"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_deadline_stops_a_turn_that_runs() {
    for of in ["step", "job"] {
        let mut app = App::with(roomy()).await;
        let alice = app.login("alice").await;
        let mut body = json!({"message": "[[sleep:30]]"});
        match of {
            "step" => body["deadline_s"] = 20.into(),
            _ => body["deadline"] = app.clock.now().plus(Duration::from_secs(20)).to_string().into(),
        }
        let id = app.submit_body(&alice, &body).await;
        until_asked(&mut app).await;
        app.advance(Duration::from_secs(20)).await;
        let job = settle_slowly(&mut app, &alice, &id).await;
        assert_eq!((verdict(&job), &job["effect"]), (("failed", "deadline_passed"), &json!("not_run")), "{of}: {job}");
    }
}

#[tokio::test]
async fn a_turn_that_is_over_before_it_is_looked_at_costs_two_looks_and_a_long_one_hardly_more() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let warm = say(&app, &alice, "[[say:warm]]").await;
    settle(&mut app, &alice, &warm).await;
    let units = |app: &App| app.worker.table().consumed().write_units();
    let mut spent = Vec::new();
    for seconds in [1_u64, 30, 300] {
        let alice = app.login("alice").await;
        let (before, began) = (units(&app), app.clock.now());
        // The agent is busy until the polls have been counted.
        let asked = app.gateway().model_calls().await;
        let id = say(&app, &alice, "[[sleep:600]][[say:done]]").await;
        app.deliver().await;
        while app.gateway().model_calls().await == asked {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        while app.clock.now().since(began) < Duration::from_secs(seconds) {
            let next = app.delays.next().unwrap_or(Duration::from_secs(1));
            let left = Duration::from_secs(seconds).saturating_sub(app.clock.now().since(began));
            app.advance(next.min(left).max(Duration::from_millis(10))).await;
            while app.deliver().await {}
        }
        app.gateway().end_pauses().await;
        // The journal writes the end to its disk.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let job = settle(&mut app, &alice, &id).await;
        assert_eq!(verdict(&job).0, "succeeded", "{job}");
        spent.push((seconds, units(&app) - before, app.inspect().stored(&alice, &id).await.rev));
        assert_eq!(alice.records(&id).await.len(), 3);
    }
    println!("COST of a turn (seconds, worker's write units, writes of the job): {spent:?}");
    assert!(spent[2].1 <= 60.0 && spent[0].1 <= 16.0, "{spent:?}");
}
