//! The service mode and the switches of the tools, cached by each function for at most [`MAX_AGE`].
//!
//! Unlike secrets, they are not used beyond their age when a read fails, since an unlocked tool may have been locked
//! meanwhile. A failed read acts at once as the weaker of `read_only` and the last mode read; a mode that was never
//! set, or not yet read by this process, acts as `read_only`.

use std::{sync::Arc, time::Duration};

use domain::{access::service_mode::Controls, limits::admission::UserState, policy::Policy};
use platform::{
    cached::{CacheLimits, Cached},
    metrics::Metric,
    runtime::Runtime,
};
use store::Table;

/// Maximum age of the controls when they are used.
pub const MAX_AGE: Duration = Duration::from_secs(5);
/// Time from a failed read to the next one.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A read that failed is not hidden by an older value.
const LIMITS: CacheLimits =
    CacheLimits { max_age: MAX_AGE, retry_after: RETRY_AFTER, last_good_for: Some(Duration::ZERO) };

/// The controls as they are for a user, whom policy may limit for the risk that WeChat saw.
pub fn limited(controls: Arc<Controls>, user: &UserState, policy: &Policy) -> Arc<Controls> {
    match policy.risk().limit(user.limited_to) {
        Some(mode) => Arc::new(controls.limited_to(mode)),
        None => controls,
    }
}

/// Cached controls. Concurrent callers share one read.
#[derive(Debug)]
pub struct ControlsCache {
    function: &'static str,
    checkpoint_max_age: Duration,
    cached: Cached<Controls, Unreadable>,
}

/// The table cannot be read.
#[derive(Debug, Clone, Copy)]
struct Unreadable;

impl ControlsCache {
    /// Controls for `function`, which permits destructive calls only if the last exported checkpoint is at most this
    /// old.
    pub fn new(function: &'static str, checkpoint_max_age: Duration) -> Self {
        Self { function, checkpoint_max_age, cached: Cached::new(LIMITS) }
    }

    /// The controls, cached or read now. Never fails: when the table cannot be read, they act as `read_only` or less.
    pub async fn get(&self, table: &Table, runtime: &Runtime) -> Arc<Controls> {
        let read = async { self.read(table, runtime).await.ok_or(Unreadable) };
        self.cached.get(runtime, |_| true, read).await.unwrap_or_else(|Unreadable| {
            let (now, last) = (runtime.now(), self.cached.last_read());
            Arc::new(last.map_or_else(|| Controls::unreadable(now), |last| last.unread(now)))
        })
    }

    /// The same for one user, whom policy may limit for the risk that WeChat saw.
    pub async fn of_user(&self, user: &UserState, policy: &Policy, table: &Table, runtime: &Runtime) -> Arc<Controls> {
        limited(self.get(table, runtime).await, user, policy)
    }

    /// Reads the controls, and logs an error when only the default is left to act upon. `None`: the table cannot be
    /// read.
    pub async fn read(&self, table: &Table, runtime: &Runtime) -> Option<Controls> {
        let function = self.function;
        match table.controls(runtime.now(), self.checkpoint_max_age).await {
            Ok(controls) if controls.is_set() => Some(controls),
            // A new service, or one whose table is new: nothing has failed, and `/readyz` says that no mode is set.
            Ok(controls) => {
                tracing::error!(function, code = "mode_missing", "no mode was ever set: acting as read_only");
                Some(controls)
            }
            Err(error) => {
                tracing::error!(function, code = "mode_unreadable", error = %error, "acting as read_only at most");
                runtime.count(Metric::ControlsUnreadable);
                None
            }
        }
    }
}
