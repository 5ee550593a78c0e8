//! Invariant 2, *one answer*.

use std::time::Duration;

use domain::job::JobState;
use integration_tests::App;
use serde_json::json;

use super::INVOKE;

#[tokio::test]
async fn a_resolution_of_an_unknown_job_changes_no_other_field() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.gateway().next(INVOKE, "reset_after", None, 1).await;
    app.gateway().next(INVOKE, "status", Some(503), 1000).await;
    app.gateway().next("/miniprogram/v1/revoke", "status", Some(503), 1000).await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    let told = app.finish(&alice, &id).await;
    assert_eq!(told["status"], "unknown");
    // `sweep` wakes the job without effect, and again once the gateway works.
    for well in [false, true] {
        if well {
            app.gateway().restart().await;
        }
        app.advance(Duration::from_secs(3600)).await;
        assert_eq!(app.sweep().await.woken, 1);
        while app.deliver().await {}
    }
    let alice = app.login("alice").await;
    let mut later = alice.job(&id).await;
    assert_eq!(later.as_object_mut().unwrap().remove("resolution").unwrap()["happened"], true, "{later}");
    for (field, value) in told.as_object().unwrap() {
        assert_eq!(later[field], *value, "one answer: {field}");
    }
    assert_eq!(later, told, "one answer, and no resolution");
    assert_eq!(alice.cancel(&id).await.verdict(), (409, "job_over"));
    assert_eq!(app.inspect().stored(&alice, &id).await.state, JobState::Unknown);
}

#[tokio::test]
async fn a_call_whose_payload_has_gone_is_not_denied() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let id = app.new_id();
    app.gateway().next(INVOKE, "reset_after", None, 2).await;
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    app.deliver().await;
    let text = aws_sdk_dynamodb::types::AttributeValue::S;
    let payload = format!("IN#{id}#{}", app.inspect().stored(&alice, &id).await.fingerprint);
    let delete = app.aws.dynamodb().delete_item().table_name(&app.deployment.backend.table);
    delete.key("pk", text(format!("U#{}", alice.user_id))).key("sk", text(payload)).send().await.unwrap();
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["effect"]), (&json!("unknown"), &json!("unknown")), "it ran: {job}");
    assert_eq!(app.effects(&id), 1);
}
