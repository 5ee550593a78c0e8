//! Tests of invariants that no other test covers: each test here
//! was written after a deliberate break that every other test had let pass. One file for each invariant.

mod always_ends;
mod bounded;
mod default_deny;
mod fence;
mod intent_first;
mod lease;
mod logical_keys;
mod one_answer;
mod one_effect;
mod same_request;

use integration_tests::{App, Fault, faults::reads_items};

/// The journal's route for calls.
const INVOKE: &str = "/miniprogram/v1/invoke";

/// A worker that claims what is on the queue, and dies.
async fn claim_and_die(app: &mut App) {
    app.faults.plan(|operation, n| (reads_items(operation) && n > 0).then_some(Fault::KilledBefore));
    assert!(app.deliver().await, "it was woken");
    app.faults.none();
}
