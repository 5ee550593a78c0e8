//! The time of one run, divided among its duties. Each duty gets a share of what is left when it begins, so the next
//! ones have what it does not use. No duty can use up the time of those after it: the last one writes the run's
//! metrics, which are lost when the platform kills the run.

use std::time::Duration;

use domain::ids::Timestamp;
use platform::runtime::Runtime;

/// A run has to end this long before its deadline.
const STOP_BEFORE: Duration = Duration::from_secs(2);
/// The least time of a duty, however late it is, for example to write the heartbeat. All of them together stay within
/// [`STOP_BEFORE`].
const AT_LEAST: Duration = Duration::from_millis(250);

/// The time that is left to a run.
#[derive(Debug)]
pub(crate) struct Budget<'a> {
    runtime: &'a Runtime,
    over_at: Timestamp,
}

/// The share of one duty.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    runtime: &'a Runtime,
    begin_until: Timestamp,
    limit: Duration,
}

/// A duty took longer than its share and was cancelled. The next run does what is left.
#[derive(Debug, thiserror::Error)]
#[error("{0} took longer than its part of the run")]
pub(crate) struct CutOff(&'static str);

impl<'a> Budget<'a> {
    /// The budget of a run that the platform kills at `deadline`.
    pub(crate) fn new(runtime: &'a Runtime, deadline: Timestamp) -> Self {
        Self { runtime, over_at: deadline.minus(STOP_BEFORE) }
    }

    /// A share of this many percent of what is left now.
    pub(crate) fn share(&self, percent: u32) -> Share<'a> {
        let now = self.runtime.now();
        let part = self.over_at.since(now) * percent.min(100) / 100;
        Share { runtime: self.runtime, begin_until: now.plus(part * 3 / 4), limit: part.max(AT_LEAST) }
    }
}

impl Share<'_> {
    /// Whether a duty that works in pieces may begin no other piece. True some time before the share ends: a piece that
    /// is cut off may leave jobs that are postponed and not woken.
    pub(crate) fn is_used_up(&self) -> bool {
        self.runtime.now() >= self.begin_until
    }

    /// Does the work, and cancels it when the share is over.
    pub(crate) async fn limit<T>(&self, duty: &'static str, work: impl Future<Output = T>) -> Result<T, CutOff> {
        let done = tokio::time::timeout(self.limit, work).await;
        done.map_err(|_| CutOff(duty)).inspect_err(|cut_off| {
            tracing::warn!(function = "sweep", code = "duty_cut_off", error = %cut_off, "a duty exceeded its share of the run and was cancelled");
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use platform::runtime::{Clock, System};

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            NOW
        }
    }

    #[test]
    fn a_share_is_a_part_of_what_is_left_and_never_nothing() {
        let runtime = Runtime::new(Arc::new(Stopped), Arc::new(System));
        let limit = |left, percent| Budget::new(&runtime, NOW.plus(Duration::from_secs(left))).share(percent).limit;
        assert_eq!(limit(50, 50), Duration::from_secs(24));
        assert_eq!(limit(50, 100), Duration::from_secs(48));
        assert_eq!(limit(50, 1000), Duration::from_secs(48));
        assert_eq!((limit(2, 50), limit(0, 100)), (AT_LEAST, AT_LEAST));
    }

    #[test]
    fn nothing_is_begun_without_time() {
        let runtime = Runtime::new(Arc::new(Stopped), Arc::new(System));
        let used_up = |left| Budget::new(&runtime, NOW.plus(Duration::from_secs(left))).share(50).is_used_up();
        assert_eq!([0, 2, 3].map(used_up), [true, true, false]);
    }
}
