//! Invalid approvals: for another call, by another user, too late, or repeated.

use std::time::Duration;

use domain::ids::Digest;
use integration_tests::{App, Setup};
use serde_json::json;

use super::{COFFEES, pay, payment, payments, refusals};

#[tokio::test]
async fn an_approval_of_another_call_is_refused() {
    let (mut app, alice) = App::start_with("alice").await;
    let (id, other) = (pay(&app, &alice, COFFEES).await, pay(&app, &alice, COFFEES).await);
    // The same payment under another request id, a forged digest, and one of other arguments.
    let forged = Digest::sha256(b"forged").to_string();
    let changed = Digest::sha256(br#"{"amount":121,"note":"two coffees"}"#).to_string();
    let asked = app.wechat_asked();
    for digest in [alice.digest(&other).await, forged, changed] {
        for decision in ["approve", "reject"] {
            let reply = alice.decide(&id, decision, &digest, Some(&app.fresh_code("alice"))).await;
            assert_eq!(reply.verdict(), (409, "approval_digest_mismatch"), "{}", reply.body);
            app.advance(Duration::from_secs(2)).await;
        }
    }
    assert_eq!(app.wechat_asked(), asked, "no code is spent on what cannot be");
    assert_eq!(alice.job(&id).await["status"], "awaiting_approval");
    assert_eq!(refusals(&app, &alice).await, ["approval_digest_mismatch"; 6]);
    while app.deliver().await {}
    assert_eq!((payments(&app, &id).len(), payments(&app, &other).len()), (0, 0));
}

#[tokio::test]
async fn no_user_decides_for_another_user() {
    let mut app = App::start().await;
    let (alice, mallory) = (app.login("alice").await, app.login("mallory").await);
    let id = pay(&app, &alice, COFFEES).await;
    let digest = alice.digest(&id).await;
    // In another user's session the job does not exist, with any login code.
    for code in [app.fresh_code("mallory"), app.fresh_code("alice")] {
        assert_eq!(mallory.decide(&id, "approve", &digest, Some(&code)).await.verdict(), (404, "not_found"));
    }
    assert_eq!(mallory.decide(&id, "reject", &digest, None).await.verdict(), (404, "not_found"));
    assert_eq!(app.anonymous().decide(&id, "approve", &digest, None).await.verdict(), (401, "no_session"));
    // A stolen session with another user's code, known or not.
    for name in ["mallory", "nobody"] {
        let reply = alice.decide(&id, "approve", &digest, Some(&app.fresh_code(name))).await;
        assert_eq!(reply.verdict(), (403, "approval_other_user"), "{name}");
    }
    // And with a code that is unknown to WeChat, used or expired.
    let used = app.fresh_code("alice");
    assert_eq!(app.log_in_with(&used).await.status, 201);
    for code in ["made-up", "dev-expired", &used] {
        app.advance(Duration::from_secs(2)).await;
        let reply = alice.decide(&id, "approve", &digest, Some(code)).await;
        assert_eq!(reply.verdict(), (401, "login_code_rejected"), "{code}");
    }
    assert_eq!(alice.job(&id).await["status"], "awaiting_approval");
    assert_eq!(refusals(&app, &alice).await, ["approval_other_user"; 2]);
    // The login code of an unknown user did not create that user.
    app.advance(Duration::from_secs(5)).await;
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
}

#[tokio::test]
async fn a_session_that_was_ended_decides_nothing() {
    let (app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    let digest = alice.digest(&id).await;
    assert_eq!(alice.send("DELETE", "/v1/sessions", &[], b"").await.status, 204);
    let reply = alice.decide(&id, "approve", &digest, Some(&app.fresh_code("alice"))).await;
    assert_eq!(reply.verdict(), (401, "no_session"));
}

#[tokio::test]
async fn a_decision_that_is_repeated_is_answered_and_spends_no_code() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    let (digest, code) = (alice.digest(&id).await, app.fresh_code("alice"));
    assert_eq!(alice.decide(&id, "approve", &digest, Some(&code)).await.status, 200);
    let asked = app.wechat_asked();
    let other = app.fresh_code("alice");
    for (place, code) in [Some(code.as_str()), Some(&other), None].into_iter().enumerate() {
        let again = alice.decide(&id, "approve", &digest, code).await;
        assert_eq!((again.status.as_u16(), &again.body["approval"]["decision"]), (200, &json!("approve")), "{place}");
        app.advance(Duration::from_secs(2)).await;
    }
    assert_eq!(app.wechat_asked(), asked);
    let turned = alice.decide(&id, "reject", &digest, None).await;
    assert_eq!(turned.verdict(), (409, "approval_decided"));
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], payments(&app, &id).len()), (&json!("succeeded"), 1));
    // Also long after it ran, and after its time to decide would have been over.
    app.advance(Duration::from_secs(700)).await;
    let again = alice.decide(&id, "approve", &digest, None).await;
    assert_eq!((again.status.as_u16(), &again.body["status"]), (200, &json!("succeeded")));
    while app.deliver().await {}
    assert_eq!(payments(&app, &id).len(), 1);
}

#[tokio::test]
async fn a_login_code_approves_once() {
    let (app, alice) = App::start_with("alice").await;
    let (one, two) = (pay(&app, &alice, COFFEES).await, pay(&app, &alice, COFFEES).await);
    let code = app.fresh_code("alice");
    assert_eq!(alice.decide(&one, "approve", &alice.digest(&one).await, Some(&code)).await.status, 200);
    let second = alice.decide(&two, "approve", &alice.digest(&two).await, Some(&code)).await;
    assert_eq!(second.verdict(), (401, "login_code_rejected"));
    assert_eq!(alice.job(&two).await["status"], "awaiting_approval");
}

#[tokio::test]
async fn a_no_is_final() {
    let (app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    let digest = alice.digest(&id).await;
    assert_eq!(alice.decide(&id, "reject", &digest, None).await.status, 200);
    assert_eq!(alice.decide(&id, "reject", &digest, None).await.status, 200);
    assert_eq!(app.approve(&alice, "alice", &id).await.verdict(), (409, "approval_decided"));
    assert_eq!(alice.job(&id).await["status"], "refused");
}

#[tokio::test]
async fn an_approval_after_the_expiry_is_too_late_and_ends_the_job() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    let digest = alice.digest(&id).await;
    // The wake-up message is still delayed.
    app.clock.advance(Duration::from_secs(600));
    let asked = app.wechat_asked();
    for _ in 0..2 {
        let late = alice.decide(&id, "approve", &digest, Some(&app.fresh_code("alice"))).await;
        assert_eq!(late.verdict(), (410, "approval_expired"));
    }
    assert_eq!(app.wechat_asked(), asked);
    assert_eq!(alice.decide(&id, "reject", &digest, None).await.verdict(), (410, "approval_expired"));
    let job = alice.job(&id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("expired"), &json!("approval_expired")));
    app.advance(Duration::from_secs(60)).await;
    while app.deliver().await {}
    assert_eq!(payments(&app, &id).len(), 0);
    assert_eq!(refusals(&app, &alice).await, ["approval_expired"; 3]);
}

#[tokio::test]
async fn what_asks_nothing_takes_no_decision() {
    let (mut app, alice) = App::start_with("alice").await;
    let (never, cancelled) = (app.new_id(), pay(&app, &alice, COFFEES).await);
    alice.submit(&never, "ledger_append", json!({"note":"n"})).await;
    let digest = alice.digest(&cancelled).await;
    alice.cancel(&cancelled).await;
    for id in [&never, &cancelled] {
        let reply = alice.decide(id, "approve", &digest, Some(&app.fresh_code("alice"))).await;
        assert_eq!(reply.verdict(), (409, "approval_not_asked"), "{}", reply.body);
    }
    assert_eq!(alice.job(&cancelled).await["status"], "cancelled");
    while app.deliver().await {}
    assert_eq!(payments(&app, &cancelled).len(), 0);
}

#[tokio::test]
async fn a_decision_that_cannot_be_read_changes_nothing() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    let digest = alice.digest(&id).await;
    let path = format!("/v1/jobs/{id}/approval");
    let json_headers = [("content-type", "application/json")];
    for body in [
        json!({}),
        json!({"decision": "approve"}),
        json!({"decision": "approve", "digest": digest}),
        json!({"decision": "approve", "digest": digest, "code": ""}),
        json!({"decision": "approve", "digest": digest, "code": null}),
        json!({"decision": "approve", "digest": digest, "code": 7}),
        json!({"decision": "maybe", "digest": digest, "code": "dev-alice"}),
        json!({"decision": "approve", "digest": "short", "code": "dev-alice"}),
        json!({"decision": "approve", "digest": digest, "code": "dev-alice", "arguments": payment(1)}),
        // serde's derive also accepts a struct as an array of its fields, and the name of an enum as the key of an object.
        json!(["approve", digest, "dev-alice"]),
        json!({"decision": {"approve": null}, "digest": digest, "code": "dev-alice"}),
        json!({"decision": ["reject"], "digest": digest}),
        json!({"decision": "reject", "digest": [digest]}),
        json!({"decision": "approve", "digest": digest, "code": ["dev-alice"]}),
    ] {
        let reply = alice.send("POST", &path, &json_headers, body.to_string().as_bytes()).await;
        assert_eq!(reply.verdict(), (400, "body_invalid"), "{body}");
        assert!(!reply.body.to_string().contains(&digest), "{}", reply.body);
        app.advance(Duration::from_secs(1)).await;
    }
    assert_eq!(alice.send("POST", &path, &[], b"{}").await.verdict(), (415, "content_type_unsupported"));
    assert_eq!(alice.send("GET", &path, &[], b"").await.verdict(), (405, "method_not_allowed"));
    assert_eq!(alice.send("POST", "/v1/jobs/none/approval", &json_headers, b"{}").await.verdict(), (404, "not_found"));
    assert_eq!(alice.job(&id).await["status"], "awaiting_approval");
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
}

#[tokio::test]
async fn while_wechat_is_away_nothing_is_decided_and_nothing_is_lost() {
    let (app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    let digest = alice.digest(&id).await;
    for (code, verdict) in [
        ("dev-busy", (503, "wechat_unavailable")),
        ("dev-html", (503, "wechat_unavailable")),
        ("dev-limited", (429, "login_limited")),
        ("dev-blocked", (403, "login_blocked")),
    ] {
        assert_eq!(alice.decide(&id, "approve", &digest, Some(code)).await.verdict(), verdict, "{code}");
        app.clock.advance(Duration::from_secs(2));
    }
    assert_eq!(alice.job(&id).await["status"], "awaiting_approval");
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
}

#[tokio::test]
async fn guessing_is_charged_before_wechat_is_asked() {
    let edge = |edge: &mut platform::config::EdgeAuthConfig| {
        edge.limits.submissions = domain::limits::Rate::new(Duration::from_secs(600), 5);
    };
    let app = App::with(Setup { edge, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    let digest = alice.digest(&id).await;
    let asked = app.wechat_asked();
    let mut verdicts = Vec::new();
    for _ in 0..8 {
        verdicts.push(alice.decide(&id, "approve", &digest, Some("made-up")).await.code().to_owned());
    }
    let [guessed, limited] = [["login_code_rejected"; 4], ["rate_limited"; 4]];
    assert_eq!(verdicts, [guessed, limited].concat(), "the submission was the first of five");
    assert_eq!(app.wechat_asked() - asked, 4);
}

#[tokio::test]
async fn what_cannot_be_shown_whole_is_not_asked() {
    let (app, alice) = App::start_with("alice").await;
    // No character of a note is hidden from the approver.
    let id = app.new_id();
    let note = "to Bob\u{202e}\u{200b}\n0";
    let reply = alice.submit(&id, "ledger_pay", json!({"amount": 5, "note": note})).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    let asked = &reply.body["approval"];
    assert_eq!(asked["summary"], "Pay 5: \"to Bob\\u202e\\u200b\\u000a0\"");
    assert_eq!(asked["arguments"]["note"], "to Bob\\u202e\\u200b\\u000a0");
}
