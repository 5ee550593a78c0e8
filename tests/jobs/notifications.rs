//! Notifications: one message of WeChat for what a job has to tell its user, whatever WeChat answers, and no effect on
//! the job.

mod fields;

use std::time::Duration;

use integration_tests::{App, Client};
use local::emulation::{
    wechat_events::{Format, Kind, PushSettings},
    wechat_stub::{PlannedAnswer, PlannedCall, openid},
};
use platform::{
    metrics::{Dimension, Metric},
    runtime::Clock,
};
use serde_json::{Value, json};

const NAME: &str = "job_update";
const TEMPLATE: &str = "hD-ixGOhYmUfjOnI8MCzQMPshzGVeux_2vzyvQu7O68";
/// Longer than any pause between two tries.
const LATER: Duration = Duration::from_secs(300);

/// An app, and a user with this many credits, as the service counts them and as WeChat knows them.
async fn with_credits(credits: usize) -> (App, Client) {
    let (app, alice) = App::start_with("alice").await;
    for _ in 0..credits {
        accept(&app, &alice).await;
    }
    (app, alice)
}

/// The user accepts the template in a dialog, and the client reports it.
async fn accept(app: &App, alice: &Client) {
    app.wechat().accept("alice", TEMPLATE);
    assert_eq!(report(alice, &json!({ "accepted": [NAME] })).await, (204, String::new()));
}

async fn report(client: &Client, body: &Value) -> (u16, String) {
    let headers = [("content-type", "application/json")];
    let reply = client.send("POST", "/v1/notifications", &headers, body.to_string().as_bytes()).await;
    (reply.status.as_u16(), reply.code().to_owned())
}

/// Submits a job that asks for a notification, and brings it to its end and the message on its way.
async fn notified(app: &mut App, alice: &Client) -> (String, Value) {
    let id = app.new_id();
    let body = json!({ "tool": "ledger_append", "arguments": { "note": "n" }, "notify": NAME });
    let reply = alice.submit_body(&id, &body).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    assert_eq!(reply.body["notification"], json!({ "name": NAME, "status": "requested" }));
    let job = app.finish(alice, &id).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 1), "{job}");
    (id, job["notification"].clone())
}

/// What the job shows after every delayed message has come.
async fn shown_later(app: &mut App, alice: &Client, id: &str) -> Value {
    for _ in 0..8 {
        app.advance(LATER).await;
        while app.deliver().await {}
    }
    alice.job(id).await["notification"].clone()
}

fn status(notification: &Value) -> (&str, &str) {
    (notification["status"].as_str().unwrap(), notification["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_job_that_has_ended_is_told_once_with_valid_fields_and_uses_one_credit() {
    let (mut app, alice) = with_credits(1).await;
    let (id, shown) = notified(&mut app, &alice).await;
    assert_eq!(status(&shown), ("sent", ""));
    for _ in 0..3 {
        app.wake(&alice, &id).await;
        app.deliver().await;
    }
    let messages = app.wechat().messages();
    let [message] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(message["touser"], openid(&app.deployment.wechat_app_id, "alice"));
    assert_eq!(message["template_id"], TEMPLATE);
    assert_eq!(message["page"], format!("pages/job/job?request_id={id}"));
    assert_eq!(message["data"]["thing1"]["value"], "Append a note");
    assert_eq!(message["data"]["phrase2"]["value"], "已完成");
    assert_eq!(message["data"]["character_string4"]["value"], id.replace('-', ""));
    assert_eq!(app.wechat().messages_asked(), (1, 1));
    // The credit is used up, and WeChat is not asked in vain.
    let (_, shown) = notified(&mut app, &alice).await;
    assert_eq!(status(&shown), ("not_sent", "no_credit"));
    assert_eq!(app.wechat().messages_asked(), (1, 1));
    assert_eq!(app.metrics.sum(Metric::Notifications, &[]), 2.0);
    assert_eq!(app.metrics.sum(Metric::NotificationFailures, &[]), 0.0);
}

#[tokio::test]
async fn a_job_that_asks_for_none_calls_nobody_and_an_unknown_one_is_422() {
    let (mut app, alice) = with_credits(1).await;
    let job = app.run(&alice, "ledger_append", json!({ "note": "n" })).await;
    assert!(job.get("notification").is_none(), "{job}");
    let id = app.new_id();
    let body = |notify: Value| json!({ "tool": "ledger_append", "arguments": { "note": "n" }, "notify": notify });
    assert_eq!(alice.submit_body(&id, &body(json!("other"))).await.verdict(), (422, "notification_unknown"));
    assert_eq!(alice.submit_body(&id, &body(json!(7))).await.verdict(), (400, "body_invalid"));
    assert_eq!(alice.get(&format!("/v1/jobs/{id}")).await.status, 404);
    assert_eq!(app.wechat().messages_asked(), (0, 0));
    // The same id with another notification is another request.
    assert_eq!(alice.submit_body(&id, &body(json!(NAME))).await.status, 202);
    assert_eq!(alice.submit_body(&id, &body(json!(NAME))).await.status, 200);
    let without = json!({ "tool": "ledger_append", "arguments": { "note": "n" } });
    assert_eq!(alice.submit_body(&id, &without).await.verdict(), (422, "idempotency_key_reused"));
}

#[tokio::test]
async fn a_report_of_acceptances_is_checked_and_charged() {
    let (app, alice) = with_credits(0).await;
    for (body, expected) in [
        (json!({}), (400, "body_invalid")),
        (json!({ "accepted": [] }), (400, "body_invalid")),
        (json!({ "accepted": [NAME, NAME, NAME, NAME] }), (400, "body_invalid")),
        (json!({ "accepted": ["other"] }), (422, "notification_unknown")),
        (json!({ "accepted": NAME }), (400, "body_invalid")),
    ] {
        let (status, code) = report(&alice, &body).await;
        assert_eq!((status, code.as_str()), expected, "{body}");
    }
    assert_eq!(report(&app.anonymous(), &json!({ "accepted": [NAME] })).await.0, 401);
    let tools = alice.get("/v1/tools").await.body;
    assert_eq!(tools["notifications"][0]["template_id"], TEMPLATE, "{tools}");
}

fn failures(app: &App, code: &str) -> f64 {
    app.metrics.sum(Metric::NotificationFailures, &[(Dimension::Code, code)])
}

#[tokio::test]
async fn a_refusal_of_wechat_is_final_and_leaves_the_job_and_the_credit() {
    for (errcode, code) in [
        (40003, "user_unknown"),
        (40037, "template_unknown"),
        (41030, "page_unknown"),
        (45168, "word_refused"),
        (47003, "value_refused"),
        (48001, "not_permitted"),
        (12345, "refused"),
    ] {
        let (mut app, alice) = with_credits(1).await;
        app.wechat().plan(PlannedCall::Send, PlannedAnswer::Errcode(errcode));
        let (id, shown) = notified(&mut app, &alice).await;
        assert_eq!(status(&shown), ("not_sent", code), "{errcode}");
        assert_eq!(status(&shown_later(&mut app, &alice, &id).await), ("not_sent", code), "{errcode}");
        assert_eq!(app.wechat().messages_asked(), (1, 1), "{errcode}");
        assert_eq!(failures(&app, code), 1.0, "{errcode}");
        let alice = app.login("alice").await;
        assert_eq!(status(&notified(&mut app, &alice).await.1), ("sent", ""), "{errcode}: the credit was given back");
    }
}

#[tokio::test]
async fn after_43101_no_credit_is_counted_until_the_user_accepts_again() {
    let (mut app, alice) = with_credits(3).await;
    app.wechat().plan(PlannedCall::Send, PlannedAnswer::Errcode(43101));
    assert_eq!(status(&notified(&mut app, &alice).await.1), ("not_sent", "no_credit"));
    assert_eq!(status(&notified(&mut app, &alice).await.1), ("not_sent", "no_credit"));
    assert_eq!(app.wechat().messages_asked(), (1, 1), "the second was not offered");
    accept(&app, &alice).await;
    assert_eq!(status(&notified(&mut app, &alice).await.1), ("sent", ""));
}

#[tokio::test]
async fn the_quota_of_a_day_stops_every_message_until_the_next_day() {
    let (mut app, alice) = with_credits(3).await;
    app.wechat().plan(PlannedCall::Send, PlannedAnswer::Errcode(45009));
    assert_eq!(status(&notified(&mut app, &alice).await.1), ("not_sent", "quota"));
    assert_eq!(status(&notified(&mut app, &alice).await.1), ("not_sent", "paused"));
    assert_eq!(app.wechat().messages_asked(), (1, 1));
    app.advance(Duration::from_secs(86_400)).await;
    let alice = app.login("alice").await;
    assert_eq!(status(&notified(&mut app, &alice).await.1), ("sent", ""));
}

#[tokio::test]
async fn a_message_that_wechat_has_not_taken_is_sent_later_and_once() {
    for answer in [43108, -1, 45011] {
        let (mut app, alice) = with_credits(1).await;
        app.wechat().plan(PlannedCall::Send, PlannedAnswer::Errcode(answer));
        let (id, shown) = notified(&mut app, &alice).await;
        assert_eq!(shown["status"], "delayed", "{answer}: {shown}");
        assert_eq!(status(&shown_later(&mut app, &alice, &id).await), ("sent", ""), "{answer}");
        assert_eq!((app.wechat().messages().len(), app.wechat().messages_asked()), (1, (1, 2)), "{answer}");
    }
    // A limit on the tries.
    let (mut app, alice) = with_credits(1).await;
    for _ in 0..20 {
        app.wechat().plan(PlannedCall::Send, PlannedAnswer::Errcode(-1));
    }
    let (id, _) = notified(&mut app, &alice).await;
    assert_eq!(status(&shown_later(&mut app, &alice, &id).await), ("not_sent", "wechat_busy"));
    assert_eq!(app.wechat().messages_asked(), (1, 6));
}

#[tokio::test]
async fn a_lost_answer_sends_no_second_message() {
    for (answer, taken) in
        [(PlannedAnswer::Lost, 1), (PlannedAnswer::Html, 0), (PlannedAnswer::Empty, 0), (PlannedAnswer::BadGateway, 0)]
    {
        let (mut app, alice) = with_credits(2).await;
        app.wechat().plan(PlannedCall::Send, answer);
        let (id, shown) = notified(&mut app, &alice).await;
        assert_eq!(status(&shown), ("unknown", ""), "{answer:?}");
        app.wake(&alice, &id).await;
        assert_eq!(status(&shown_later(&mut app, &alice, &id).await), ("unknown", ""), "{answer:?}");
        assert_eq!((app.wechat().messages().len(), app.wechat().messages_asked().1), (taken, 1), "{answer:?}");
    }
}

#[tokio::test]
async fn a_token_that_another_caller_has_replaced_is_fetched_again_and_the_message_is_sent() {
    let (mut app, alice) = with_credits(3).await;
    assert_eq!(status(&notified(&mut app, &alice).await.1), ("sent", ""));
    app.wechat().rotate_token();
    assert_eq!(status(&notified(&mut app, &alice).await.1), ("sent", ""));
    assert_eq!(app.wechat().messages_asked(), (2, 3), "one refusal, one new token, one repetition");
    // A worker that starts anew uses the token of the others.
    app.new_worker(None);
    assert_eq!(status(&notified(&mut app, &alice).await.1), ("sent", ""));
    assert_eq!(app.wechat().messages_asked(), (2, 4));
    // A token that is refused again is not forced.
    accept(&app, &alice).await;
    app.wechat().plan(PlannedCall::Send, PlannedAnswer::Errcode(40001));
    app.wechat().plan(PlannedCall::Send, PlannedAnswer::Errcode(42001));
    let (id, shown) = notified(&mut app, &alice).await;
    assert_eq!(status(&shown), ("delayed", "token_refused"));
    assert_eq!(status(&shown_later(&mut app, &alice, &id).await), ("sent", ""));
}

#[tokio::test]
async fn without_a_token_the_message_waits() {
    let (mut app, alice) = with_credits(1).await;
    for answer in [PlannedAnswer::Errcode(-1), PlannedAnswer::Html, PlannedAnswer::Lost, PlannedAnswer::Errcode(40125)]
    {
        app.wechat().plan(PlannedCall::Token, answer);
    }
    let (id, shown) = notified(&mut app, &alice).await;
    assert_eq!(status(&shown), ("delayed", "wechat_busy"));
    assert_eq!(status(&shown_later(&mut app, &alice, &id).await), ("sent", ""));
    assert_eq!(app.wechat().messages_asked(), (5, 1));
}

#[tokio::test]
async fn copies_of_a_wake_up_message_at_once_send_one_message() {
    let (mut app, alice) = with_credits(2).await;
    let id = app.new_id();
    let body = json!({ "tool": "ledger_append", "arguments": { "note": "n" }, "notify": NAME });
    alice.submit_body(&id, &body).await;
    app.deliver().await;
    for _ in 0..8 {
        app.wake(&alice, &id).await;
    }
    while app.deliver().await {}
    assert_eq!((app.wechat().messages().len(), app.wechat().messages_asked().1), (1, 1));
}

#[tokio::test]
async fn an_approval_that_a_later_step_needs_is_told_and_the_end_too() {
    let (mut app, alice) = with_credits(2).await;
    let id = app.new_id();
    let pay = json!({ "tool": "ledger_pay", "arguments": { "amount": 120, "note": "two coffees" } });
    let body = json!({ "steps": [{ "tool": "ledger_read", "arguments": { "limit": 1 } }, pay], "notify": NAME });
    assert_eq!(alice.submit_body(&id, &body).await.status, 202);
    while app.deliver().await {}
    let job = alice.job(&id).await;
    assert_eq!((&job["status"], status(&job["notification"])), (&json!("awaiting_approval"), ("sent", "")), "{job}");
    assert_eq!(app.wechat().messages()[0]["data"]["phrase2"]["value"], "待你确认");
    assert_eq!(app.wechat().messages()[0]["data"]["thing1"]["value"], "Pay");
    app.approve(&alice, "alice", &id).await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], status(&job["notification"])), (&json!("succeeded"), ("sent", "")), "{job}");
    assert_eq!(app.wechat().messages().len(), 2);
    // An operator sees both, and not what they said.
    let code = job["support_code"].as_str().unwrap();
    let shown = app.operator("zhang", &["viewer"]).get(&format!("/jobs/{code}")).await.body["messages"].clone();
    let of = |place: usize, about: &str| {
        let one = &shown[place];
        assert_eq!(
            (&one["about"], &one["status"], &one["tries"]),
            (&json!(about), &json!("sent"), &json!(1)),
            "{shown}"
        );
        one["place"].clone()
    };
    assert_eq!((of(0, "approval"), of(1, "ended"), shown.as_array().unwrap().len()), (json!(1), Value::Null, 2));
    assert!(!shown.to_string().contains("Pay"), "{shown}");
}

#[tokio::test]
async fn what_the_user_knows_from_an_answer_is_not_told() {
    let (mut app, alice) = with_credits(3).await;
    let pay =
        |amount: i64| json!({ "tool": "ledger_pay", "arguments": { "amount": amount, "note": "n" }, "notify": NAME });
    // The submission's own answer asks for the approval; the user rejects, or cancels.
    let [rejected, cancelled, by_operator] = [(); 3].map(|()| app.new_id());
    for (id, amount) in [(&rejected, 120), (&cancelled, 121), (&by_operator, 700)] {
        assert_eq!(alice.submit_body(id, &pay(amount)).await.body["status"], "awaiting_approval");
    }
    assert_eq!(alice.reject(&rejected).await.status, 200);
    assert_eq!(alice.cancel(&cancelled).await.status, 200);
    while app.deliver().await {}
    assert_eq!(app.wechat().messages_asked(), (0, 0));
    assert_eq!(alice.job(&rejected).await["notification"], json!({ "name": NAME, "status": "requested" }));
    // An operator's decision is news.
    app.operator_decides(&alice, &by_operator, false).await;
    while app.deliver().await {}
    let job = alice.job(&by_operator).await;
    assert_eq!((&job["status"], status(&job["notification"])), (&json!("refused"), ("sent", "")), "{job}");
    assert_eq!(app.wechat().messages()[0]["data"]["phrase2"]["value"], "被拒绝");
}

#[tokio::test]
async fn what_wechat_reports_corrects_the_credits() {
    let (mut app, alice) = with_credits(0).await;
    let document: Value = serde_json::from_slice(&std::fs::read(&app.secrets_file).unwrap()).unwrap();
    let settings = PushSettings::of(&document, &app.deployment.wechat_app_id).unwrap();
    let event = async |app: &mut App, kind: Kind| {
        app.advance(Duration::from_secs(1)).await;
        let message = kind.message(Format::Json, &settings.app_id, "alice", app.clock.now());
        let push = settings.push(&message, app.clock.now(), &app.functions.runtime);
        assert_eq!(app.anonymous().send("POST", &push.path(), &[], push.body.as_bytes()).await.status, 200);
    };
    // An acceptance that the client did not report.
    app.wechat().accept("alice", TEMPLATE);
    event(&mut app, Kind::Accept).await;
    assert_eq!(status(&notified(&mut app, &alice).await.1), ("sent", ""));
    // One that it did report counts once.
    accept(&app, &alice).await;
    event(&mut app, Kind::Accept).await;
    event(&mut app, Kind::Sent).await;
    assert_eq!(status(&notified(&mut app, &alice).await.1), ("sent", ""));
    assert_eq!(status(&notified(&mut app, &alice).await.1), ("not_sent", "no_credit"));
    for kind in [Kind::Reject, Kind::Change] {
        accept(&app, &alice).await;
        event(&mut app, kind).await;
        assert_eq!(status(&notified(&mut app, &alice).await.1), ("not_sent", "no_credit"), "{kind:?}");
    }
    assert_eq!(app.wechat().messages_asked().1, 2);
}

#[tokio::test]
async fn a_worker_without_the_app_secret_sends_nothing_and_says_so() {
    let (mut app, alice) = with_credits(1).await;
    let mut document: Value = serde_json::from_slice(&std::fs::read(&app.secrets_file).unwrap()).unwrap();
    document.as_object_mut().unwrap().remove("wechat");
    std::fs::write(&app.secrets_file, document.to_string()).unwrap();
    app.new_worker(None);
    assert_eq!(status(&notified(&mut app, &alice).await.1), ("not_sent", "not_configured"));
    assert_eq!(app.wechat().messages_asked(), (0, 0));
}
