//! The service mode and the switches of the tools, cached by each function for at most [`MAX_AGE`].
//!
//! Unlike secrets, they are not used beyond their age when a read fails, since an unlocked tool may have been locked
//! meanwhile. A failed read acts at once as the weaker of `read_only` and the last mode read; a mode that was never
//! set, or not yet read by this process, acts as `read_only`.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{access::service_mode::Controls, ids::Timestamp};
use platform::{metrics::Metric, runtime::Runtime};
use store::Table;

/// Maximum age of the controls when they are used.
pub const MAX_AGE: Duration = Duration::from_secs(5);
/// Time from a failed read to the next one.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Cached controls. Concurrent callers share one read.
#[derive(Debug)]
pub struct ControlsCache {
    function: &'static str,
    checkpoint_max_age: Duration,
    state: Mutex<State>,
    /// Held during a read; other callers wait for it and then use the cached result.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    /// The result of the last successful read.
    last_good: Option<Arc<Controls>>,
}

#[derive(Debug, Clone)]
struct Held {
    controls: Arc<Controls>,
    /// When the read was started: the data cannot be older, however long the response took.
    read_at: Timestamp,
    good_for: Duration,
}

impl ControlsCache {
    /// Controls for `function`, which permits destructive calls only if the last exported checkpoint is at most this
    /// old.
    pub fn new(function: &'static str, checkpoint_max_age: Duration) -> Self {
        Self { function, checkpoint_max_age, state: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    /// The controls, cached or read now. Never fails: when the table cannot be read, they act as `read_only` or less.
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
            // Counted from the end of the read: otherwise each of the callers that waited for a hanging read would
            // start another one.
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

    /// Reads the controls, and logs an error when only the default is left to act upon. `None`: the table cannot be
    /// read.
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
        // After a clock that was set back, a cached value is from the future: it does not count as fresh.
        let fresh = |held: &&Held| held.read_at <= now && now.since(held.read_at) < held.good_for;
        state.held.as_ref().filter(fresh).map(|held| held.controls.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
