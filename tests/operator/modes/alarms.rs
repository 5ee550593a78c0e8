//! Alarms: they lower the mode, once, with a record that names them, and never raise it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use domain::access::service_mode::{Controls, Mode};
use integration_tests::{App, Fault, Setup};
use platform::{metrics::Metric, runtime::Clock};
use serde_json::{Value, json};
use service::controls;

const GATEWAY: &str = "prod-gateway-not-ready";
const AUDIT: &str = "prod-audit-failing";

fn event(messages: &[&str]) -> Value {
    let record =
        |message: &&str| json!({ "EventSource": "aws:sns", "Sns": { "Type": "Notification", "Message": message } });
    json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })
}

fn message(alarm: &str, state: &str) -> String {
    json!({ "AlarmName": alarm, "NewStateValue": state, "OldStateValue": "OK", "Region": "EU (Ireland)" }).to_string()
}

/// Hands an event to sweep; true if it was taken, false if it is to come again.
async fn hand_over(app: &App, event: &Value) -> bool {
    let deadline = app.clock.now().plus(Duration::from_secs(30));
    app.sweep.handle(event, deadline).await.is_ok()
}

async fn alarm(app: &App, name: &str, state: &str) {
    assert!(hand_over(app, &event(&[&message(name, state)])).await);
}

async fn set(app: &App) -> Controls {
    app.table.controls(app.clock.now(), Duration::ZERO).await.unwrap()
}

async fn records(app: &App) -> Vec<Value> {
    app.table.operator_chain(0, 100).await.unwrap().records
}

#[tokio::test]
async fn an_alarm_lowers_the_mode_and_its_name_is_recorded() {
    for (name, mode) in [(GATEWAY, Mode::ExplainOnly), (AUDIT, Mode::ReadOnly)] {
        let (mut app, alice) = App::start_with("alice").await;
        alarm(&app, name, "ALARM").await;
        assert_eq!(app.metrics.values(Metric::ModeChanges, &[]), [1.0]);
        let service = set(&app).await.service;
        assert_eq!((service.mode, service.by), (mode, format!("alarm:{name}")));
        let last = records(&app).await.pop().unwrap();
        assert_eq!((&last["event"], &last["actor"]), (&json!("mode_set"), &json!(format!("alarm:{name}"))), "{last}");
        assert_eq!((&last["mode"], &last["was"]), (&json!(mode.name()), &json!("full")), "{last}");
        app.advance(controls::MAX_AGE).await;
        let reply = alice.submit(&app.new_id(), "ledger_append", json!({"note":"n"})).await;
        let told = if mode == Mode::ReadOnly { reply.code() } else { reply.body["status"].as_str().unwrap() };
        assert_eq!(told, if mode == Mode::ReadOnly { "mode_read_only" } else { "explained" }, "{}", reply.body);
    }
}

#[tokio::test]
async fn an_alarm_never_raises_the_mode_and_its_end_changes_nothing() {
    for mode in Mode::ALL {
        let app = App::with(Setup { mode: Some(mode), ..Setup::default() }).await;
        for (name, lowest) in [(AUDIT, Mode::ReadOnly), (GATEWAY, Mode::ExplainOnly)] {
            for state in ["OK", "INSUFFICIENT_DATA"] {
                let before = (set(&app).await, records(&app).await.len());
                alarm(&app, name, state).await;
                assert_eq!((set(&app).await, records(&app).await.len()), before, "{name} {state}");
            }
            alarm(&app, name, "ALARM").await;
            assert_eq!(set(&app).await.service.mode, mode.min(lowest), "{mode:?} {name}");
            // The same message once more: SNS promises no less.
            let before = records(&app).await.len();
            alarm(&app, name, "ALARM").await;
            assert_eq!(records(&app).await.len(), before, "what is as low already is not recorded");
        }
        alarm(&app, AUDIT, "ALARM").await;
        assert_eq!(set(&app).await.service.mode, mode.min(Mode::ExplainOnly), "the weaker alarm raises nothing");
    }
}

#[tokio::test]
async fn where_no_mode_was_set_only_the_stronger_alarm_sets_one() {
    let app = App::with(Setup { mode: None, ..Setup::default() }).await;
    alarm(&app, AUDIT, "ALARM").await;
    assert!(!set(&app).await.is_set() && records(&app).await.is_empty());
    alarm(&app, GATEWAY, "ALARM").await;
    assert_eq!(set(&app).await.service.mode, Mode::ExplainOnly);
}

#[tokio::test]
async fn garbage_changes_nothing_and_does_not_come_again() {
    let app = App::start().await;
    let before = (set(&app).await, records(&app).await.len());
    let long = format!("{}{AUDIT}", "x".repeat(300));
    for text in ["", "x", "{}", "[]", "null", &message("prod-dead-letters", "ALARM"), &message(&long, "ALARM")] {
        assert!(hand_over(&app, &event(&[text])).await, "{text}");
    }
    for odd in [json!({ "Records": [] }), json!({ "Records": [7, null, { "Sns": 1 }] })] {
        assert!(hand_over(&app, &odd).await, "{odd}");
    }
    assert_eq!((set(&app).await, records(&app).await.len()), before);
    // A valid message in the same event as an unreadable one is handled.
    assert!(hand_over(&app, &event(&["x", &message(AUDIT, "ALARM")])).await);
    assert_eq!(set(&app).await.service.mode, Mode::ReadOnly);
}

#[tokio::test]
async fn a_change_that_cannot_be_recorded_is_not_made_and_comes_again() {
    let app = App::start().await;
    let before = set(&app).await;
    let event = event(&[&message(AUDIT, "ALARM")]);
    app.faults
        .plan_items(|operation, key| (operation == "PutItem" && !key.starts_with("LADDER#")).then_some(Fault::Quoted));
    assert!(!hand_over(&app, &event).await);
    assert_eq!(set(&app).await, before, "recorded first, or not at all");
    app.faults.none();
    assert!(hand_over(&app, &event).await);
    assert_eq!(set(&app).await.service.mode, Mode::ReadOnly);
}

#[tokio::test]
async fn an_answer_that_is_lost_changes_nothing_twice() {
    for fault in [Fault::LostAfter, Fault::Twice] {
        let app = App::start().await;
        let hit = AtomicBool::new(false);
        app.faults.plan_items(move |operation, key| {
            let first = operation == "UpdateItem" && key == "LADDER#SERVICE" && !hit.swap(true, Ordering::SeqCst);
            first.then_some(fault)
        });
        assert!(hand_over(&app, &event(&[&message(AUDIT, "ALARM")])).await);
        app.faults.none();
        let service = set(&app).await.service;
        assert_eq!((service.mode, service.by), (Mode::ReadOnly, format!("alarm:{AUDIT}")));
        assert_eq!(records(&app).await.len(), 2, "the first start's, and this one");
    }
}
