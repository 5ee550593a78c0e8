//! Limits, lifetimes and retention of one host. The defaults are those of `template.yaml`, except for the long poll,
//! which costs nothing on one host.

use std::time::Duration;

use domain::limits::{Rate, admission::Limits};
use platform::config;

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
                submissions: Rate::new(Duration::from_millis(500), 20),
                in_flight: 16,
                in_flight_long: 3,
                conversations: 100,
            },
            login_rate: Rate::new(Duration::from_secs(2), 60),
            session_lifetime: Duration::from_secs(7200),
            long_poll_cap: Duration::from_secs(20),
            worker_concurrency: 4,
            retention_days: 30,
            checkpoint_every: Duration::from_secs(300),
            checkpoint_max_age: Duration::from_secs(config::CHECKPOINT_MAX_AGE_S),
        }
    }
}
