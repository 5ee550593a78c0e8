//! An erasure concurrent with a submission, an approval, and a running call.

use std::time::Duration;

use integration_tests::{App, Fault};
use serde_json::json;

use super::request_id;

#[tokio::test]
async fn jobs_that_have_not_begun_are_cancelled_and_nothing_of_them_runs() {
    let (mut app, alice) = App::start_with("alice").await;
    let (queued, asked) = (app.new_id(), app.new_id());
    alice.submit(&asked, "ledger_pay", json!({ "amount": 120, "note": "n" })).await;
    let digest = alice.digest(&asked).await;
    alice.submit(&queued, "ledger_append", json!({ "note": "n" })).await;
    // The erasure overtakes the job's own message.
    let messages = app.receive().await;
    assert_eq!(app.erase(&alice, "alice").await.status, 202);
    let code = app.fresh_code("alice");
    assert_eq!(alice.decide(&asked, "approve", &digest, Some(&code)).await.status, 401);
    assert_eq!(alice.submit(&app.new_id(), "ledger_append", json!({ "note": "n" })).await.status, 401);
    app.hand_over(&messages).await;
    app.finish_erasure(&alice).await;
    for id in [&queued, &asked] {
        let job = app.inspect().stored(&alice, id).await;
        assert!(["cancelled", "refused"].contains(&job.state.name()), "{job:?}");
        assert_eq!((job.effect, app.effects(id)), (Some(domain::job::Effect::NotRun), 0), "{job:?}");
    }
}

#[tokio::test]
async fn an_operators_approval_after_the_mark_runs_nothing() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    alice.submit(&id, "ledger_pay", json!({ "amount": 700, "note": "n" })).await;
    let digest = domain::ids::Digest::try_from(alice.digest(&id).await).unwrap();
    let anna = app.operator("anna", &["approver"]);
    let asked = anna.approval_request().await;
    let _waits = app.receive().await;
    assert_eq!(app.erase(&alice, "alice").await.status, 202);
    let erasure = app.receive().await;
    // The operator is faster than the first pass.
    let decided = anna.decide(asked["job"].as_str().unwrap(), "approve", &digest.to_string()).await;
    assert_eq!(decided.status, 200, "{}", decided.body);
    while app.deliver().await {}
    assert_eq!(app.effects(&id), 0, "the worker decides again, and the user is erased");
    app.hand_over(&erasure).await;
    app.finish_erasure(&alice).await;
    assert_eq!(
        (app.inspect().stored(&alice, &id).await.effect, app.effects(&id)),
        (Some(domain::job::Effect::NotRun), 0)
    );
}

/// The submission was admitted before the mark, and records its job after the first pass.
#[tokio::test]
async fn a_job_that_is_recorded_late_runs_nothing_and_is_erased_by_the_last_pass() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    assert_eq!(alice.submit(&id, "ledger_append", json!({ "note": "a-late-note" })).await.status, 202);
    let late = app.inspect().stored(&alice, &id).await;
    let items = app.inspect().stored_items().await;
    let payload = items.iter().find(|item| item["sk"]["S"].as_str().unwrap().starts_with(&format!("IN#{id}"))).unwrap();
    let mut messages = app.receive().await;
    let (table, db) = (app.deployment.backend.table.clone(), app.aws.dynamodb());
    let text = |value: String| aws_sdk_dynamodb::types::AttributeValue::S(value);
    for sk in [format!("J#{id}"), payload["sk"]["S"].as_str().unwrap().to_owned()] {
        let delete = db.delete_item().table_name(&table).key("pk", text(format!("U#{}", alice.user_id)));
        delete.key("sk", text(sk)).send().await.unwrap();
    }
    assert_eq!(app.erase(&alice, "alice").await.status, 202);
    while app.deliver().await {}
    assert_eq!(app.inspect().erasure(&alice).await["status"], "running", "it waits for what may still be recorded");
    app.inspect().store_items(std::slice::from_ref(payload)).await;
    assert!(matches!(app.inspect().table().create_job(&late, "late").await.unwrap(), store::Created::New));
    messages.truncate(1);
    app.hand_over(&messages).await;
    assert_eq!(app.effects(&id), 0);
    app.finish_erasure(&alice).await;
    assert!(!app.inspect().stored(&alice, &id).await.has_content());
    assert!(!app.inspect().stored_items().await.iter().any(|item| item.to_string().contains("a-late-note")));
}

#[tokio::test]
async fn a_call_that_runs_is_waited_for_and_its_outcome_is_what_happened() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    alice.submit(&id, "ledger_sleep", json!({ "ms": 300, "note": "nap" })).await;
    app.deliver().await;
    assert_eq!(alice.job(&id).await["status"], "running");
    assert_eq!(app.erase(&alice, "alice").await.status, 202);
    tokio::time::sleep(Duration::from_millis(350)).await;
    app.finish_erasure(&alice).await;
    let job = app.inspect().stored(&alice, &id).await;
    // The tool leaves a line when it begins, and one when it ends.
    assert_eq!((job.state.name(), app.effects(&id)), ("succeeded", 2), "{job:?}");
}

#[tokio::test]
async fn a_login_that_found_the_user_before_the_erasure_leads_to_a_new_user() {
    let (mut app, alice) = App::start_with("alice").await;
    let old = request_id(&app.run(&alice, "ledger_append", json!({ "note": "n" })).await);
    app.erase(&alice, "alice").await;
    app.finish_erasure(&alice).await;
    // As if the login had been stored again under another key in between.
    let bob = app.login("bob").await;
    app.log_in_as_stored_user(&alice.user_id).await;
    let again = app.login("bob").await;
    assert!(![&alice.user_id, &bob.user_id].contains(&&again.user_id));
    assert_eq!(app.login("bob").await.user_id, again.user_id, "and from then on to the same");
    assert_eq!(again.submit(&old, "ledger_append", json!({ "note": "n" })).await.status, 410);
    let items = app.inspect().stored_items().await;
    let openid_of_alice =
        items.iter().any(|item| item["pk"]["S"] == format!("U#{}", alice.user_id) && item.get("openid").is_some());
    assert!(!openid_of_alice, "a late login stores nothing with the erased user");
}

#[tokio::test]
async fn two_erasures_at_once_are_one() {
    let (mut app, alice) = App::start_with("alice").await;
    let (one, two) = tokio::join!(app.erase(&alice, "alice"), app.erase(&alice, "alice"));
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (202, 202), "{} {}", one.body, two.body);
    assert_eq!(one.body["erasure_id"], two.body["erasure_id"]);
    app.finish_erasure(&alice).await;
}

#[tokio::test]
async fn a_table_that_does_not_answer_is_503_and_the_repeated_request_erases() {
    let (mut app, alice) = App::start_with("alice").await;
    for operation in ["GetItem", "PutItem"] {
        app.faults.plan(move |name, _| (name == operation).then_some(Fault::LostBefore));
        assert_eq!(app.erase(&alice, "alice").await.verdict(), (503, "unavailable"), "{operation}");
        app.faults.none();
        app.advance(Duration::from_secs(2)).await;
    }
    assert_eq!(app.erase(&alice, "alice").await.status, 202);
    app.finish_erasure(&alice).await;
}
