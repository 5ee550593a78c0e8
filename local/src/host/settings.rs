//! Limits, lifetimes and retention of one host.

use std::time::Duration;

use domain::limits::{Rate, admission::Limits};
use platform::config::defaults;

/// Longest long poll on one host, in seconds. A held request costs nothing here.
pub const LONG_POLL_MAX_S: u64 = 20;

/// Limits, lifetimes and retention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Limits of one user.
    pub limits: Limits,
    /// Rate of logins from one address.
    pub login_rate: Rate,
    /// Lifetime of a session.
    pub session_lifetime: Duration,
    /// The longest poll. A held request costs nothing on one host.
    pub long_poll_cap: Duration,
    /// Number of jobs of one batch that run concurrently.
    pub worker_concurrency: usize,
    /// How long records are kept after the end of their job, in days.
    pub retention_days: u64,
    /// Interval of checkpoints.
    pub checkpoint_every: Duration,
    /// The maximum age of the last exported audit checkpoint for running a destructive tool.
    pub checkpoint_max_age: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits {
                submissions: Rate::new(Duration::from_millis(defaults::SUBMIT_INTERVAL_MS), defaults::SUBMIT_BURST),
                in_flight: usize::from(defaults::MAX_IN_FLIGHT),
                in_flight_long: usize::from(defaults::MAX_IN_FLIGHT_LONG),
                conversations: usize::from(defaults::MAX_CONVERSATIONS),
            },
            login_rate: Rate::new(Duration::from_millis(defaults::LOGIN_INTERVAL_MS), defaults::LOGIN_BURST),
            session_lifetime: Duration::from_secs(defaults::SESSION_LIFETIME_S),
            long_poll_cap: Duration::from_secs(LONG_POLL_MAX_S),
            worker_concurrency: usize::from(defaults::WORKER_CONCURRENCY),
            retention_days: defaults::RETENTION_DAYS,
            checkpoint_every: Duration::from_secs(defaults::CHECKPOINT_EVERY_S),
            checkpoint_max_age: Duration::from_secs(defaults::CHECKPOINT_MAX_AGE_S),
        }
    }
}
