//! The whole service against the real OpenClaw gateway, started once for the suite. Run with `--test-threads=1`: some
//! of these kill it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "in a test an unwrap is a failure, a print is a number to publish, and the items have no other reader"
)]

mod agents;
mod attacks;
mod claims;
mod gaps;
mod kills;
mod ledger_reconciliation;
mod load;
mod real;
mod talk;
mod turns;
mod write_bypass_attempts;
