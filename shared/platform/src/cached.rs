//! A value that is read from elsewhere and cached: fresh for a limited time, read by one caller at a time, and, where
//! its owner permits it, used longer while the source does not answer.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::runtime::Runtime;
use domain::ids::Timestamp;

/// How long a value is used, and when it is read again.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// Maximum age of a value while its source answers.
    pub max_age: Duration,
    /// Time from a failed read to the next one, and from a read to the next one for something that it did not return.
    pub retry_after: Duration,
    /// Maximum age of the last good value while its source does not answer; `None` for any age.
    pub last_good_for: Option<Duration>,
}

/// A cached value. Concurrent callers share one read.
#[derive(Debug)]
pub struct Cached<T, E> {
    limits: CacheLimits,
    state: Mutex<State<T, E>>,
    /// Held during a read; other callers wait for it and then use the cached result.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State<T, E> {
    /// The value, and when its read was started: the data cannot be older, however long the response took.
    held: Option<(Timestamp, Arc<T>)>,
    /// End and error of the last read, if it failed. Counted from the end, so that callers that waited for a hanging
    /// read do not start another one each.
    failed: Option<(Timestamp, E)>,
    forced_at: Option<Timestamp>,
    expired: bool,
}

/// Whether `at` is less than `within` ago. False for a time in the future: after a clock was set back, a cached value
/// must not last for ever.
fn is_recent(at: Timestamp, now: Timestamp, within: Duration) -> bool {
    at <= now && now.since(at) < within
}

impl<T, E: Clone> State<T, E> {
    /// The result without a read, if the cache allows one.
    fn at_hand(&self, now: Timestamp, limits: &CacheLimits, has: impl Fn(&T) -> bool) -> Option<Result<Arc<T>, E>> {
        let fresh = self.held.as_ref().filter(|(at, _)| !self.expired && is_recent(*at, now, limits.max_age));
        if let Some((_, value)) = fresh.filter(|(_, value)| has(value)) {
            return Some(Ok(value.clone()));
        }
        let tried_at = self.failed.as_ref().map(|(at, _)| *at).or(fresh.map(|(at, _)| *at));
        tried_at.filter(|at| is_recent(*at, now, limits.retry_after))?;
        self.last_good(now, limits).map(Ok).or_else(|| self.failed.as_ref().map(|(_, error)| Err(error.clone())))
    }

    fn last_good(&self, now: Timestamp, limits: &CacheLimits) -> Option<Arc<T>> {
        let usable = |at| limits.last_good_for.is_none_or(|within| is_recent(at, now, within));
        self.held.as_ref().filter(|(at, _)| usable(*at)).map(|(_, value)| value.clone())
    }
}

impl<T, E: Clone> Cached<T, E> {
    /// Nothing is cached yet.
    pub fn new(limits: CacheLimits) -> Self {
        let state = State { held: None, failed: None, forced_at: None, expired: false };
        Self { limits, state: Mutex::new(state), reading: tokio::sync::Mutex::default() }
    }

    /// The cached value if it is fresh and `has` what is wanted, or else the result of `read`. After a failed read, the
    /// last good value if it may still be used.
    pub async fn get(
        &self,
        runtime: &Runtime,
        has: impl Fn(&T) -> bool,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        let at_hand = || self.state().at_hand(runtime.now(), &self.limits, &has);
        if let Some(answer) = at_hand() {
            return answer;
        }
        let _one_at_a_time = self.reading.lock().await;
        if let Some(answer) = at_hand() {
            return answer;
        }
        let (asked_at, forced_at) = (runtime.now(), self.state().forced_at);
        let read = read.await;
        let mut state = self.state();
        match read {
            Ok(value) => {
                let value = Arc::new(value);
                state.held = Some((asked_at, value.clone()));
                state.failed = None;
                // A refusal during this read may concern the value that it returned, so the next read is forced.
                state.expired = state.forced_at != forced_at;
                Ok(value)
            }
            Err(error) => {
                let now = runtime.now();
                state.failed = Some((now, error.clone()));
                state.last_good(now, &self.limits).ok_or(error)
            }
        }
    }

    /// Makes the next [`get`](Self::get) read, because the value was refused where it was used. False if that was done
    /// less than `interval` ago: a flood of refusals must not become a flood of reads.
    pub fn expire(&self, now: Timestamp, interval: Duration) -> bool {
        let mut state = self.state();
        let forced = state.forced_at.is_none_or(|at| !is_recent(at, now, interval));
        if forced {
            state.forced_at = Some(now);
            state.expired = true;
        }
        forced
    }

    /// The result of the last successful read, however old.
    pub fn last_read(&self) -> Option<Arc<T>> {
        self.state().held.as_ref().map(|(_, value)| value.clone())
    }

    fn state(&self) -> MutexGuard<'_, State<T, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
