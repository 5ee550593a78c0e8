//! Deadlines, of a step and of a job, in each situation: queued, asking, out.

use std::time::Duration;

use integration_tests::App;
use platform::runtime::Clock;
use serde_json::{Value, json};

use crate::turns::roomy;

const INVOKE: &str = "/miniprogram/v1/invoke";

fn append() -> Value {
    json!({"tool": "ledger_append", "arguments": {"note": "n"}})
}

fn pay() -> Value {
    json!({"tool": "ledger_pay", "arguments": {"amount": 120, "note": "tea"}})
}

async fn with_deadline(app: &mut App, body: &mut Value, of: &str, seconds: u32) -> String {
    let at = app.clock.now().plus(Duration::from_secs(seconds.into()));
    match of {
        "job" => body["deadline"] = at.to_string().into(),
        _ => body["steps"].as_array_mut().unwrap().iter_mut().for_each(|step| step["deadline_s"] = seconds.into()),
    }
    let alice = app.login("alice").await;
    let id = app.new_id();
    let reply = alice.submit_body(&id, body).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    id
}

#[tokio::test]
async fn a_deadline_that_passes_while_nothing_can_be_sent_ends_the_job_as_failed_and_not_run() {
    for of in ["job", "step"] {
        let mut app = App::with(roomy()).await;
        let id = with_deadline(&mut app, &mut json!({"steps": [append(), append()]}), of, 30).await;
        let alice = app.login("alice").await;
        app.gateway().drain(true).await;
        let began = app.clock.now();
        let job = app.finish(&alice, &id).await;
        assert_eq!(
            (&job["status"], &job["error"]["code"]),
            (&json!("failed"), &json!("deadline_passed")),
            "{of}: {job}"
        );
        assert_eq!((&job["effect"], app.effects(&id)), (&json!("not_run"), 0));
        assert!(app.clock.now().since(began) < Duration::from_secs(200), "{of}: it ends about when it should");
    }
}

#[tokio::test]
async fn an_approval_request_does_not_outlive_the_deadline() {
    for of in ["job", "step"] {
        let mut app = App::with(roomy()).await;
        let id = with_deadline(&mut app, &mut json!({"steps": [append(), pay()]}), of, 60).await;
        let alice = app.login("alice").await;
        while app.deliver().await {}
        assert_eq!(alice.job(&id).await["status"], "awaiting_approval");
        app.advance(Duration::from_secs(61)).await;
        let reply = app.approve(&alice, "alice", &id).await;
        assert_eq!(reply.status, 410, "{of}: {}", reply.body);
        let job = app.finish(&alice, &id).await;
        assert_eq!((&job["status"], &job["effect"]), (&json!("expired"), &json!("ran")), "{of}: {job}");
        assert_eq!(app.effects(&id), 1, "the first step, and no other");
    }
}

#[tokio::test]
async fn a_write_in_flight_at_the_deadline_is_unknown_until_its_outcome_is_known() {
    for of in ["job", "step"] {
        let mut app = App::with(roomy()).await;
        let sleep = json!({"tool": "ledger_sleep", "arguments": {"ms": 3000, "note": "nap"}});
        let id = with_deadline(&mut app, &mut json!({"steps": [sleep, append()]}), of, 20).await;
        let alice = app.login("alice").await;
        while app.deliver().await {}
        app.advance(Duration::from_secs(21)).await;
        let job = app.finish(&alice, &id).await;
        assert_eq!((&job["status"], &job["effect"]), (&json!("unknown"), &json!("unknown")), "{of}: {job}");
        // The call ran to its end nevertheless, and `sweep` has its outcome asked for.
        app.has_written(&id, 2).await;
        // The journal stores the outcome after the tool's last line.
        tokio::time::sleep(Duration::from_millis(100)).await;
        app.advance(Duration::from_secs(120)).await;
        app.sweep().await;
        while app.deliver().await {}
        let alice = app.login("alice").await;
        assert_eq!(alice.job(&id).await["resolution"]["happened"], true);
        assert_eq!(alice.job(&id).await["steps"][1]["outcome"], "not_run", "the next step did not begin");
    }
}

#[tokio::test]
async fn a_write_that_may_be_out_at_the_deadline_is_revoked_and_then_known() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.gateway().next(INVOKE, "reset_before", None, 40).await;
    let id = with_deadline(&mut app, &mut json!({"steps": [append()]}), "step", 10).await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("deadline_passed")), "{job}");
    assert_eq!((&job["effect"], app.effects(&id)), (&json!("not_run"), 0));
}
