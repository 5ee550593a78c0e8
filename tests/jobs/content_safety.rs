//! Content safety: a text that WeChat refuses or cannot check reaches no tool, agent, client or log.

use std::time::Duration;

use domain::policy::{Policy, PolicyFiles};
use integration_tests::{App, Client, Setup, events};
use local::emulation::wechat_stub::{PlannedAnswer, PlannedCall};
use platform::{
    metrics::{Dimension, Metric},
    runtime::Clock,
};
use serde_json::{Value, json};

mod decisions;
mod held;

const FILE: &str = "content_safety.toml";
/// A marker in a text that determines the finding of the WeChat stub.
const RISKY: &str = "risky-20006";

/// The policy of the repository with checks, and with an exception for advertising.
fn checking() -> Policy {
    let files = PolicyFiles::built_in().replacing(FILE, "enabled = false", "enabled = true").unwrap();
    let text = format!("{}\n[label.advertising]\nreview = \"pass\"\n", files.text(FILE).unwrap());
    Policy::parse(&files.with(FILE, text)).unwrap()
}

/// An app that checks texts, and a user.
async fn with_checks() -> (App, Client) {
    let mut app = App::with(Setup::roomy()).await;
    let alice = app.login("alice").await;
    app.new_worker(Some(checking()));
    (app, alice)
}

fn plan(app: &App, answers: &[PlannedAnswer]) {
    answers.iter().for_each(|answer| app.wechat().plan(PlannedCall::Check, *answer));
}

fn verdict(job: &Value) -> (&str, &str, &str) {
    let [status, code, effect] =
        [&job["status"], &job["error"]["code"], &job["effect"]].map(|value| value.as_str().unwrap_or_default());
    (status, code, effect)
}

fn note(text: &str) -> Value {
    json!({ "tool": "ledger_append", "arguments": { "note": text } })
}

/// Submits a body, and brings the job to its end.
async fn run(app: &mut App, alice: &Client, body: &Value) -> (String, Value) {
    let id = app.submit_body(alice, body).await;
    let job = settle(app, alice, &id).await;
    (id, job)
}

/// Brings a job to its end, to an approval request, or to a held text.
async fn settle(app: &mut App, alice: &Client, id: &str) -> Value {
    for _ in 0..100 {
        while app.deliver().await {}
        let job = alice.job(id).await;
        if job["status"] == "awaiting_approval" || !job["held"].is_null() || job["next_poll_ms"].is_null() {
            return job;
        }
        // The agent runs by the real clock.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let wait = app.delays.next().unwrap_or(Duration::from_secs(61)).max(Duration::from_millis(10));
        app.advance(wait).await;
    }
    panic!("the job does not settle: {}", alice.job(id).await);
}

fn counted(app: &App, outcome: &str) -> f64 {
    app.metrics.sum(Metric::ContentChecks, &[(Dimension::Suggestion, outcome)])
}

/// The finding in the last record of a chain.
async fn finding(alice: &Client, id: &str) -> Value {
    alice.records(id).await.last().unwrap()["content"].clone()
}

#[tokio::test]
async fn a_text_that_passes_is_sent_and_a_read_or_a_call_without_text_is_not_checked() {
    let (mut app, alice) = with_checks().await;
    let (id, job) = run(&mut app, &alice, &note("two coffees")).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 1), "{job}");
    assert_eq!(events(&alice.records(&id).await), ["accepted", "intended", "ended"]);
    let (id, job) = run(&mut app, &alice, &json!({ "message": "[[say:hello]]" })).await;
    assert_eq!(job["result"], json!({ "reply": "hello", "ai_generated": true }), "{job}");
    assert_eq!(events(&alice.records(&id).await), ["accepted", "turn_sent", "round_ended"]);
    // An exception of the policy for one label.
    let (id, job) = run(&mut app, &alice, &note("review-10001")).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 1), "{job}");
    assert!(finding(&alice, &id).await.is_null());
    app.run(&alice, "ledger_read", json!({ "limit": 1 })).await;
    assert_eq!(app.wechat().checked(), ["two coffees", "[[say:hello]]", "hello", "review-10001"]);
    assert_eq!(app.wechat().messages_asked(), (1, 0), "one token for all of them");
    assert_eq!((counted(&app, "pass"), counted(&app, "review")), (3.0, 1.0));
}

#[tokio::test]
async fn what_a_user_wrote_is_refused_before_an_agent_or_a_write_tool_gets_it_and_no_line_has_it() {
    let (mut app, alice) = with_checks().await;
    let _listening = app.metrics.listen();
    let secret = format!("{RISKY} and words of a user");
    for (body, decision, suggestion, label) in [
        (note(&secret), "refuse", "risky", "crime"),
        (json!({ "message": &secret }), "refuse", "risky", "crime"),
        (json!({ "message": &secret, "conversation": "tea" }), "refuse", "risky", "crime"),
    ] {
        let (id, job) = run(&mut app, &alice, &body).await;
        assert_eq!(verdict(&job), ("refused", "content_refused", "not_run"), "{job}");
        assert_eq!(app.effects(&id), 0);
        let records = alice.records(&id).await;
        assert_eq!(events(&records), ["accepted", "ended"]);
        assert_eq!(records[1]["content"], json!({ "decision": decision, "suggestion": suggestion, "label": label }));
        let text = serde_json::to_string(&records).unwrap();
        assert!(!text.contains("risky-") && !text.contains("words"), "{text}");
        // Another delivery asks WeChat no second time.
        let asked = app.wechat().checked().len();
        app.wake(&alice, &id).await;
        app.deliver().await;
        assert_eq!(app.wechat().checked().len(), asked);
    }
    assert_eq!(app.gateway().model_calls().await, 0);
    assert_eq!(counted(&app, "risky"), 3.0);
    let lines = serde_json::to_string(&(app.metrics.documents(), app.metrics.logs())).unwrap();
    assert!(lines.contains("content safety refuses a text") && lines.contains("crime"));
    for word in ["risky-", "words of a user"] {
        assert!(!lines.contains(word), "{word}");
    }
    // The conversation goes on.
    let (_, job) = run(&mut app, &alice, &json!({ "message": "[[say:on]]", "conversation": "tea" })).await;
    assert_eq!(job["result"]["reply"], "on", "{job}");
}

#[tokio::test]
async fn a_long_text_is_checked_in_pieces_that_cut_neither_an_emoji_nor_a_word() {
    let (mut app, alice) = with_checks().await;
    let text = format!("[[say:ok]]{}👍", "字".repeat(2490));
    assert_eq!(text.chars().count(), 2501);
    let (_, job) = run(&mut app, &alice, &json!({ "message": text })).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    let checked = app.wechat().checked();
    assert_eq!(
        (checked.len(), checked[..2].iter().map(|piece| piece.chars().count()).max()),
        (3, Some(2500)),
        "two pieces, and the reply"
    );
    assert!(checked[..2].iter().any(|piece| piece.ends_with("字👍")), "they are checked at once");
    let across = format!("{}{RISKY}", "字".repeat(2495));
    let (_, job) = run(&mut app, &alice, &json!({ "message": across })).await;
    assert_eq!(verdict(&job), ("refused", "content_refused", "not_run"), "{job}");
    assert_eq!(app.gateway().model_calls().await, 1);
}

#[tokio::test]
async fn a_reply_that_is_refused_is_not_shown_and_its_job_says_what_has_run() {
    let (mut app, alice) = with_checks().await;
    let _listening = app.metrics.listen();
    let words = "[[say:words of a model]]";
    plan(&app, &[PlannedAnswer::Pass, PlannedAnswer::Risky]);
    let (id, job) = run(&mut app, &alice, &json!({ "message": words })).await;
    assert_eq!(verdict(&job), ("failed", "reply_refused", "not_run"), "{job}");
    assert!(job.get("result").is_none(), "{job}");
    assert_eq!(finding(&alice, &id).await, json!({ "decision": "refuse", "suggestion": "risky", "label": "politics" }));
    // After a write of the same job.
    plan(&app, &[PlannedAnswer::Pass, PlannedAnswer::Pass, PlannedAnswer::Risky]);
    let (id, job) = run(&mut app, &alice, &json!({ "steps": [note("n"), { "message": words }, note("never")] })).await;
    assert_eq!((verdict(&job), app.effects(&id)), (("failed", "reply_refused", "ran"), 1), "{job}");
    let step = alice.get(&format!("/v1/jobs/{id}/steps/1")).await.body;
    assert!(step.get("result").is_none(), "{step}");
    let lines =
        serde_json::to_string(&(app.metrics.documents(), app.metrics.logs(), alice.records(&id).await)).unwrap();
    assert!(!lines.contains("words of a model"));
}

#[tokio::test]
async fn a_text_that_a_model_wrote_is_refused_before_it_is_shown_for_approval_or_written() {
    let (mut app, alice) = with_checks().await;
    // The value of an earlier step.
    let reply = json!({ "$from": { "step": 0, "pointer": "/reply" } });
    let derived = json!({ "tool": "ledger_append", "arguments": { "note": reply } });
    let body = json!({ "steps": [{ "message": "[[say:words]]" }, derived] });
    plan(&app, &[PlannedAnswer::Pass, PlannedAnswer::Pass, PlannedAnswer::Risky]);
    let (id, job) = run(&mut app, &alice, &body).await;
    assert_eq!((verdict(&job), app.effects(&id)), (("refused", "content_refused", "not_run"), 0), "{job}");
    assert!(job.get("approval").is_none(), "{job}");
    assert_eq!(app.wechat().checked(), ["[[say:words]]", "words", "words"]);
    // A proposal: the agent is told, and goes on.
    let proposal =
        format!("[[tool:ledger_append {{\"note\":\"{}\"}}]][[then]][[say:done]]", RISKY.replace('-', "\\u002d"));
    let (id, job) = run(&mut app, &alice, &json!({ "message": proposal })).await;
    assert_eq!((&job["status"], &job["result"]["reply"], app.effects(&id)), (&json!("succeeded"), &json!("done"), 0));
    assert_eq!(job["steps"][1]["error"]["code"], "content_refused", "{job}");
    assert_eq!(events(&alice.records(&id).await)[3..], ["ended", "turn_sent", "round_ended"]);
}

#[tokio::test]
async fn what_cannot_be_checked_is_neither_sent_nor_shown() {
    let (mut app, alice) = with_checks().await;
    for errcode in [45009, 40003, 43104, 40129, 43002, 44002, 47001, 48001, 12345] {
        plan(&app, &[PlannedAnswer::Errcode(errcode)]);
        let (id, job) = run(&mut app, &alice, &note("n")).await;
        assert_eq!(verdict(&job), ("failed", "content_unchecked", "not_run"), "{errcode}: {job}");
        assert_eq!((app.effects(&id), events(&alice.records(&id).await)), (0, vec!["accepted", "ended"]), "{errcode}");
    }
    plan(&app, &[PlannedAnswer::Errcode(45009)]);
    let (_, job) = run(&mut app, &alice, &json!({ "message": "[[say:hello]]" })).await;
    assert_eq!(verdict(&job), ("failed", "content_unchecked", "not_run"), "{job}");
    assert_eq!(app.gateway().model_calls().await, 0);
    plan(&app, &[PlannedAnswer::Pass, PlannedAnswer::Errcode(45009)]);
    let (_, job) = run(&mut app, &alice, &json!({ "message": "[[say:hello]]" })).await;
    assert_eq!(verdict(&job), ("failed", "reply_unchecked", "not_run"), "{job}");
    assert!(job.get("result").is_none(), "{job}");
    assert_eq!(counted(&app, "unchecked"), 11.0);
    // Without the app secret, which only an operator can add: an error in the log, with the reason.
    let _listening = app.metrics.listen();
    let mut document: Value = serde_json::from_slice(&std::fs::read(&app.secrets_file).unwrap()).unwrap();
    document.as_object_mut().unwrap().remove("wechat");
    std::fs::write(&app.secrets_file, document.to_string()).unwrap();
    app.new_worker(Some(checking()));
    let (_, job) = run(&mut app, &alice, &note("n")).await;
    assert_eq!(verdict(&job), ("failed", "content_unchecked", "not_run"), "{job}");
    let logs = app.metrics.logs();
    let said = logs.iter().filter(|(_, line)| line["level"] == "ERROR").map(|(_, line)| &line["reason"]);
    assert_eq!(said.collect::<Vec<_>>(), ["not_configured"], "{logs:?}");
}

#[tokio::test]
async fn what_may_be_checked_later_is_checked_then_and_until_then_nothing_is_sent() {
    let (mut app, alice) = with_checks().await;
    let passing = [
        PlannedAnswer::Errcode(-1),
        PlannedAnswer::Errcode(44991),
        PlannedAnswer::Errcode(61010),
        PlannedAnswer::Html,
        PlannedAnswer::Empty,
        PlannedAnswer::BadGateway,
        PlannedAnswer::Lost,
    ];
    plan(&app, &passing);
    let (id, job) = run(&mut app, &alice, &note("n")).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 1), "{job}");
    plan(&app, &[PlannedAnswer::Pass]);
    plan(&app, &passing);
    let (_, job) = run(&mut app, &alice, &json!({ "message": "[[say:hello]]" })).await;
    assert_eq!(job["result"]["reply"], "hello", "{job}");
    assert_eq!(app.gateway().model_calls().await, 1, "the reply is read again, and not written again");
    // WeChat cannot be reached for as long as the job may begin.
    plan(&app, &[PlannedAnswer::BadGateway; 20]);
    let mut body = note("n");
    body["not_after"] = app.clock.now().plus(Duration::from_secs(20)).to_string().into();
    let (id, job) = run(&mut app, &alice, &body).await;
    assert_eq!((verdict(&job), app.effects(&id)), (("expired", "not_after_passed", "not_run"), 0), "{job}");
}

#[tokio::test]
async fn a_token_that_another_caller_has_replaced_is_fetched_once_and_never_forced() {
    let (mut app, alice) = with_checks().await;
    run(&mut app, &alice, &note("n")).await;
    app.wechat().rotate_token();
    let (_, job) = run(&mut app, &alice, &note("n")).await;
    assert_eq!((&job["status"], app.wechat().messages_asked().0), (&json!("succeeded"), 2), "{job}");
    // Refused again: later, with the same token, since WeChat gives no other.
    plan(&app, &[PlannedAnswer::Errcode(40001), PlannedAnswer::Errcode(42001)]);
    let (id, job) = run(&mut app, &alice, &note("n")).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 1), "{job}");
    // No token at all.
    app.wechat().rotate_token();
    for _ in 0..2 {
        app.wechat().plan(PlannedCall::Token, PlannedAnswer::Errcode(-1));
    }
    let (_, job) = run(&mut app, &alice, &note("n")).await;
    assert_eq!(job["status"], "succeeded", "{job}");
}

/// Submits a message, and lets WeChat answer 61010 when the reply is checked, and at the checks in the
/// two hours in which the user's last login still counts.
async fn held(app: &mut App, alice: &Client) -> String {
    let before = counted(app, "unchecked");
    plan(app, &[PlannedAnswer::Pass]);
    plan(app, &[PlannedAnswer::Errcode(61010); 4]);
    let id = app.submit_body(alice, &json!({ "message": "[[say:hello]]" })).await;
    while counted(app, "unchecked") == before {
        while app.deliver().await {}
        // The agent runs by the real clock.
        tokio::time::sleep(Duration::from_millis(20)).await;
        app.advance(Duration::from_secs(2)).await;
    }
    let job = alice.job(&id).await;
    assert_eq!((&job["status"], job.get("result")), (&json!("running"), None), "{job}");
    id
}

/// Lets hours pass, in steps in which every delayed message comes.
async fn hours(app: &mut App, hours: u64) {
    for _ in 0..hours * 2 {
        app.advance(Duration::from_secs(1800)).await;
        while app.deliver().await {}
    }
}

#[tokio::test]
async fn a_reply_is_held_for_a_user_who_is_away_and_shown_after_the_next_login() {
    let (mut app, alice) = with_checks().await;
    app.new_edge(Some(checking()));
    let id = held(&mut app, &alice).await;
    hours(&mut app, 5).await;
    let before = app.wechat().checked().len();
    let alice = app.login("alice").await;
    assert_eq!(alice.job(&id).await["status"], "running");
    // No time has to pass: the login has woken the job.
    while app.deliver().await {}
    assert_eq!(alice.job(&id).await["result"], json!({ "reply": "hello", "ai_generated": true }));
    assert_eq!((app.wechat().checked().len(), app.gateway().model_calls().await), (before + 1, 1));
    // After a day without a login the reply is not shown.
    let id = held(&mut app, &alice).await;
    hours(&mut app, 25).await;
    let alice = app.login("alice").await;
    let job = alice.job(&id).await;
    assert_eq!(verdict(&job), ("failed", "reply_unchecked", "not_run"), "{job}");
    assert!(job.get("result").is_none(), "{job}");
}

#[tokio::test]
async fn a_login_during_a_look_at_a_held_reply_has_it_checked_at_once() {
    let (mut app, alice) = with_checks().await;
    let id = held(&mut app, &alice).await;
    hours(&mut app, 5).await;
    app.advance(Duration::from_secs(1800)).await;
    // The login finds the job running, so it can only record its time: here by an edge-auth that wakes no held reply.
    let alice = app.login("alice").await;
    let mut items = app.inspect().stored_items().await;
    items.retain(|item| item["pk"]["S"] == format!("U#{}", alice.user_id) && item["sk"]["S"] == "USER");
    items[0]["la"]["N"] = app.clock.now().plus(Duration::from_secs(60)).millis().to_string().into();
    app.inspect().store_items(&items).await;
    plan(&app, &[PlannedAnswer::Errcode(61010)]);
    while app.deliver().await {}
    assert_eq!(alice.job(&id).await["status"], "running");
    app.advance(Duration::from_secs(2)).await;
    while app.deliver().await {}
    let job = alice.job(&id).await;
    assert_eq!(job["result"], json!({ "reply": "hello", "ai_generated": true }), "{job}");
}

#[tokio::test]
async fn a_held_reply_outlives_a_gateway_and_a_wechat_that_do_not_answer_and_a_cancel_ends_it() {
    let (mut app, alice) = with_checks().await;
    app.new_edge(Some(checking()));
    let id = held(&mut app, &alice).await;
    hours(&mut app, 5).await;
    app.gateway().kill().await;
    hours(&mut app, 1).await;
    app.gateway().restart().await;
    plan(&app, &[PlannedAnswer::Errcode(-1)]);
    let alice = app.login("alice").await;
    while app.deliver().await {}
    assert_eq!(alice.job(&id).await["status"], "running");
    hours(&mut app, 1).await;
    let job = alice.job(&id).await;
    assert_eq!(job["result"], json!({ "reply": "hello", "ai_generated": true }), "{job}");
    let id = held(&mut app, &alice).await;
    assert_eq!(alice.cancel(&id).await.status, 202);
    while app.deliver().await {}
    let job = alice.job(&id).await;
    assert_eq!((&job["status"], job.get("result")), (&json!("cancelled"), None), "{job}");
}

/// Read and write units of the worker for one write, with a token that is stored and caches that are filled.
async fn units_of_a_write(app: &mut App, alice: &Client) -> (f64, f64) {
    run(app, alice, &note("n")).await;
    let before = app.worker.table().consumed();
    let before = (before.read_units(), before.write_units());
    run(app, alice, &note("n")).await;
    let after = app.worker.table().consumed();
    (after.read_units() - before.0, after.write_units() - before.1)
}

#[tokio::test]
async fn a_check_costs_two_reads_and_no_write() {
    let (mut app, alice) = with_checks().await;
    let with = units_of_a_write(&mut app, &alice).await;
    app.new_worker(None);
    let without = units_of_a_write(&mut app, &alice).await;
    println!("UNITS of a write with content safety {with:?}, without {without:?}");
    assert_eq!((with.0 - without.0, with.1 - without.1), (2.0, 0.0));
}

#[tokio::test]
async fn switched_off_it_calls_nobody() {
    let (mut app, alice) = App::start_with("alice").await;
    let (id, job) = run(&mut app, &alice, &note(RISKY)).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 1), "{job}");
    let (_, job) = run(&mut app, &alice, &json!({ "message": format!("[[say:{RISKY}]]") })).await;
    assert_eq!(job["result"], json!({ "reply": RISKY, "ai_generated": true }), "{job}");
    assert_eq!((app.wechat().checked().len(), app.wechat().messages_asked()), (0, (0, 0)));
}
