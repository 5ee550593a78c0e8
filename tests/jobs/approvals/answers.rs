//! Approved, rejected, and expired approval requests.

use std::time::Duration;

use domain::{
    ids::DigestKey,
    job::approval::{self, ApprovalCheck, Bound},
};
use integration_tests::{App, events};
use serde_json::json;
use service::jobs::Decided;

use super::{COFFEES, DEAR, pay, payment, payments};

#[tokio::test]
async fn the_call_that_the_user_was_shown_and_approved_runs_once() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    while app.deliver().await {}
    assert_eq!(app.effects(&id), 0, "nothing runs before the approval");
    let asked = alice.job(&id).await;
    let question = &asked["approval"];
    assert_eq!(
        (&question["approver"], &question["title"], &question["summary"], &question["arguments"]),
        (&json!("user"), &json!("Pay"), &json!("Pay 120: \"two coffees\""), &payment(COFFEES)),
    );
    assert_eq!((question.get("decision"), &asked["next_poll_ms"]), (None, &json!(5000)));

    let yes = app.approve(&alice, "alice", &id).await;
    assert_eq!((yes.status.as_u16(), &yes.body["status"]), (200, &json!("queued")), "{}", yes.body);
    let job = app.finish(&alice, &id).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    let told = &job["approval"];
    assert_eq!(
        (&told["decision"], &told["by"], &told["digest"]),
        (&json!("approve"), &json!("user"), &question["digest"])
    );
    let [paid] = payments(&app, &id).try_into().unwrap();
    assert_eq!((&paid["amount"], &paid["note"]), (&json!(COFFEES), &json!("two coffees")));

    let records = alice.records(&id).await;
    assert_eq!(events(&records), ["accepted", "approval_asked", "approval_decided", "intended", "ended"]);
    assert_eq!(
        (&records[0]["decision"], &records[3]["decision"]),
        (&json!("run_if_user_approves"), &json!("run_if_user_approves"))
    );
    assert_eq!(records[0]["policies"], json!(["writes-need-the-user"]));
    assert_eq!((&records[1]["digest"], &records[2]["digest"]), (&question["digest"], &question["digest"]));
    assert_eq!(
        (&records[2]["approved"], &records[2]["actor"], records[2].get("operator")),
        (&json!(true), &json!("user"), None)
    );
}

#[tokio::test]
async fn its_owner_can_work_the_digest_out() {
    let (app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    let chain = alice.get(&format!("/v1/jobs/{id}/audit")).await.body;
    let key = DigestKey::try_from(chain["digest_key"].as_str().unwrap().to_owned()).unwrap();
    let arguments = payment(COFFEES);
    let (user_id, request_id) = (alice.user_id.parse().unwrap(), id.parse().unwrap());
    let bound = Bound { user_id, request_id, step: 0, round: 0, tool: "ledger_pay", arguments: &arguments };
    assert_eq!(alice.digest(&id).await, approval::digest(&key, &bound).to_string());
}

#[tokio::test]
async fn an_operator_decides_what_a_user_may_not() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, DEAR).await;
    assert_eq!(alice.job(&id).await["approval"]["approver"], "operator");
    assert_eq!(app.approve(&alice, "alice", &id).await.verdict(), (403, "approval_by_operator"));
    assert!(matches!(app.operator_decides(&alice, &id, true).await, Decided::Made(_)));
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["approval"]["by"]), (&json!("succeeded"), &json!("operator")), "{job}");
    assert_eq!(payments(&app, &id).len(), 1);
    let records = alice.records(&id).await;
    assert_eq!(events(&records), ["accepted", "approval_asked", "approval_decided", "intended", "ended"]);
    assert_eq!(records[2]["actor"], "operator");
    assert!(records[2]["operator"].is_string());
}

#[tokio::test]
async fn an_operator_does_not_decide_for_the_user() {
    let (app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    let made = app.operator_decides(&alice, &id, true).await;
    assert!(matches!(made, Decided::Stands(ApprovalCheck::OtherApprover, ..)), "{made:?}");
    assert_eq!(alice.job(&id).await["status"], "awaiting_approval");
}

#[tokio::test]
async fn a_call_that_no_approval_permits_is_refused_at_once() {
    let (app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    assert_eq!(alice.submit(&id, "ledger_pay", payment(10_001)).await.verdict(), (403, "policy_denied"));
    assert_eq!(alice.get(&format!("/v1/jobs/{id}")).await.status, 404, "it was never a job");
    assert_eq!(super::refusals(&app, &alice).await, ["policy_denied"]);
}

#[tokio::test]
async fn a_no_needs_no_code_and_nothing_runs() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    let asked = app.wechat_asked();
    let no = alice.reject(&id).await;
    assert_eq!(
        (no.status.as_u16(), &no.body["status"], &no.body["effect"]),
        (200, &json!("refused"), &json!("not_run"))
    );
    assert_eq!(
        (&no.body["error"]["code"], &no.body["approval"]["decision"]),
        (&json!("approval_rejected"), &json!("reject"))
    );
    while app.deliver().await {}
    assert_eq!((payments(&app, &id).len(), app.wechat_asked()), (0, asked));
    assert_eq!(events(&alice.records(&id).await), ["accepted", "approval_asked", "approval_decided"]);
}

#[tokio::test]
async fn an_undecided_approval_request_expires_by_its_wake_up_message() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    app.advance(Duration::from_secs(599)).await;
    while app.deliver().await {}
    assert_eq!(alice.job(&id).await["status"], "awaiting_approval");
    app.advance(Duration::from_secs(1)).await;
    assert!(app.deliver().await, "the wake-up message of the approval request");
    let job = alice.job(&id).await;
    assert_eq!(
        (&job["status"], &job["effect"], &job["error"]["code"]),
        (&json!("expired"), &json!("not_run"), &json!("approval_expired"))
    );
    assert_eq!(events(&alice.records(&id).await), ["accepted", "approval_asked", "approval_lapsed"]);
    assert_eq!(payments(&app, &id).len(), 0);
}

#[tokio::test]
async fn a_lost_wake_up_message_of_an_approval_request_is_sent_by_the_reconciler() {
    let (mut app, alice) = App::start_with("alice").await;
    app.faults.plan(|operation, _| (operation == "SendMessage").then_some(integration_tests::Fault::LostBefore));
    let id = pay(&app, &alice, COFFEES).await;
    app.faults.none();
    app.advance(Duration::from_secs(659)).await;
    assert_eq!(app.sweep().await.woken, 0, "an approval request is swept one minute after its wake-up message was due");
    app.advance(Duration::from_secs(1)).await;
    assert_eq!(app.sweep().await.woken, 1);
    while app.deliver().await {}
    assert_eq!(alice.job(&id).await["status"], "expired");
}

#[tokio::test]
async fn an_approval_request_never_outlives_not_after() {
    let (app, alice) = App::start_with("alice").await;
    let (id, soon) = (app.new_id(), app.functions.runtime.now().plus(Duration::from_secs(30)));
    let body = json!({ "tool": "ledger_pay", "arguments": payment(COFFEES), "not_after": soon.to_string() });
    let reply = alice.submit_body(&id, &body).await;
    assert_eq!((reply.status.as_u16(), &reply.body["approval"]["expires_at"]), (202, &json!(soon.to_string())));
}

#[tokio::test]
async fn a_job_that_waits_for_approval_is_cancelled_at_once() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = pay(&app, &alice, COFFEES).await;
    let cancelled = alice.cancel(&id).await;
    assert_eq!(
        (cancelled.status.as_u16(), &cancelled.body["status"], &cancelled.body["effect"]),
        (200, &json!("cancelled"), &json!("not_run"))
    );
    assert_eq!(alice.cancel(&id).await.status, 200);
    app.advance(Duration::from_secs(700)).await;
    app.sweep().await;
    while app.deliver().await {}
    assert_eq!((&alice.job(&id).await["status"], payments(&app, &id).len()), (&json!("cancelled"), 0));
}

#[tokio::test]
async fn a_repeated_submission_is_answered_whatever_the_approval_request_led_to() {
    let mut app = App::with(super::unlimited()).await;
    let alice = app.login("alice").await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(pay(&app, &alice, COFFEES).await);
    }
    app.approve(&alice, "alice", &ids[1]).await;
    alice.reject(&ids[2]).await;
    alice.cancel(&ids[3]).await;
    for (id, status, decision) in [
        (&ids[0], "awaiting_approval", json!(null)),
        (&ids[1], "queued", json!("approve")),
        (&ids[2], "refused", json!("reject")),
        (&ids[3], "cancelled", json!(null)),
    ] {
        let again = alice.submit(id, "ledger_pay", payment(COFFEES)).await;
        assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (200, "true"));
        assert_eq!((&again.body["status"], &again.body["approval"]["decision"]), (&json!(status), &decision));
        assert_eq!(again.body["approval"]["summary"], "Pay 120: \"two coffees\"");
        let other = alice.submit(id, "ledger_pay", payment(COFFEES + 1)).await;
        assert_eq!(other.verdict(), (422, "idempotency_key_reused"));
    }
    // Lists show the state; the approval request is read with the single job.
    let list = alice.get("/v1/jobs?limit=4").await.body;
    assert!(list["jobs"].as_array().unwrap().iter().all(|job| job.get("approval").is_none()));
    while app.deliver().await {}
    assert_eq!(payments(&app, &ids[1]).len(), 1);
}
