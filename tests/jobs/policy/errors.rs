//! A policy that cannot be evaluated denies, at the edge and at the worker, and is counted for its alarm.

use domain::policy::{Policy, PolicyFiles};
use integration_tests::App;
use platform::metrics::Metric;
use serde_json::json;

/// The first amount that cannot be multiplied so often.
const OVERFLOWS: &str = "@id(\"overflows\") forbid (principal, action, resource is MiniProgram::Tool) when { \
    context.arguments has ledger_pay && context.arguments.ledger_pay.amount * 1000000000000000000 > 0 };";

fn broken() -> Policy {
    Policy::parse(&PolicyFiles::built_in().with("broken.cedar", OVERFLOWS)).unwrap()
}

#[tokio::test]
async fn a_policy_that_cannot_be_evaluated_denies_and_is_counted() {
    let mut app = App::start().await;
    let pay = json!({"amount": 10, "note": "tea"});
    // The worker's files are newer than the edge's: approved, and then not sent.
    let alice = app.login("alice").await;
    let id = app.submit(&alice, "ledger_pay", pay.clone()).await;
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    app.new_worker(Some(broken()));
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&"refused".into(), &"policy_error".into()), "{job}");
    assert_eq!((&job["effect"], app.effects(&id)), (&"not_run".into(), 0), "{job}");
    assert_eq!(app.metrics.sum(Metric::PolicyErrors, &[]), 1.0);
    // The edge's as well: nothing is recorded.
    app.new_edge(Some(broken()));
    let alice = app.login("alice").await;
    let id = app.new_id();
    assert_eq!(alice.submit(&id, "ledger_pay", pay).await.verdict(), (403, "policy_error"));
    assert_eq!(alice.get(&format!("/v1/jobs/{id}")).await.status, 404);
    assert_eq!(app.metrics.sum(Metric::PolicyErrors, &[]), 2.0);
    // Calls that the faulty policy does not concern run.
    let note = app.run(&alice, "ledger_append", json!({"note":"n"})).await;
    assert_eq!(note["status"], "succeeded", "{note}");
}

/// The payments tool with a `rate` of this schema, and the other tools unchanged.
fn with_rate(schema: &str) -> Policy {
    let files = PolicyFiles::built_in();
    let with_rate = format!("\"properties\": {{ \"rate\": {schema},");
    Policy::parse(&files.replacing("schemas/ledger_pay.json", "\"properties\": {", &with_rate).unwrap()).unwrap()
}

#[tokio::test]
async fn an_argument_that_policies_have_no_type_for_is_a_fault_of_the_arguments_and_not_of_a_policy() {
    let mut app = App::start().await;
    let pay = json!({"amount": 10, "note": "tea", "rate": 0.12345});
    // To the edge's files it is nothing that a policy sees; the worker's are newer.
    app.new_edge(Some(with_rate(r#"{"type": ["number", "null"]}"#)));
    let alice = app.login("alice").await;
    let id = app.submit(&alice, "ledger_pay", pay.clone()).await;
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    app.new_worker(Some(with_rate(r#"{"type": "number"}"#)));
    let job = app.finish(&alice, &id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&"refused".into(), &"arguments_invalid".into()), "{job}");
    assert_eq!((&job["effect"], app.effects(&id)), (&"not_run".into(), 0), "{job}");
    // The edge says where it is, and never what.
    app.new_edge(Some(with_rate(r#"{"type": "number"}"#)));
    let alice = app.login("alice").await;
    let id = app.new_id();
    let reply = alice.submit(&id, "ledger_pay", pay).await;
    assert_eq!(reply.verdict(), (422, "arguments_invalid"));
    assert_eq!(reply.body["errors"][0]["pointer"], "/rate", "{}", reply.body);
    assert!(!reply.body.to_string().contains("12345"), "{}", reply.body);
    assert_eq!(alice.get(&format!("/v1/jobs/{id}")).await.status, 404);
    assert_eq!(app.metrics.sum(Metric::PolicyErrors, &[]), 0.0);
}
