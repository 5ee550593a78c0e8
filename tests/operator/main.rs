//! Operators and operations: the operator API, service modes, audit chains and checkpoints, metrics, secrets.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "in a test an unwrap is a failure, a print is a number to publish, and the items have no other reader"
)]

mod api;
mod audit;
mod metrics;
mod modes;
mod retention;
mod rotation;
mod secrets;
mod stored_items;
