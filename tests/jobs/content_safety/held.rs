//! A text that policy holds is sent or shown only after an operator has let exactly it pass.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use integration_tests::{App, Client, OperatorClient, events};
use serde_json::{Value, json};

use super::{checking, note, plan, run, settle, verdict, with_checks};
use local::emulation::wechat_stub::PlannedAnswer;

/// WeChat's stub finds what a text says of itself.
pub(super) const HELD: &str = "review-20002";

async fn list(operator: &OperatorClient) -> Vec<Value> {
    operator.get("/held-texts").await.body["held_texts"].as_array().unwrap().clone()
}

async fn code(alice: &Client, id: &str) -> String {
    alice.job(id).await["support_code"].as_str().unwrap().to_owned()
}

pub(super) fn path(job: &str) -> String {
    format!("/jobs/{job}/held-text")
}

/// Decides about the text that the operator is shown.
pub(super) async fn decide(operator: &OperatorClient, job: &str, decision: &str) -> integration_tests::Reply {
    let digest = operator.get(&path(job)).await.body["digest"].clone();
    operator.post(&path(job), json!({ "decision": decision, "digest": digest })).await
}

/// What an export has of the requests of a job that differ from its submission.
async fn exported(alice: &Client, id: &str) -> Vec<Value> {
    let export = alice.get("/v1/users/me/export?limit=100").await.body;
    let items = export["items"].as_array().unwrap().iter();
    items
        .filter(|item| item["kind"] == "request" && item["request_id"] == id)
        .map(|item| item["content"].clone())
        .collect()
}

/// Waits until the reply of a turn is held.
pub(super) async fn with_held_reply(app: &mut App, alice: &Client, words: &str) -> (String, String) {
    plan(app, &[PlannedAnswer::Pass]);
    let id = app.submit_body(alice, &json!({ "message": format!("[[say:{HELD} {words}]]") })).await;
    let job = settle(app, alice, &id).await;
    assert_eq!((&job["status"], &job["held"]["code"]), (&json!("running"), &json!("reply_held")), "{job}");
    assert!(job.get("result").is_none(), "{job}");
    let code = code(alice, &id).await;
    (id, code)
}

#[tokio::test]
async fn a_held_text_is_sent_once_after_an_operator_let_it_pass_and_not_at_all_after_a_refusal() {
    let (mut app, alice) = with_checks().await;
    let _listening = app.metrics.listen();
    let (shang, viewer) = (app.operator("shang", &["approver"]), app.operator("li", &["viewer"]));
    let text = format!("{HELD} words of a user");
    for (body, what, name) in [
        (note(&text), "arguments", "ledger_append"),
        (json!({ "message": format!("{text}\n[[say:done]]\u{200b}"), "conversation": "tea" }), "message", "main"),
    ] {
        let (id, job) = run(&mut app, &alice, &body).await;
        let held = &job["held"];
        assert_eq!(
            (&job["status"], &held["code"], &held["what"]),
            (&json!("awaiting_approval"), &json!("content_held"), &json!(what))
        );
        assert!(job.get("approval").is_none() && app.effects(&id) == 0, "{job}");
        let listed = list(&viewer).await;
        let entry = json!([
            listed[0]["what"],
            listed[0]["name"],
            listed[0]["suggestion"],
            listed[0]["label"],
            listed[0]["own"]
        ]);
        assert_eq!((listed.len(), entry), (1, json!([what, name, "review", "porn", false])), "{listed:?}");
        assert!(!format!("{listed:?}").contains("words"), "{listed:?}");
        let job = listed[0]["job"].as_str().unwrap();
        assert_eq!(viewer.get(&path(job)).await.verdict(), (403, "operator_forbidden"));
        let shown = shang.get(&path(job)).await.body;
        let (digest, asked) = (shown["digest"].clone(), app.wechat().checked().len());
        match what {
            "arguments" => assert_eq!(shown["arguments"], json!({ "note": text }), "{shown}"),
            _ => assert_eq!(shown["text"], format!("{text}\n[[say:done]]\\u200b"), "{shown}"),
        }
        let other = json!({ "decision": "pass", "digest": "A".repeat(43) });
        assert_eq!(shang.post(&path(job), other).await.verdict(), (409, "text_digest_mismatch"));
        let pass = json!({ "decision": "pass", "digest": digest, "note": "a joke" });
        assert_eq!(viewer.post(&path(job), pass.clone()).await.verdict(), (403, "operator_forbidden"));
        assert_eq!(shang.post(&path(job), pass.clone()).await.body["view"]["status"], "queued");
        assert_eq!(shang.post(&path(job), pass).await.status, 200, "repeated");
        let refuse = json!({ "decision": "refuse", "digest": digest });
        assert_eq!(shang.post(&path(job), refuse.clone()).await.verdict(), (409, "text_decided"));
        assert_eq!(shang.get(&path(job)).await.verdict(), (409, "text_not_held"));
        let done = settle(&mut app, &alice, &id).await;
        assert_eq!(done["status"], "succeeded", "{done}");
        let again = app.wechat().checked();
        assert!(
            !again[asked..].iter().any(|checked| checked.contains(HELD)),
            "decided texts are not checked: {again:?}"
        );
        assert!(list(&viewer).await.is_empty() && done.get("held").is_none());
        let records = alice.records(&id).await;
        assert_eq!(events(&records)[..3], ["accepted", "text_held", "text_decided"]);
        assert_eq!(
            (&records[1]["what"], &records[1]["digest"], &records[2]["digest"]),
            (&json!(what), &digest, &digest)
        );
        assert_eq!(records[1]["content"], json!({ "decision": "hold", "suggestion": "review", "label": "porn" }));

        let (id, job) = run(&mut app, &alice, &body).await;
        assert_eq!(decide(&shang, job["support_code"].as_str().unwrap(), "refuse").await.status, 200);
        let job = settle(&mut app, &alice, &id).await;
        assert_eq!((verdict(&job), app.effects(&id)), (("refused", "content_refused", "not_run"), 0), "{job}");
        assert_eq!(events(&alice.records(&id).await), ["accepted", "text_held", "text_decided"]);
    }
    assert_eq!(app.gateway().model_calls().await, 1);
    // The conversation goes on, and nothing that is kept for ever has the words.
    let (_, job) = run(&mut app, &alice, &json!({ "message": "[[say:on]]", "conversation": "tea" })).await;
    assert_eq!(job["result"]["reply"], "on", "{job}");
    let decided: Vec<_> = shang.told().await.into_iter().filter(|record| record["event"] == "text_decided").collect();
    assert_eq!((decided.len(), &decided[0]["passed"], &decided[0]["reason"]), (4, &json!(true), &json!("a joke")));
    let lines = serde_json::to_string(&(app.metrics.documents(), app.metrics.logs(), shang.told().await)).unwrap();
    assert!(lines.contains("content safety holds a text"));
    for word in ["review-2", "words of a user"] {
        assert!(!lines.contains(word), "{word}");
    }
}

#[tokio::test]
async fn a_text_that_no_operator_decides_about_in_time_is_refused_and_a_cancel_ends_the_wait() {
    let (mut app, alice) = with_checks().await;
    let shang = app.operator("shang", &["approver"]);
    let (id, job) = run(&mut app, &alice, &note(HELD)).await;
    let (code, held) = (job["support_code"].as_str().unwrap().to_owned(), job["held"].clone());
    assert_eq!(held["expires_at"], job["not_after"], "it must not be sent later");
    let digest = list(&shang).await[0]["digest"].clone();
    app.advance(Duration::from_secs(1000)).await;
    assert!(list(&shang).await.is_empty());
    let pass = json!({ "decision": "pass", "digest": digest });
    assert_eq!(shang.post(&path(&code), pass.clone()).await.verdict(), (410, "text_decision_expired"));
    while app.deliver().await {}
    let job = alice.job(&id).await;
    assert_eq!((verdict(&job), app.effects(&id)), (("refused", "content_undecided", "not_run"), 0), "{job}");
    assert_eq!(events(&alice.records(&id).await), ["accepted", "text_held", "text_lapsed"]);
    assert_eq!(shang.post(&path(&code), pass).await.verdict(), (410, "text_decision_expired"));

    let (id, job) = run(&mut app, &alice, &note(HELD)).await;
    assert_eq!(alice.cancel(&id).await.body["status"], "cancelled");
    let code = job["support_code"].as_str().unwrap();
    assert_eq!(shang.get(&path(code)).await.verdict(), (409, "text_not_held"));
    assert!(list(&shang).await.is_empty());
}

#[tokio::test]
async fn a_text_waits_for_an_operator_and_its_call_for_its_approver_each_once() {
    let (mut app, alice) = with_checks().await;
    let shang = app.operator("shang", &["approver"]);
    // The user has approved what they wrote; then it is checked.
    let pay = json!({ "tool": "ledger_pay", "arguments": { "amount": 5, "note": HELD } });
    let (id, job) = run(&mut app, &alice, &pay).await;
    assert!(job.get("held").is_none() && job["approval"]["digest"].is_string(), "{job}");
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!(
        (&job["held"]["code"], &job["approval"]["decision"]),
        (&json!("content_held"), &json!("approve")),
        "{job}"
    );
    assert!(shang.get("/approvals").await.body["approvals"].as_array().unwrap().is_empty());
    assert_eq!(decide(&shang, &code(&alice, &id).await, "pass").await.status, 200);
    let job = settle(&mut app, &alice, &id).await;
    assert_eq!((&job["status"], app.effects(&id)), (&json!("succeeded"), 1), "{job}");
    // What an agent proposes is checked before anyone is shown it for an approval.
    let proposal = format!(
        "[[tool:ledger_pay {{\"amount\":501,\"note\":\"{}\"}}]][[then]][[say:done]]",
        HELD.replace('-', "\\u002d")
    );
    for (decision, steps) in [("pass", "succeeded"), ("refuse", "refused")] {
        let (id, job) = run(&mut app, &alice, &json!({ "message": proposal })).await;
        assert_eq!((&job["held"]["place"], job.get("approval")), (&json!(1), None), "{job}");
        let proposed = json!({ "amount": 501, "note": HELD }).to_string();
        assert_eq!(exported(&alice, &id).await, [json!({ "omitted": "not_sent" })]);
        assert_eq!(decide(&shang, &code(&alice, &id).await, decision).await.status, 200);
        let mut job = settle(&mut app, &alice, &id).await;
        if decision == "pass" {
            let asked = shang.approval_request().await;
            assert_eq!(asked["arguments"], json!({ "amount": 501, "note": HELD }), "{asked}");
            let (of, digest) = (asked["job"].as_str().unwrap(), asked["digest"].as_str().unwrap());
            assert_eq!(shang.decide(of, "approve", digest).await.status, 200);
            job = settle(&mut app, &alice, &id).await;
        }
        assert_eq!((&job["result"]["reply"], &job["steps"][1]["outcome"]), (&json!("done"), &json!(steps)), "{job}");
        assert_eq!(app.effects(&id), usize::from(decision == "pass"));
        // Only what the user was shown is theirs to export.
        let export = Value::from(exported(&alice, &id).await).to_string();
        assert_eq!(export.contains(&proposed), decision == "pass", "{export}");
    }
}

#[tokio::test]
async fn a_held_reply_is_shown_after_an_operator_let_it_pass_and_never_otherwise() {
    let (mut app, alice) = with_checks().await;
    let _listening = app.metrics.listen();
    let shang = app.operator("shang", &["approver"]);
    let (id, job) = with_held_reply(&mut app, &alice, "words of a model").await;
    let shown = shang.get(&path(&job)).await.body;
    assert_eq!(
        (&shown["what"], &shown["text"]),
        (&json!("reply"), &json!(format!("{HELD} words of a model"))),
        "{shown}"
    );
    let export = alice.get("/v1/users/me/export").await.body;
    assert!(export.to_string().contains("HELD#") && !export.to_string().contains("\"text\":\"review"), "{export}");
    // After a look it still waits, and WeChat is not asked again.
    let asked = app.wechat().checked().len();
    app.advance(Duration::from_secs(1800)).await;
    while app.deliver().await {}
    assert_eq!((&alice.job(&id).await["held"]["what"], app.wechat().checked().len()), (&json!("reply"), asked));
    assert_eq!(decide(&shang, &job, "pass").await.status, 200);
    while app.deliver().await {}
    let done = alice.job(&id).await;
    assert_eq!(done["result"], json!({ "reply": format!("{HELD} words of a model"), "ai_generated": true }), "{done}");
    assert_eq!(
        events(&alice.records(&id).await),
        ["accepted", "turn_sent", "text_held", "text_decided", "round_ended"]
    );

    for checks_go_on in [true, false] {
        let (id, job) = with_held_reply(&mut app, &alice, "words of a model").await;
        assert_eq!(decide(&shang, &job, "refuse").await.status, 200);
        if !checks_go_on {
            app.new_worker(None);
        }
        while app.deliver().await {}
        let done = alice.job(&id).await;
        assert_eq!((verdict(&done), done.get("result")), (("failed", "reply_refused", "not_run"), None), "{done}");
    }
    app.new_worker(Some(checking()));

    let (id, job) = with_held_reply(&mut app, &alice, "words of a model").await;
    let digest = list(&shang).await[0]["digest"].clone();
    for _ in 0..50 {
        app.advance(Duration::from_secs(1800)).await;
        while app.deliver().await {}
    }
    let (alice, shang) = (app.login("alice").await, app.operator("shang", &["approver"]));
    let done = alice.job(&id).await;
    assert_eq!((verdict(&done), done.get("result")), (("failed", "reply_undecided", "not_run"), None), "{done}");
    let late = json!({ "decision": "pass", "digest": digest });
    assert_eq!(shang.post(&path(&job), late).await.status, 410);

    let (id, job) = with_held_reply(&mut app, &alice, "words of a model").await;
    assert_eq!(alice.cancel(&id).await.status, 202);
    while app.deliver().await {}
    let done = alice.job(&id).await;
    assert_eq!((&done["status"], done.get("result")), (&json!("cancelled"), None), "{done}");
    assert_eq!(shang.get(&path(&job)).await.verdict(), (409, "text_not_held"));
    let lines = serde_json::to_string(&(app.metrics.documents(), app.metrics.logs(), shang.told().await)).unwrap();
    assert!(!lines.contains("words of a model"));
}

#[tokio::test]
async fn an_operator_neither_sees_nor_decides_their_own_text_and_a_changed_text_is_not_shown() {
    let (mut app, alice) = with_checks().await;
    let shang = app.operator("shang", &["approver"]);
    let (id, job) = run(&mut app, &alice, &note(HELD)).await;
    let job = job["support_code"].as_str().unwrap();
    let digest = list(&shang).await[0]["digest"].clone();
    assert_eq!(shang.post("/me/users", json!({ "user_id": alice.user_id })).await.status, 200);
    assert_eq!(list(&shang).await[0]["own"], true);
    assert_eq!(shang.get(&path(job)).await.verdict(), (403, "approval_own_request"));
    let pass = json!({ "decision": "pass", "digest": digest });
    assert_eq!(shang.post(&path(job), pass.clone()).await.verdict(), (403, "approval_own_request"));
    // Another text in the place of the one that would be sent.
    let zhao = app.operator("zhao", &["approver"]);
    let mut items = app.inspect().stored_items().await;
    items.retain(|item| item["sk"]["S"].as_str().is_some_and(|sk| sk.starts_with("HELD#")));
    assert_eq!(items.len(), 1);
    let original = items.clone();
    let other = json!({ "what": "arguments", "tool": "ledger_append", "arguments": { "note": "harmless" } });
    items[0]["body"]["B"] = STANDARD.encode(other.to_string()).into();
    app.inspect().store_items(&items).await;
    assert_eq!(zhao.get(&path(job)).await.verdict(), (409, "job_unreadable"));
    app.inspect().store_items(&original).await;
    assert_eq!(zhao.post(&path(job), pass).await.status, 200);
    assert_eq!(settle(&mut app, &alice, &id).await["status"], "succeeded");
    // An erasure deletes it.
    run(&mut app, &alice, &note(HELD)).await;
    assert_eq!(app.erase(&alice, "alice").await.status, 202);
    Box::pin(app.finish_erasure(&alice)).await;
    let kept = app.inspect().stored_items().await;
    assert!(!kept.iter().any(|item| item["sk"]["S"].as_str().is_some_and(|sk| sk.starts_with("HELD#"))));
}
