//! What people and alarms have set, as a function sees it: at most [`MAX_AGE`] old.
//!
//! Where secrets go on with the last good document, the ladder does not: what was opened may have been shut meanwhile. So
//! what cannot be read acts at once as the weaker of `read_only` and what was read last, and a mode that was never set, or
//! that this process has not read yet, as `read_only`.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{access::service_mode::Controls, ids::Timestamp};
use platform::{metrics::Metric, runtime::Runtime};
use store::Table;

/// How old what is set may be when it is acted upon.
pub const MAX_AGE: Duration = Duration::from_secs(5);
/// After a read that failed, how long until the next one.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is set, read anew when it is too old. Concurrent callers share one read.
#[derive(Debug)]
pub struct ControlsCache {
    function: &'static str,
    checkpoint_max_age: Duration,
    state: Mutex<State>,
    /// Held by whoever reads; the others wait for it and then look again.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    /// What the last read brought that brought anything.
    last_good: Option<Arc<Controls>>,
}

#[derive(Debug, Clone)]
struct Held {
    controls: Arc<Controls>,
    /// When it was asked for: it cannot be older, however long the answer took.
    read_at: Timestamp,
    good_for: Duration,
}

impl ControlsCache {
    /// For `function`, which asks that audit checkpoints are no older than this before anything destructive.
    pub fn new(function: &'static str, checkpoint_max_age: Duration) -> Self {
        Self { function, checkpoint_max_age, state: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    /// What is set now, from the cache or read anew. Never fails: what cannot be read acts as `read_only` at most.
    pub async fn get(&self, table: &Table, runtime: &Runtime) -> Arc<Controls> {
        if let Some(controls) = self.at_hand(runtime.now()) {
            return controls;
        }
        let _one_at_a_time = self.reading.lock().await;
        if let Some(controls) = self.at_hand(runtime.now()) {
            return controls;
        }
        let read_at = runtime.now();
        let read = self.read(table, runtime).await.map(Arc::new);
        let mut state = self.state();
        let held = match read {
            Some(controls) => {
                state.last_good = Some(controls.clone());
                Held { controls, read_at, good_for: MAX_AGE }
            }
            // From the end of the read: callers who waited for one that hung do not each begin another.
            None => {
                let now = runtime.now();
                let unread =
                    state.last_good.as_ref().map_or_else(|| Controls::unreadable(now), |last| last.unread(now));
                Held { controls: Arc::new(unread), read_at: now, good_for: RETRY_AFTER }
            }
        };
        let controls = held.controls.clone();
        state.held = Some(held);
        controls
    }

    /// Reads, and says loudly when there is nothing to act upon but the default. `None`: it cannot be read.
    pub async fn read(&self, table: &Table, runtime: &Runtime) -> Option<Controls> {
        let function = self.function;
        match table.controls(runtime.now(), self.checkpoint_max_age).await {
            Ok(controls) if controls.is_set() => Some(controls),
            Ok(controls) => {
                tracing::error!(function, code = "mode_missing", "no mode was ever set: acting as read_only");
                runtime.count(Metric::ControlsUnreadable);
                Some(controls)
            }
            Err(error) => {
                tracing::error!(function, code = "mode_unreadable", error = %error, "acting as read_only at most");
                runtime.count(Metric::ControlsUnreadable);
                None
            }
        }
    }

    fn at_hand(&self, now: Timestamp) -> Option<Arc<Controls>> {
        let state = self.state();
        // A clock that was set back makes nothing younger.
        let fresh = |held: &&Held| held.read_at <= now && now.since(held.read_at) < held.good_for;
        state.held.as_ref().filter(fresh).map(|held| held.controls.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
