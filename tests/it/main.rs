//! Flows through the front door, on embedded engines, with a manual clock and injected faults.
#![allow(missing_docs, reason = "a test binary has no readers of its items")]

mod audit;
mod bad_input;
mod cancel;
mod crashes;
mod flows;
mod gateway_faults;
mod limits;
mod login;
mod status;
mod sweeping;
mod versions;
