//! How much and how often: rates, admission of jobs, backoff.

pub mod admission;
mod backoff;
mod rate_limit;

pub use backoff::Backoff;
pub use rate_limit::{Rate, RateDecision};
