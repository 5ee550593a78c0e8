//! Turns and workflows in each service mode.

use domain::access::service_mode::Mode;
use integration_tests::{App, Setup};
use serde_json::{Value, json};

use super::{from, note, say, steps};

async fn app(mode: Mode) -> App {
    App::with(Setup { mode: Some(mode), ..Setup::default() }).await
}

#[tokio::test]
async fn where_the_service_only_explains_a_workflow_is_explained_as_a_whole() {
    let app = app(Mode::ExplainOnly).await;
    let alice = app.login("alice").await;
    let pay = json!({"tool":"ledger_pay","arguments":{"amount":501,"note":"\u{202e}n"}});
    let last = json!({"tool":"ledger_append","arguments":{"note":from(0, "/notes/0")}});
    let reply = alice.submit_body(&app.new_id(), &steps(&[note("a"), pay, last])).await;
    assert_eq!((reply.status.as_u16(), &reply.body["status"]), (202, &json!("explained")), "{}", reply.body);
    assert_eq!((&reply.body["effect"], &reply.body["error"]["code"]), (&json!("not_run"), &json!("mode_explain_only")));
    let told = reply.body["result"]["steps"].as_array().unwrap();
    let decisions: Vec<&Value> = told.iter().map(|step| &step["decision"]).collect();
    assert_eq!(decisions, ["run", "run_if_operator_approves", "undecided"]);
    assert_eq!(told[1]["arguments"]["note"], "\\u202en", "{}", told[1]);
    assert_eq!(told[2]["arguments"]["note"], from(0, "/notes/0"));
    assert!(told.iter().all(|step| step["why"] == "mode_explain_only"));
    assert!(reply.body["steps"].as_array().unwrap().iter().all(|step| step["outcome"] == "not_run"));
    assert!(app.receive().await.is_empty(), "there is nothing to do");
}

#[tokio::test]
async fn one_tool_that_only_explains_explains_the_whole_workflow() {
    let app = app(Mode::Full).await;
    app.switch_tool("ledger_append", Mode::ExplainOnly).await;
    let alice = app.login("alice").await;
    let read = json!({"tool":"ledger_read","arguments":{}});
    let reply = alice.submit_body(&app.new_id(), &steps(&[read, note("a")])).await;
    assert_eq!(&reply.body["status"], "explained", "{}", reply.body);
}

#[tokio::test]
async fn where_the_service_only_explains_a_turn_goes_on_without_tools() {
    let app = app(Mode::ExplainOnly).await;
    let alice = app.login("alice").await;
    for body in [say("hello"), steps(&[say("hello"), note("a")]), steps(&[note("a"), say("hello")])] {
        let id = app.new_id();
        let reply = alice.submit_body(&id, &body).await;
        assert_eq!((reply.status.as_u16(), &reply.body["status"]), (202, &json!("queued")), "{}", reply.body);
        let chain = alice.get(&format!("/v1/jobs/{id}/audit")).await.body;
        assert_eq!(chain["records"][0]["decision"], "explain", "{chain}");
    }
}

#[tokio::test]
async fn a_service_that_only_reads_takes_turns_and_refuses_a_workflow_that_writes() {
    let app = app(Mode::ReadOnly).await;
    let alice = app.login("alice").await;
    let read = json!({"tool":"ledger_read","arguments":{}});
    assert_eq!(alice.submit_body(&app.new_id(), &steps(&[read.clone(), say("hello")])).await.status, 202);
    let refused = alice.submit_body(&app.new_id(), &steps(&[read, say("hello"), note("a")])).await;
    assert_eq!((refused.verdict(), &refused.body["step"]), ((403, "mode_read_only"), &json!(2)), "{}", refused.body);
}

#[tokio::test]
async fn a_closed_service_takes_no_turn() {
    let app = app(Mode::Closed).await;
    let alice = app.login("alice").await;
    assert_eq!(alice.submit_body(&app.new_id(), &say("hello")).await.verdict(), (403, "mode_closed"));
}
