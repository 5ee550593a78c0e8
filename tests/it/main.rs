//! Flows through the front door, on embedded engines, with a manual clock and injected faults.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "in a test an unwrap is a failure, a print is a number to publish, and nobody reads the items from outside"
)]

mod approvals;
mod audit;
mod audit_walk;
mod bad_input;
mod cancel;
mod chaos;
mod checkpoints;
mod clock_jumps;
mod conversations;
mod cost;
mod crashes;
mod events;
mod flows;
mod gateway_faults;
mod honesty;
mod invariants;
mod limits;
mod login;
mod metrics;
mod modes;
mod openapi;
mod operator;
mod policy;
mod rotation;
mod secrets;
mod status;
mod sweeping;
mod text;
mod traces;
mod turns;
mod versions;
mod workflows;
