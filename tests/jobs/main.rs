//! Jobs of users through the front door: accepted, decided, approved, run once and read back.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "in a test an unwrap is a failure, a print is a number to publish, and the items have no other reader"
)]

mod approvals;
mod bad_input;
mod cancel;
mod content_safety;
mod duties;
mod erasure;
mod events;
mod export;
mod flows;
mod honesty;
mod limits;
mod login;
mod notifications;
mod openapi;
mod policy;
mod risk;
mod text;
mod traces;
mod versions;
mod wechat_events;
