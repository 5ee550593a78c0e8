//! Limits: rates, admission of jobs, backoff, and the classification of failures by whether a repetition can succeed.

pub mod admission;
mod backoff;
mod passing;
mod rate_limit;
mod retention_clock;

pub use backoff::Backoff;
pub use passing::Passing;
pub use rate_limit::{Rate, RateDecision};
pub use retention_clock::{JUMP, RetentionClock};
