//! GCRA: a rate limit that is one number per user and class, the theoretical arrival time.
//!
//! A request moves the arrival time one interval ahead. It is refused if that would be more than the burst ahead of
//! now; the refusal contains the exact delay. There is no window, so no double rate at a window's edge.

use std::time::Duration;

use serde::Deserialize;

use crate::ids::Timestamp;

/// Interval and burst of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Rate {
    interval_ms: u64,
    burst: u32,
}

/// Decision about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateDecision {
    /// Accepted; store this arrival time.
    Pass(Timestamp),
    /// Refused; retry after this delay.
    Wait(Duration),
}

impl Rate {
    /// One request every `interval`, and up to `burst` at once after a pause.
    pub fn new(interval: Duration, burst: u32) -> Self {
        Self { interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1), burst: burst.max(1) }
    }

    /// One interval.
    pub fn interval(self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }

    /// How far ahead of now the arrival time may be for a request to be accepted.
    pub fn tolerance(self) -> Duration {
        self.interval() * (self.burst - 1)
    }

    /// Upper limit of a valid arrival time: the request that uses up the burst moves it one interval beyond the
    /// tolerance. A later one was written while the clock ran ahead, or before the limit was raised, and is ignored:
    /// otherwise the user would be refused until the clock reaches it again.
    pub fn furthest(self, now: Timestamp) -> Timestamp {
        Timestamp::furthest(now, self.tolerance() + self.interval())
    }

    /// Decides one request, given the stored arrival time.
    pub fn decide(self, stored: Option<Timestamp>, now: Timestamp) -> RateDecision {
        let stored = stored.filter(|stored| *stored <= self.furthest(now));
        let arrival = stored.map_or(now, |stored| stored.max(now));
        let ahead = arrival.since(now);
        if ahead > self.tolerance() {
            RateDecision::Wait(ahead - self.tolerance())
        } else {
            RateDecision::Pass(arrival.plus(self.interval()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CLOCKS_DIFFER;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn a_burst_passes_and_then_the_interval_rules() {
        let rate = Rate::new(Duration::from_millis(100), 3);
        let mut stored = None;
        for _ in 0..3 {
            match rate.decide(stored, NOW) {
                RateDecision::Pass(arrival) => stored = Some(arrival),
                RateDecision::Wait(_) => panic!("the burst is three"),
            }
        }
        assert_eq!(rate.decide(stored, NOW), RateDecision::Wait(Duration::from_millis(100)));
        let later = NOW.plus(Duration::from_millis(100));
        assert!(matches!(rate.decide(stored, later), RateDecision::Pass(_)));
    }

    #[test]
    fn waiting_exactly_retry_after_is_enough() {
        let rate = Rate::new(Duration::from_millis(250), 2);
        let stored = Some(NOW.plus(Duration::from_millis(777)));
        let RateDecision::Wait(wait) = rate.decide(stored, NOW) else { panic!("777 ms ahead is over 250 ms") };
        assert!(matches!(rate.decide(stored, NOW.plus(wait)), RateDecision::Pass(_)));
        assert!(matches!(rate.decide(stored, NOW.plus(wait - Duration::from_millis(1))), RateDecision::Wait(_)));
    }

    #[test]
    fn a_time_from_a_clock_that_ran_ahead_refuses_no_user() {
        let rate = Rate::new(Duration::from_millis(100), 3);
        let ahead = NOW.plus(Duration::from_secs(40 * 86_400));
        assert_eq!(rate.decide(Some(ahead), NOW), RateDecision::Pass(NOW.plus(Duration::from_millis(100))));
        assert!(matches!(rate.decide(Some(rate.furthest(NOW)), NOW), RateDecision::Wait(_)));
        // The longest that a clock that ran ahead can keep a user waiting is the interval and the difference of clocks.
        assert_eq!(rate.furthest(NOW), NOW.plus(Duration::from_millis(300) + CLOCKS_DIFFER));
    }

    #[test]
    fn idle_time_earns_no_more_than_the_burst() {
        let rate = Rate::new(Duration::from_millis(100), 2);
        let mut stored = Some(Timestamp::from_millis(0));
        let mut passed = 0;
        while let RateDecision::Pass(arrival) = rate.decide(stored, NOW) {
            stored = Some(arrival);
            passed += 1;
        }
        assert_eq!(passed, 2);
    }
}
