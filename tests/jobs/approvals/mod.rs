//! Approvals: valid for exactly one call, once, until they expire; and the cases that are refused.

use integration_tests::{App, Client, Setup};
use serde_json::{Value, json};

mod answers;
mod attacks;
mod changes;
mod faults;
mod races;
mod service_mode;

/// Up to 500 the user decides.
const COFFEES: u64 = 120;
/// Above, an operator.
const DEAR: u64 = 501;

/// Submits a payment; returns its request id.
async fn pay(app: &App, client: &Client, amount: u64) -> String {
    let id = app.new_id();
    let reply = client.submit(&id, "ledger_pay", payment(amount)).await;
    assert_eq!((reply.status.as_u16(), &reply.body["status"]), (202, &json!("awaiting_approval")), "{}", reply.body);
    id
}

fn payment(amount: u64) -> Value {
    json!({ "amount": amount, "note": "two coffees" })
}

/// Without a limit that matters, for tests that submit and decide a lot.
fn unlimited() -> Setup {
    let edge = |edge: &mut platform::config::EdgeAuthConfig| {
        edge.limits.submissions = domain::limits::Rate::new(std::time::Duration::from_millis(1), 100_000);
        edge.limits.in_flight = 1000;
    };
    Setup { edge, ..Setup::default() }
}

/// The payments in the ledger that a job's calls made.
fn payments(app: &App, id: &str) -> Vec<Value> {
    let ledger = app.gateway.as_ref().unwrap().ledger();
    integration_tests::app::lines_of(&ledger, id).cloned().collect()
}

/// The codes that a user was refused with, oldest first.
async fn refusals(app: &App, client: &Client) -> Vec<String> {
    let page = app.inspect().table().refusals_of(client.user_id.parse().unwrap()).await.unwrap();
    page.records.iter().map(|record| record["code"].as_str().unwrap().to_owned()).collect()
}
