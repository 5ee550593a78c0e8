//! How much and how often: rates, admission of jobs, backoff, and what may be repeated at all.

pub mod admission;
mod backoff;
mod passing;
mod rate_limit;
mod retention_clock;

pub use backoff::Backoff;
pub use passing::Passing;
pub use rate_limit::{Rate, RateDecision};
pub use retention_clock::{JUMP, RetentionClock};
