//! The journal reports progress of a turn by webhook; no other caller can, and turns end without webhooks, too.

use std::time::{Duration, Instant};

use domain::job::{Job, JobEvent, JobState, JobWakeUp, Lease, WakeUpToken};
use integration_tests::{App, Client, Fault, Setup, WAIT_LIMIT};
use platform::runtime::Clock;
use serde_json::{Value, json};
use store::{Commit, Stored};

use super::{roomy, say};

const ROUTE: &str = "/v1/rings";

/// An app whose journal's webhook has been received before.
async fn ringing() -> App {
    let mut app = App::with(Setup { webhook: true, ..roomy() }).await;
    let bob = app.login("bob").await;
    let id = say(&app, &bob, "[[say:first]]").await;
    until(&mut app, &bob, &id, is_over).await;
    app
}

/// Delivers the queued messages without advancing the clock.
async fn until(app: &mut App, client: &Client, id: &str, seen: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        while app.deliver().await {}
        let job = client.job(id).await;
        if seen(&job) {
            return job;
        }
        assert!(began.elapsed() < WAIT_LIMIT, "no report comes: {job}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn is_over(job: &Value) -> bool {
    job["next_poll_ms"].is_null()
}

/// The wake-up token and job that the journal was given for the round in progress.
async fn wake_up_of(app: &App, client: &Client, id: &str) -> JobWakeUp {
    app.inspect().stored(client, id).await.wake_up().expect("a round is out")
}

async fn wake(app: &App, text: &str) -> (u16, String) {
    let body = json!({ "ring": text }).to_string();
    let json = [("content-type", "application/json")];
    let reply = app.anonymous().send("POST", ROUTE, &json, body.as_bytes()).await;
    (reply.status.as_u16(), reply.body["code"].as_str().unwrap_or_default().to_owned())
}

fn over() -> (u16, String) {
    (410, "ring_over".to_owned())
}

#[tokio::test]
async fn the_end_of_a_turn_is_reported_when_it_happens_without_a_poll() {
    let mut app = ringing().await;
    let alice = app.login("alice").await;
    let id = say(&app, &alice, "[[sleep:2]] [[say:done]]").await;
    app.deliver().await;
    let job = app.inspect().stored(&alice, &id).await;
    let next_look = job.check_at.expect("it waits").since(app.clock.now());
    assert!(next_look >= Duration::from_secs(100), "no poll while nothing changes: {next_look:?}");
    let polls = alice.job(&id).await["next_poll_ms"].as_u64().unwrap();
    assert!(polls <= 2000, "a client looks as usual: {polls}");
    let job = until(&mut app, &alice, &id, is_over).await;
    assert_eq!((&job["status"], &job["result"]["reply"]), (&json!("succeeded"), &json!("done")), "{job}");
    assert_eq!(
        app.inspect().stored(&alice, &id).await.rev,
        7,
        "sent in four writes; woken, claimed and ended in three"
    );
}

#[tokio::test]
async fn what_an_agent_does_is_seen_while_it_does_it() {
    let mut app = ringing().await;
    let alice = app.login("alice").await;
    let text = "[[tool:ledger_read {\"limit\":1}]] [[pause:20]] [[say:done]]";
    let id = say(&app, &alice, text).await;
    let used = |job: &Value| {
        let lines = job["steps"][0]["progress"].as_array().cloned().unwrap_or_default();
        lines.iter().any(|line| line["tool"] == "ledger_read" && line["state"] == "done")
    };
    let job = until(&mut app, &alice, &id, used).await;
    assert_eq!(job["status"], "running", "{job}");
    let progress = job["steps"][0]["progress"].as_array().unwrap();
    assert!(progress.iter().all(|one| one.get("arguments").is_none()), "{progress:?}");
}

#[tokio::test]
async fn the_end_of_a_turn_that_was_resumed_after_a_crash_is_reported() {
    let mut app = ringing().await;
    let alice = app.login("alice").await;
    let id = say(&app, &alice, "[[sleep:2]] [[say:survived]]").await;
    super::until_asked(&mut app).await;
    app.gateway().restart().await;
    let job = until(&mut app, &alice, &id, is_over).await;
    assert_eq!((&job["status"], &job["result"]["reply"]), (&json!("succeeded"), &json!("survived")), "{job}");
}

#[tokio::test]
async fn a_step_of_a_workflow_and_each_round_of_a_turn_is_reported() {
    let mut app = ringing().await;
    let alice = app.login("alice").await;
    let read = "[[tool:ledger_pay {\"amount\":5,\"note\":\"n\"}]] [[say:asked]] [[then]] [[sleep:1]] [[say:paid]]";
    let id =
        app.submit_body(&alice, &json!({"steps": [{"message": read}, {"message": "[[sleep:1]] [[say:last]]"}]})).await;
    let asked = until(&mut app, &alice, &id, |job| job["status"] == "awaiting_approval" || is_over(job)).await;
    assert_eq!(asked["status"], "awaiting_approval", "{asked}");
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    let job = until(&mut app, &alice, &id, is_over).await;
    assert_eq!((&job["status"], &job["result"]["reply"]), (&json!("succeeded"), &json!("last")), "{job}");
}

#[tokio::test]
async fn a_lost_report_costs_one_poll_and_a_missing_webhook_many() {
    let mut app = ringing().await;
    let alice = app.login("alice").await;
    let id = say(&app, &alice, "[[sleep:1]] [[say:done]]").await;
    app.deliver().await;
    app.hang_up().await;
    // The journal's webhook is not answered, until it gives up.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!app.deliver().await);
    app.advance(Duration::from_secs(125)).await;
    while app.deliver().await {}
    assert_eq!(alice.job(&id).await["status"], "succeeded");
    // The journal has recorded that its webhooks do not arrive.
    let id = say(&app, &alice, "[[sleep:20]] [[say:done]]").await;
    app.deliver().await;
    let next_look = app.inspect().stored(&alice, &id).await.check_at.expect("it waits").since(app.clock.now());
    assert!(next_look <= Duration::from_secs(30), "{next_look:?}");
}

#[tokio::test]
async fn no_report_is_accepted_without_the_wake_up_token_of_the_current_round() {
    let mut app = App::with(roomy()).await;
    let (alice, bob) = (app.login("alice").await, app.login("bob").await);
    let id = say(&app, &alice, "[[say:done]]").await;
    assert_eq!(app.inspect().stored(&alice, &id).await.wake_up().map(|wake| wake.text()), None, "nothing is out");
    app.deliver().await;
    let right = wake_up_of(&app, &alice, &id).await;
    let nonsense = ["", "x", "..", &right.text()[1..], &format!("{}A", right.text())];
    for text in nonsense {
        assert_eq!(wake(&app, text).await, (400, "body_invalid".to_owned()), "{text}");
    }
    let other = WakeUpToken::from_random([1; 16]);
    for wrong in [
        JobWakeUp { secret: other.clone(), ..right.clone() },
        JobWakeUp { user_id: bob.user_id.parse().unwrap(), ..right.clone() },
        JobWakeUp { request_id: app.new_id().parse().unwrap(), ..right.clone() },
    ] {
        assert_eq!(wake(&app, &wrong.text()).await, over());
    }
    let array = json!([right.text()]).to_string();
    let reply = app.anonymous().send("POST", ROUTE, &[("content-type", "application/json")], array.as_bytes()).await;
    assert_eq!(reply.verdict(), (400, "body_invalid"), "an array of the fields");
    assert!(!app.deliver().await, "none of them has woken it");
    assert_eq!(wake(&app, &right.text()).await, (204, String::new()));
    assert!(app.deliver().await);
    let job = app.finish(&alice, &id).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert_eq!(wake(&app, &right.text()).await, over(), "it is good as long as the round is out");
    assert_eq!(app.inspect().stored(&alice, &id).await.state, JobState::Succeeded);
}

#[tokio::test]
async fn the_wake_up_token_is_never_shown() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = say(&app, &alice, "[[sleep:5]] [[say:done]]").await;
    app.deliver().await;
    let secret = String::from(wake_up_of(&app, &alice, &id).await.secret);
    for path in ["", "/audit", "/steps/0"] {
        let shown = alice.get(&format!("/v1/jobs/{id}{path}")).await;
        assert_eq!(shown.status, 200);
        assert!(!shown.body.to_string().contains(&secret), "{path}");
    }
    assert!(!alice.get("/v1/jobs").await.body.to_string().contains(&secret));
}

#[tokio::test]
async fn a_report_during_a_running_step_is_repeated() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = say(&app, &alice, "[[say:done]]").await;
    app.deliver().await;
    let right = wake_up_of(&app, &alice, &id).await.text();
    app.advance(Duration::from_secs(600)).await;
    let waits = app.inspect().stored(&alice, &id).await;
    let lease = Lease { owner: "another".to_owned(), expires_at: app.clock.now().plus(Duration::from_secs(60)) };
    commit(&app, &waits, JobEvent::Claimed { lease }).await;
    assert_eq!(wake(&app, &right).await, (409, "job_busy".to_owned()));
    // That one has died.
    app.advance(Duration::from_secs(61)).await;
    assert_eq!(wake(&app, &right).await, (204, String::new()));
    assert!(app.deliver().await);
    assert_eq!(app.inspect().stored(&alice, &id).await.state, JobState::Succeeded);
}

async fn commit(app: &App, job: &Job, event: JobEvent) {
    let after = job.apply(event, app.clock.now()).unwrap();
    let Commit::Done = app.inspect().table().commit(job, &after, "nonce-of-this-test").await.unwrap() else {
        panic!("{after:?}")
    };
    let stored = app.inspect().table().job(job.user_id, job.request_id).await.unwrap();
    assert_eq!(stored, Some(Stored::Job(Box::new(after))));
}

#[tokio::test]
async fn a_report_whose_wake_up_message_cannot_be_sent_is_answered_by_503() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let id = say(&app, &alice, "[[say:done]]").await;
    app.deliver().await;
    let right = wake_up_of(&app, &alice, &id).await.text();
    app.faults.plan(|operation, _| (operation == "SendMessage").then_some(Fault::LostBefore));
    assert_eq!(wake(&app, &right).await.0, 503);
    app.faults.none();
    assert_eq!(wake(&app, &right).await.0, 204);
    assert!(app.deliver().await, "it is due already, and woken all the same");
    let job = app.finish(&alice, &id).await;
    assert_eq!(job["status"], "succeeded");
}
