//! An operator approves or rejects.

use std::time::Duration;

use integration_tests::{App, Setup};
use serde_json::json;

use super::{code, dear, list, told};

#[tokio::test]
async fn an_operator_approves_what_a_user_may_not_and_it_runs_once() {
    let mut app = App::start().await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["approver"]));
    let id = dear(&app, &alice).await;
    let question = zhang.approval_request().await;
    assert_eq!(question["summary"], "Pay 501: \"a chair\"");
    assert_eq!(question["arguments"], json!({"amount": 501, "note": "a chair"}));
    assert_eq!(
        (&question["tool"], &question["effect"], &question["own"]),
        (&json!("ledger_pay"), &json!("write"), &json!(false))
    );
    let (job, digest) = (question["job"].as_str().unwrap(), question["digest"].as_str().unwrap());
    let body = json!({"decision": "approve", "digest": digest, "note": "ordered by the office"});
    let reply = zhang.post(&format!("/jobs/{job}/approval"), body).await;
    assert_eq!((reply.status.as_u16(), &reply.body["view"]["status"]), (200, &json!("queued")), "{}", reply.body);
    // Repeated, it is the first answer, and recorded once.
    assert_eq!(zhang.decide(job, "approve", digest).await.status, 200);
    assert_eq!(zhang.decide(job, "reject", digest).await.verdict(), (409, "approval_decided"));
    assert_eq!(app.finish(&alice, &id).await["status"], "succeeded");
    assert_eq!(app.effects(&id), 1);
    assert_eq!(zhang.decide(job, "approve", digest).await.status, 200, "also when it is over");
    let records = zhang.told().await;
    let decided: Vec<_> = records.iter().filter(|record| record["event"] == "approval_decided").collect();
    assert_eq!(decided.len(), 1);
    assert_eq!((&decided[0]["job"], &decided[0]["approved"]), (&json!(job), &json!(true)));
    assert_eq!(decided[0]["reason"], "ordered by the office");
    assert!(list(&zhang.get("/approvals").await.body, "approvals").is_empty());
    // The user sees that an operator decided, and not who.
    let approval = alice.job(&id).await["approval"].clone();
    assert_eq!((&approval["by"], &approval["decision"]), (&json!("operator"), &json!("approve")));
}

#[tokio::test]
async fn a_later_step_is_asked_about_with_what_it_will_send() {
    let mut app = App::with(Setup::roomy()).await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["approver"]));
    let id = app.new_id();
    let note = json!({"$from": {"step": 0, "pointer": "/reply"}});
    let pay = json!({"tool": "ledger_pay", "arguments": {"amount": 501, "note": note}});
    let body = json!({"steps": [{"message": "[[say:a chair]]"}, pay]});
    assert_eq!(alice.submit_body(&id, &body).await.status, 202);
    for _ in 0..20 {
        while app.deliver().await {}
        if alice.job(&id).await["status"] == "awaiting_approval" {
            break;
        }
        let wait = app.delays.next().unwrap_or(Duration::from_secs(1)).max(Duration::from_millis(10));
        app.advance(wait).await;
    }
    let question = zhang.approval_request().await;
    assert_eq!((&question["tool"], &question["effect"]), (&json!("ledger_pay"), &json!("write")), "{question}");
    assert_eq!(question["arguments"], json!({"amount": 501, "note": "a chair"}));
    let (job, digest) = (question["job"].as_str().unwrap(), question["digest"].as_str().unwrap());
    let shown = zhang.get(&format!("/jobs/{job}")).await.body;
    assert_eq!(shown["view"]["approval"]["arguments"], question["arguments"], "{shown}");
    assert_eq!(zhang.decide(job, "approve", digest).await.status, 200);
    assert_eq!((&app.finish(&alice, &id).await["status"], app.effects(&id)), (&json!("succeeded"), 1));
}

#[tokio::test]
async fn a_no_ends_it_and_nothing_runs() {
    let mut app = App::start().await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["approver"]));
    let id = dear(&app, &alice).await;
    let question = zhang.approval_request().await;
    let (job, digest) = (question["job"].as_str().unwrap(), question["digest"].as_str().unwrap());
    let reply = zhang.decide(job, "reject", digest).await;
    assert_eq!((&reply.body["view"]["status"], &reply.body["view"]["effect"]), (&json!("refused"), &json!("not_run")));
    assert_eq!(zhang.decide(job, "reject", digest).await.status, 200);
    assert_eq!(zhang.decide(job, "approve", digest).await.verdict(), (409, "approval_decided"));
    assert_eq!(app.finish(&alice, &id).await["error"]["code"], "approval_rejected");
    assert_eq!(app.effects(&id), 0);
}

#[tokio::test]
async fn an_approval_of_another_call_is_none() {
    let app = App::start().await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["approver"]));
    let (one, two) = (dear(&app, &alice).await, dear(&app, &alice).await);
    let (job, other) = (code(&alice, &one).await, alice.digest(&two).await);
    for digest in [other.as_str(), &"A".repeat(43)] {
        assert_eq!(zhang.decide(&job, "approve", digest).await.verdict(), (409, "approval_digest_mismatch"));
    }
    for digest in ["", "x", "short"] {
        assert_eq!(zhang.decide(&job, "approve", digest).await.verdict(), (400, "body_invalid"));
    }
    assert_eq!(alice.job(&one).await["status"], "awaiting_approval");
    assert!(!told(&zhang).await.contains(&"approval_decided".to_owned()));
}

#[tokio::test]
async fn a_refused_decision_is_recorded_once_in_a_minute_however_often_it_is_tried() {
    let app = App::start().await;
    app.clock.advance_to_a_minute();
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["approver"]));
    let id = dear(&app, &alice).await;
    let job = code(&alice, &id).await;
    let forged = "A".repeat(43);
    for _ in 0..20 {
        assert_eq!(zhang.decide(&job, "approve", &forged).await.verdict(), (409, "approval_digest_mismatch"));
        assert_eq!(zhang.put("/controls/mode", json!({"mode": "closed", "reason": "x"})).await.status, 403);
    }
    let refused = async || {
        let records = zhang.told().await;
        records
            .iter()
            .filter(|record| record["event"] == "call_refused")
            .map(|record| record["code"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(refused().await, ["approval_digest_mismatch", "operator_forbidden"]);
    app.clock.advance(Duration::from_secs(60));
    zhang.decide(&job, "approve", &forged).await;
    assert_eq!(refused().await.len(), 3);
}

#[tokio::test]
async fn what_a_user_has_to_decide_is_not_an_operators_to_decide() {
    let app = App::start().await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["approver"]));
    let id = app.submit(&alice, "ledger_pay", json!({"amount": 5, "note": "tea"})).await;
    let (job, digest) = (code(&alice, &id).await, alice.digest(&id).await);
    assert_eq!(zhang.decide(&job, "approve", &digest).await.verdict(), (409, "approval_not_asked"));
    assert!(list(&zhang.get("/approvals").await.body, "approvals").is_empty());
    let plain = app.submit(&alice, "ledger_read", json!({})).await;
    let job = code(&alice, &plain).await;
    assert_eq!(zhang.decide(&job, "approve", &digest).await.verdict(), (409, "approval_not_asked"));
}

#[tokio::test]
async fn too_late_is_too_late_and_the_job_knows_it_at_once() {
    let mut app = App::start().await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["approver"]));
    let id = dear(&app, &alice).await;
    let question = zhang.approval_request().await;
    let (job, digest) = (question["job"].as_str().unwrap(), question["digest"].as_str().unwrap());
    app.clock.advance(Duration::from_secs(86_400));
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["approver"]));
    assert!(list(&zhang.get("/approvals").await.body, "approvals").is_empty(), "no operator can approve it any more");
    for decision in ["approve", "reject", "approve"] {
        assert_eq!(zhang.decide(job, decision, digest).await.verdict(), (410, "approval_expired"));
    }
    assert_eq!(app.finish(&alice, &id).await["status"], "expired");
    assert_eq!(app.effects(&id), 0);
    assert!(!told(&zhang).await.contains(&"approval_decided".to_owned()), "no operator decided");
}

#[tokio::test]
async fn of_an_approval_and_a_cancel_at_once_exactly_one_wins() {
    let mut app = App::start().await;
    for _ in 0..12 {
        let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["approver"]));
        let id = dear(&app, &alice).await;
        let (job, digest) = (code(&alice, &id).await, alice.digest(&id).await);
        let (yes, cancel) = tokio::join!(zhang.decide(&job, "approve", &digest), alice.cancel(&id));
        let end = app.finish(&alice, &id).await;
        match end["status"].as_str().unwrap() {
            "succeeded" => assert_eq!((yes.status.as_u16(), app.effects(&id)), (200, 1), "{}", cancel.body),
            "cancelled" => assert_eq!((cancel.status.is_success(), app.effects(&id)), (true, 0), "{}", yes.body),
            other => panic!("{other}: {end}"),
        }
    }
}

#[tokio::test]
async fn two_operators_who_disagree_at_once_have_decided_once() {
    let (mut app, alice) = App::start_with("alice").await;
    let (zhang, wang) = (app.operator("zhang", &["approver"]), app.operator("wang", &["admin"]));
    let id = dear(&app, &alice).await;
    let (job, digest) = (code(&alice, &id).await, alice.digest(&id).await);
    let (yes, no) = tokio::join!(zhang.decide(&job, "approve", &digest), wang.decide(&job, "reject", &digest));
    assert_ne!(yes.status.as_u16() == 200, no.status.as_u16() == 200, "{} {}", yes.body, no.body);
    let lost = if yes.status == 200 { &no } else { &yes };
    assert_eq!(lost.verdict(), (409, "approval_decided"));
    let end = app.finish(&alice, &id).await;
    assert_eq!(end["status"] == "succeeded", yes.status == 200, "{end}");
}

#[tokio::test]
async fn no_operator_of_any_role_decides_their_own_request() {
    let (app, alice) = App::start_with("alice").await;
    let id = dear(&app, &alice).await;
    for role in ["approver", "admin"] {
        let zhang = app.operator(role, &[role]);
        let reply = zhang.post("/me/users", json!({"user_id": alice.user_id})).await;
        assert_eq!(reply.body["user_ids"], json!([alice.user_id]), "{}", reply.body);
        let question = zhang.approval_request().await;
        assert_eq!(question["own"], true);
        let (job, digest) = (question["job"].as_str().unwrap(), question["digest"].as_str().unwrap());
        for decision in ["approve", "reject"] {
            assert_eq!(zhang.decide(job, decision, digest).await.verdict(), (403, "approval_own_request"));
        }
        assert_eq!(zhang.decide(job, "approve", &"A".repeat(43)).await.verdict(), (403, "approval_own_request"));
        let records = zhang.told().await;
        assert_eq!(records.last().unwrap()["code"], "approval_own_request");
    }
    // Nor can operators put their own users into groups.
    let groups = json!({"groups": ["staff"], "reason": "me"});
    let path = format!("/users/{}/groups", alice.user_id);
    assert_eq!(
        app.operator("admin", &["admin"]).put(&path, groups.clone()).await.verdict(),
        (403, "operator_forbidden")
    );
    assert_eq!(app.operator("another", &["admin"]).put(&path, groups).await.status, 200);
    let wang = app.operator("wang", &["approver"]);
    let question = wang.approval_request().await;
    assert_eq!(question["own"], false);
    let (job, digest) = (question["job"].as_str().unwrap(), question["digest"].as_str().unwrap());
    assert_eq!(wang.decide(job, "approve", digest).await.status, 200);
    assert_eq!(alice.job(&id).await["status"], "queued");
}

#[tokio::test]
async fn a_user_id_is_named_once_and_for_all_and_only_a_users() {
    let app = App::start().await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["viewer"]));
    let body = json!({"user_id": alice.user_id});
    for _ in 0..2 {
        assert_eq!(zhang.post("/me/users", body.clone()).await.body["user_ids"], json!([alice.user_id]));
    }
    assert_eq!(told(&zhang).await.iter().filter(|event| *event == "user_registered").count(), 1);
    let nobody = "3f0c9a52-5d5e-4a5f-9f0e-6c1f0d7b2a11";
    assert_eq!(zhang.post("/me/users", json!({"user_id": nobody})).await.verdict(), (404, "not_found"));
    for bad in
        [json!({}), json!({"user_id": 7}), json!({"user_id": "x"}), json!({"user_id": nobody, "x": 1}), json!([])]
    {
        assert_eq!(zhang.post("/me/users", bad.clone()).await.verdict(), (400, "body_invalid"), "{bad}");
    }
    assert_eq!(zhang.0.send("DELETE", "/v1/operator/me/users", &[], b"").await.status, 405, "nothing takes it back");
}

#[tokio::test]
async fn without_its_record_no_decision_is_made() {
    let app = App::start().await;
    let (alice, zhang) = (app.login("alice").await, app.operator("zhang", &["approver"]));
    let id = dear(&app, &alice).await;
    let (job, digest) = (code(&alice, &id).await, alice.digest(&id).await);
    app.faults.plan_items(|operation, key| {
        (operation == "PutItem" && key.starts_with("R#")).then_some(integration_tests::Fault::LostBefore)
    });
    assert_eq!(zhang.decide(&job, "approve", &digest).await.verdict(), (503, "unavailable"));
    app.faults.plan_items(|_, _| None);
    assert_eq!(alice.job(&id).await["status"], "awaiting_approval");
    assert_eq!(zhang.decide(&job, "approve", &digest).await.status, 200);
}
