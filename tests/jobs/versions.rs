//! Two versions of the functions at once: the older one does not change jobs that it does not understand.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::policy::{Policy, PolicyFiles};
use integration_tests::{App, Client};
use serde_json::json;

async fn set(app: &App, alice: &Client, id: &str, attribute: &str, value: AttributeValue) {
    let update = app.aws.dynamodb().update_item().table_name(&app.deployment.backend.table);
    update
        .key("pk", AttributeValue::S(format!("U#{}", alice.user_id)))
        .key("sk", AttributeValue::S(format!("J#{id}")))
        .update_expression("SET #a = :v")
        .expression_attribute_names("#a", attribute)
        .expression_attribute_values(":v", value)
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn an_unknown_state_or_schema_version_is_left_for_a_newer_worker() {
    let (mut app, alice) = App::start_with("alice").await;
    for (attribute, value, back) in [
        ("st", AttributeValue::S("paused".into()), AttributeValue::S("queued".into())),
        ("v", AttributeValue::N("99".into()), AttributeValue::N("1".into())),
    ] {
        let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
        set(&app, &alice, &id, attribute, value).await;
        assert!(app.deliver().await);
        assert!(!app.deliver().await, "the message is acknowledged, not sent to the dead-letter queue");
        assert_eq!(app.effects(&id), 0);
        app.clock.advance(std::time::Duration::from_secs(61));
        assert_eq!(app.sweep().await.woken, 1, "it is woken again, for a version that understands it");
        assert_eq!(alice.cancel(&id).await.verdict(), (503, "unavailable"));
        set(&app, &alice, &id, attribute, back).await;
        assert_eq!(app.finish(&alice, &id).await["status"], "succeeded", "{attribute}");
    }
}

fn policy(file: &str, from: &str, to: &str) -> Policy {
    Policy::parse(&PolicyFiles::built_in().replacing(file, from, to).expect("it is there")).unwrap()
}

/// A policy that forbids every call: each `permit` becomes a `forbid`.
const SHUT: (&str, &str, &str) = ("tools.cedar", "permit (", "forbid (");

#[tokio::test]
async fn the_worker_decides_again_by_its_own_policy_before_anything_is_sent() {
    for (story, change, code) in [
        ("the write was closed", SHUT, "policy_denied"),
        (
            "the tool was taken out",
            ("tools.toml", "name = \"ledger_append\"", "name = \"ledger_other\""),
            "tool_unknown",
        ),
        (
            "its schema became stricter",
            (
                "tools.toml",
                "schema = \"note.json\"\nexample = { note = \"two coffees\" }",
                "schema = \"nothing.json\"\nexample = {}",
            ),
            "arguments_invalid",
        ),
    ] {
        let (mut app, alice) = App::start_with("alice").await;
        let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
        app.new_worker(Some(policy(change.0, change.1, change.2)));
        let job = app.finish(&alice, &id).await;
        assert_eq!(
            (job["status"].as_str(), job["error"]["code"].as_str()),
            (Some("refused"), Some(code)),
            "{story}: {job}"
        );
        assert_eq!((&job["effect"], app.effects(&id)), (&json!("not_run"), 0), "{story}");
    }
}

#[tokio::test]
async fn a_step_that_has_an_intent_is_never_decided_again() {
    let (mut app, alice) = App::start_with("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let id = app.new_id();
    app.gateway().next("/miniprogram/v1/invoke", "reset_after", None, 1).await;
    app.gateway().next("/miniprogram/v1/invoke", "reset_before", None, 1).await;
    alice.submit(&id, "ledger_append", json!({"note":"n"})).await;
    app.deliver().await;
    app.new_worker(Some(policy(SHUT.0, SHUT.1, SHUT.2)));
    let job = app.finish(&alice, &id).await;
    assert_eq!((job["status"].as_str(), app.effects(&id)), (Some("succeeded"), 1), "it ran, and that is told: {job}");
}
