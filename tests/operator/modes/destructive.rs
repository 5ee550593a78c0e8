//! A destructive tool needs, besides an approval, a temporary unlock and a recently exported audit checkpoint.

use std::time::Duration;

use integration_tests::{App, Client};
use platform::config::defaults::CHECKPOINT_MAX_AGE_S;
use serde_json::json;
use service::controls;

const TOOL: &str = "ledger_delete";
const MAX_AGE: Duration = Duration::from_secs(CHECKPOINT_MAX_AGE_S);

async fn submit(app: &mut App, client: &Client) -> String {
    app.advance(controls::MAX_AGE).await;
    let reply = client.submit(&app.new_id(), TOOL, json!({})).await;
    if reply.status == 202 { reply.body["status"].as_str().unwrap().to_owned() } else { reply.code().to_owned() }
}

/// Unlocked, with a fresh checkpoint, and recorded as waiting for an operator.
async fn waiting(app: &mut App, minutes: u32) -> (Client, String) {
    let alice = app.login("alice").await;
    app.open_tool(TOOL, minutes).await;
    app.checkpoint(true).await;
    let id = app.new_id();
    let reply = alice.submit(&id, TOOL, json!({})).await;
    assert_eq!(reply.body["status"], "awaiting_approval", "{}", reply.body);
    assert_eq!(reply.body["approval"]["approver"], "operator", "{}", reply.body);
    (alice, id)
}

#[tokio::test]
async fn it_is_shut_until_it_is_opened_and_the_audit_is_proven() {
    let (mut app, alice) = App::start_with("alice").await;
    assert_eq!(submit(&mut app, &alice).await, "tool_not_opened");
    app.checkpoint(true).await;
    assert_eq!(submit(&mut app, &alice).await, "tool_not_opened", "a checkpoint opens nothing");
    app.open_tool(TOOL, 60).await;
    assert_eq!(submit(&mut app, &alice).await, "awaiting_approval");
    app.open_tool(TOOL, 0).await;
    assert_eq!(submit(&mut app, &alice).await, "tool_not_opened", "shut again");
}

#[tokio::test]
async fn an_unlock_without_an_exported_checkpoint_is_not_enough() {
    let (mut app, alice) = App::start_with("alice").await;
    app.open_tool(TOOL, 60).await;
    assert_eq!(submit(&mut app, &alice).await, "audit_unproven", "there is none");
    app.checkpoint(false).await;
    assert_eq!(submit(&mut app, &alice).await, "audit_unproven", "signed, not exported");
    app.checkpoint(true).await;
    assert_eq!(submit(&mut app, &alice).await, "awaiting_approval");
    // One that is not exported takes nothing away from the one that was.
    app.checkpoint(false).await;
    assert_eq!(submit(&mut app, &alice).await, "awaiting_approval");
}

#[tokio::test]
async fn a_checkpoint_proves_for_so_long_and_no_longer() {
    let (mut app, alice) = App::start_with("alice").await;
    app.open_tool(TOOL, 60).await;
    app.checkpoint(true).await;
    app.clock.advance(MAX_AGE - Duration::from_secs(100));
    assert_eq!(submit(&mut app, &alice).await, "awaiting_approval");
    app.clock.advance(Duration::from_secs(100));
    assert_eq!(submit(&mut app, &alice).await, "audit_unproven");
}

#[tokio::test]
async fn opened_proven_and_approved_it_runs() {
    let mut app = App::start().await;
    let (alice, id) = waiting(&mut app, 60).await;
    let noted = app.submit(&alice, "ledger_append", json!({"note":"n"})).await;
    app.deliver().await;
    assert_eq!(app.effects(&noted), 1);
    app.operator_decides(&alice, &id, true).await;
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], app.effects(&noted)), (&json!("succeeded"), 0), "{job}");
}

/// The job ends so, and what was noted before is still there.
async fn ends_refused(app: &mut App, client: &Client, id: &str, code: &str) {
    let noted = app.submit(client, "ledger_append", json!({"note":"n"})).await;
    let job = app.finish(client, id).await;
    let told = [&job["status"], &job["error"]["code"], &job["effect"]];
    assert_eq!(told, [&json!("refused"), &json!(code), &json!("not_run")], "{job}");
    assert_eq!(app.finish(client, &noted).await["status"], "succeeded");
    assert_eq!(app.effects(&noted), 1);
}

#[tokio::test]
async fn an_unlock_that_ends_before_the_claim_stops_an_approved_call() {
    let mut app = App::start().await;
    let (alice, id) = waiting(&mut app, 1).await;
    app.operator_decides(&alice, &id, true).await;
    app.clock.advance(Duration::from_secs(60));
    ends_refused(&mut app, &alice, &id, "tool_not_opened").await;
}

#[tokio::test]
async fn a_checkpoint_that_grows_old_before_the_claim_shuts_what_was_accepted_and_approved() {
    let (mut app, alice) = App::start_with("alice").await;
    app.open_tool(TOOL, 60).await;
    app.checkpoint(true).await;
    app.clock.advance(MAX_AGE - Duration::from_secs(100));
    let id = app.submit(&alice, TOOL, json!({})).await;
    app.operator_decides(&alice, &id, true).await;
    app.clock.advance(Duration::from_secs(100));
    ends_refused(&mut app, &alice, &id, "audit_unproven").await;
}
