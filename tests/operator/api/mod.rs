//! Operators: authentication, the permissions of each role, and the effects and records of their actions.

use integration_tests::{App, Client, OperatorClient};
use serde_json::{Value, json};

mod approvals;
mod charts;
mod checkpoints;
mod dead_letters;
mod erasures;
mod http;
mod issuer;
mod jobs;
mod roles;
mod users;

/// Submits a payment that only an operator may approve; returns its request id.
async fn dear(app: &App, client: &Client) -> String {
    let id = app.new_id();
    let reply = client.submit(&id, "ledger_pay", json!({ "amount": 501, "note": "a chair" })).await;
    assert_eq!((reply.status.as_u16(), &reply.body["status"]), (202, &json!("awaiting_approval")), "{}", reply.body);
    id
}

/// The support code of a job.
async fn code(client: &Client, id: &str) -> String {
    client.job(id).await["support_code"].as_str().unwrap().to_owned()
}

/// Ends a write as `unknown`; returns its support code and its request id.
async fn unknown(app: &mut App, client: &Client) -> (String, String) {
    app.gateway().next("/miniprogram/v1/invoke", "reset_after", None, 1).await;
    app.gateway().next("/miniprogram/v1/invoke", "status", Some(503), 1000).await;
    app.gateway().next("/miniprogram/v1/revoke", "status", Some(503), 1000).await;
    let id = app.submit(client, "ledger_append", json!({"note": "n"})).await;
    let job = app.finish(client, &id).await;
    assert_eq!(job["status"], "unknown", "{job}");
    (job["support_code"].as_str().unwrap().to_owned(), id)
}

/// What operators did, as the names of the events.
async fn told(operator: &OperatorClient) -> Vec<String> {
    operator.told().await.iter().map(|record| record["event"].as_str().unwrap().to_owned()).collect()
}

fn list<'a>(body: &'a Value, name: &str) -> &'a Vec<Value> {
    body[name].as_array().unwrap_or_else(|| panic!("{body}"))
}
