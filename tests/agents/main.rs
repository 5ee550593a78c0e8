//! Turns of agents, conversations and workflows through the front door, and what clients read of them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "in a test an unwrap is a failure, a print is a number to publish, and the items have no other reader"
)]

mod conversations;
mod cost;
mod status;
mod turns;
mod workflows;
