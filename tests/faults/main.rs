//! Flows under faults: killed workers, lost messages, a failing gateway, a clock that jumps.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "in a test an unwrap is a failure, a print is a number to publish, and the items have no other reader"
)]

mod batch_reads;
mod chaos;
mod clock_jumps;
mod crashes;
mod erasures;
mod gateway_faults;
mod invariants;
mod loaded_backups;
mod moves;
mod restores;
mod sweeping;
