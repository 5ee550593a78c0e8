//! Invariant 9, *default deny*.

use std::time::Duration;

use domain::policy::{Policy, PolicyFiles};
use integration_tests::App;
use serde_json::json;

#[tokio::test]
async fn a_write_that_a_newer_catalogue_takes_for_a_read_is_not_sent_without_an_intent() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    let (write, read) =
        ("title = \"Append a note\"\neffect = \"write\"", "title = \"Append a note\"\neffect = \"read\"");
    let changed = PolicyFiles::built_in().replacing("tools.toml", write, read).unwrap();
    app.new_worker(Some(Policy::parse(&changed).unwrap()));
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("refused"), &json!("tool_changed")), "{job}");
    assert_eq!((&job["effect"], app.effects(&id)), (&json!("not_run"), 0));
}

#[tokio::test]
async fn a_session_that_was_ended_starts_no_job() {
    let (mut app, alice) = App::start_with("alice").await;
    alice.send("DELETE", "/v1/sessions", &[], b"").await;
    let id = app.new_id();
    // Once with nothing ahead in the rate, once within its burst: two different updates decide.
    assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"n"})).await.verdict(), (401, "no_session"));
    app.advance(Duration::from_secs(1)).await;
    let again = app.login("alice").await;
    assert_eq!(again.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202);
    assert_eq!(alice.submit(&id, "ledger_append", json!({"note":"n"})).await.verdict(), (401, "no_session"));
    assert_eq!(again.get(&format!("/v1/jobs/{id}")).await.status, 404, "nothing is stored");
}
