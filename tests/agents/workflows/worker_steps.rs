//! Jobs of several steps, which continue at the cursor after any fault between two steps.

use std::time::Duration;

use integration_tests::{App, Client, Fault, sample::Sample};
use serde_json::{Value, json};

use crate::turns::roomy;

const INVOKE: &str = "/miniprogram/v1/invoke";

fn append(note: &str) -> Value {
    json!({"tool": "ledger_append", "arguments": {"note": note}})
}

fn twenty() -> Value {
    json!({"steps": (0..20).map(|n| append(&format!("step {n}"))).collect::<Vec<_>>()})
}

fn outcomes(job: &Value) -> Vec<&str> {
    job["steps"].as_array().unwrap().iter().map(|step| step["outcome"].as_str().unwrap_or("-")).collect()
}

/// The notes that a job's steps left, in order.
fn notes(app: &App, id: &str) -> Vec<String> {
    let ledger = app.gateway.as_ref().unwrap().ledger();
    integration_tests::app::notes_in(&ledger, id)
}

async fn events(client: &Client, id: &str) -> Vec<String> {
    integration_tests::events(&client.records(id).await).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn twenty_steps_run_once_each_and_in_order() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = app.submit_body(&alice, &twenty()).await;
    let job = app.finish(&alice, &id).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert_eq!(notes(&app, &id), (0..20).map(|n| format!("step {n}")).collect::<Vec<_>>());
    assert_eq!(events(&alice, &id).await.iter().filter(|event| *event == "intended").count(), 20);
}

#[tokio::test]
async fn twenty_steps_run_once_each_though_every_answer_of_the_journal_is_lost() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = app.submit_body(&alice, &twenty()).await;
    app.gateway().next(INVOKE, "reset_after", None, 40).await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], notes(&app, &id).len()), (&json!("succeeded"), 20), "{job}");
}

#[tokio::test]
async fn twenty_steps_run_once_each_though_the_gateway_is_killed_between_each() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = app.submit_body(&alice, &twenty()).await;
    let mut cursor = 0;
    for _ in 0..400 {
        let stored = app.inspect().stored(&alice, &id).await;
        if stored.state.is_over() {
            break;
        }
        if stored.cursor > cursor {
            cursor = stored.cursor;
            app.gateway().restart().await;
        }
        if !app.deliver().await {
            let wait = app.delays.next().unwrap_or(Duration::from_secs(61)).max(Duration::from_millis(10));
            app.advance(wait).await;
            app.sweep().await;
        }
    }
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], notes(&app, &id).len()), (&json!("succeeded"), 20), "{job}");
    assert!(cursor >= 19, "the gateway was killed between each: {cursor}");
}

#[tokio::test]
async fn a_worker_that_dies_anywhere_in_a_workflow_leaves_each_step_one_effect() {
    let mut app = App::with(roomy()).await;
    let mut alice = app.login("alice").await;
    let body = json!({"steps": [append("one"), {"tool": "ledger_read", "arguments": {"limit": 1}}, append("two")]});
    let sample = Sample::of_this_run();
    for place in 0..30 {
        for (case, fault) in (place..).zip([Fault::KilledBefore, Fault::KilledAfter]) {
            if !sample.takes(case, 4) {
                continue;
            }
            let id = app.submit_body(&alice, &body).await;
            app.faults.plan(move |_, n| (n == place).then_some(fault));
            while app.deliver().await {}
            app.faults.none();
            let job = app.finish(&alice, &id).await;
            assert_eq!(job["status"], "succeeded", "{fault:?} at {place}: {job}");
            assert_eq!(notes(&app, &id), ["one", "two"], "{fault:?} at {place}");
        }
        if place % 6 == 4 {
            alice = app.login("alice").await;
        }
    }
}

#[tokio::test]
async fn a_step_that_fails_stops_the_job_which_says_what_was_done() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let body =
        json!({"steps": [append("done"), {"tool": "ledger_fail", "arguments": {"kind": "result"}}, append("never")]});
    let id = app.submit_body(&alice, &body).await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["effect"]), (&json!("failed"), &json!("ran")), "{job}");
    assert_eq!(outcomes(&job), ["succeeded", "failed", "not_run"], "{job}");
    assert_eq!(job["cursor"], 1);
    assert!(!notes(&app, &id).contains(&"never".to_owned()));
}

#[tokio::test]
async fn a_cancel_between_two_steps_stops_the_rest_and_keeps_what_was_done() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = app.submit_body(&alice, &json!({"steps": [append("one"), append("two"), append("three")]})).await;
    app.deliver().await;
    assert_eq!(app.inspect().stored(&alice, &id).await.cursor, 1);
    let cancelled = alice.cancel(&id).await;
    assert_eq!(
        (cancelled.status.as_u16(), &cancelled.body["status"]),
        (200, &json!("cancelled")),
        "{}",
        cancelled.body
    );
    assert_eq!(
        (&cancelled.body["effect"], outcomes(&cancelled.body)),
        (&json!("ran"), vec!["succeeded", "not_run", "not_run"])
    );
    while app.deliver().await {}
    assert_eq!(notes(&app, &id), ["one"]);
}

#[tokio::test]
async fn a_value_from_an_earlier_step_is_asked_about_and_sent_as_it_was_approved() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let from = json!({"$from": {"step": 0, "pointer": "/content/0/text"}});
    let body = json!({"steps": [append("source"), {"tool": "ledger_append", "arguments": {"note": from}}]});
    let id = app.submit_body(&alice, &body).await;
    while app.deliver().await {}
    let job = alice.job(&id).await;
    assert_eq!(job["status"], "awaiting_approval", "{job}");
    let shown = job["approval"]["arguments"]["note"].as_str().unwrap().to_owned();
    assert!(!shown.is_empty() && job["steps"][1]["outcome"].is_null());
    assert_eq!(notes(&app, &id), ["source"], "nothing before the approval");
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    let job = app.finish(&alice, &id).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    let written = notes(&app, &id);
    assert_eq!((written.len(), domain::catalogue::visible_text::visible(&written[1])), (2, shown));
    let events = events(&alice, &id).await;
    let behind = events.iter().skip_while(|event| *event != "derived").take(2).collect::<Vec<_>>();
    assert_eq!(behind, ["derived", "approval_asked"], "{events:?}");
}

#[tokio::test]
async fn a_derived_write_that_is_rejected_stops_the_job() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let from = json!({"$from": {"step": 0, "pointer": "/content/0/text"}});
    let body =
        json!({"steps": [append("source"), {"tool": "ledger_append", "arguments": {"note": from}}, append("never")]});
    let id = app.submit_body(&alice, &body).await;
    while app.deliver().await {}
    assert_eq!(alice.reject(&id).await.status, 200);
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["effect"]), (&json!("refused"), &json!("ran")), "{job}");
    assert_eq!(notes(&app, &id), ["source"]);
}

#[tokio::test]
async fn a_reference_to_nothing_or_to_what_does_not_fit_ends_the_job_with_its_reason() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    for (pointer, code) in [("/nowhere", "derived_missing"), ("/content", "derived_invalid"), ("", "derived_invalid")] {
        let from = json!({"$from": {"step": 0, "pointer": pointer}});
        let body = json!({"steps": [append("source"), {"tool": "ledger_append", "arguments": {"note": from}}]});
        let id = app.submit_body(&alice, &body).await;
        let job = app.finish(&alice, &id).await;
        assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!(code)), "{pointer}: {job}");
        assert_eq!((outcomes(&job), notes(&app, &id).len()), (vec!["succeeded", "not_run"], 1), "{pointer}");
    }
}

#[tokio::test]
async fn a_later_step_requests_its_own_approval_when_the_cursor_reaches_it() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let pay = |note: &str| json!({"tool": "ledger_pay", "arguments": {"amount": 120, "note": note}});
    let id = app.submit_body(&alice, &json!({"steps": [append("first"), pay("tea"), pay("tea")]})).await;
    while app.deliver().await {}
    let first = alice.digest(&id).await;
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    while app.deliver().await {}
    let job = alice.job(&id).await;
    assert_eq!((&job["status"], &job["cursor"]), (&json!("awaiting_approval"), &json!(2)), "{job}");
    // Two equal calls have two approval requests: the first approval does not approve the second call.
    assert_ne!(alice.digest(&id).await, first);
    let again = alice.decide(&id, "approve", &first, Some(&app.fresh_code("alice"))).await;
    assert_eq!(again.status, 200, "it stands: {}", again.body);
    while app.deliver().await {}
    assert_eq!(notes(&app, &id).len(), 2, "a repeated approval changes nothing");
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], notes(&app, &id).len()), (&json!("succeeded"), 3), "{job}");
}
