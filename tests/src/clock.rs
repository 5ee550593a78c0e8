//! A clock that tests set.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use domain::ids::Timestamp;
use platform::runtime::{Clock, System};

/// The real time, shifted by as much as the test has advanced it. Clones share the shift.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    ahead_ms: Arc<AtomicI64>,
}

impl ManualClock {
    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(i64::try_from(by.as_millis()).expect("a test advances by less"), Ordering::SeqCst);
    }

    /// Moves it back, like a host's clock that is corrected.
    pub fn go_back(&self, by: Duration) {
        self.ahead_ms.fetch_sub(i64::try_from(by.as_millis()).expect("a test goes back by less"), Ordering::SeqCst);
    }

    /// Moves it forward to the beginning of a minute, for what is counted by minutes.
    pub fn advance_to_a_minute(&self) {
        let into = self.now().millis().rem_euclid(60_000).unsigned_abs();
        self.advance(Duration::from_millis(60_000 - into));
    }

    /// How far it is ahead of the real time, in milliseconds.
    pub fn ahead_ms(&self) -> i64 {
        self.ahead_ms.load(Ordering::SeqCst)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(System.now().millis() + self.ahead_ms())
    }
}
