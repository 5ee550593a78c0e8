//! Whether systemd restarts a unit again and again, each time with success. Pure.

use domain::ids::Timestamp;
use serde::{Deserialize, Serialize};

use super::decision::{Decision, counted};

/// How many restarts by systemd within the window of [`counted`] are a crash loop. One or two may be a lack of memory.
const TOO_MANY: u64 = 3;

/// Stored counts of restarts by systemd.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct CrashLoop {
    /// Times, in milliseconds since 1970, and the counts then, within the window; oldest first.
    counts: Vec<(i64, u64)>,
    /// Whether the alert was sent, and its end was not.
    is_alerting: bool,
}

impl CrashLoop {
    /// Decides whether an alert is sent at `now`, given systemd's count of restarts.
    pub(super) fn decide(&mut self, count: Option<u64>, now: Timestamp) -> Decision {
        let Some(count) = count else { return Decision::Wait };
        self.counts.retain(|(at, _)| counted(now).contains(at));
        // A person has started the unit anew, or the host was booted.
        if self.counts.last().is_some_and(|(_, last)| count < *last) {
            self.counts.clear();
        }
        self.counts.push((now.millis(), count));
        let grown = self.counts.first().map_or(0, |(_, first)| count.saturating_sub(*first));
        match (grown >= TOO_MANY, self.is_alerting) {
            (true, false) => Decision::Alert,
            (false, true) => Decision::Over,
            _ => Decision::Wait,
        }
    }

    /// Stores that the alert of this decision was sent. Until then each run makes the decision again.
    pub(super) const fn told(&mut self, decision: Decision) {
        self.is_alerting = decision.is_alerting_after(self.is_alerting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Decision::{Alert, Over, Wait};

    /// The decisions about counts of successive minutes.
    fn decisions(memory: &mut CrashLoop, from: i64, counts: &[u64]) -> Vec<Decision> {
        let decide = |(minute, count): (i64, &u64)| {
            let decision = memory.decide(Some(*count), Timestamp::from_millis(1_795_341_600_000 + minute * 60_000));
            memory.told(decision);
            decision
        };
        (from..).zip(counts).map(decide).collect()
    }

    #[test]
    fn three_restarts_by_systemd_in_half_an_hour_are_told_once_and_once_when_it_is_over() {
        let mut memory = CrashLoop::default();
        assert_eq!(decisions(&mut memory, 0, &[40, 41, 42, 43, 44]), [Wait, Wait, Wait, Alert, Wait]);
        assert_eq!(decisions(&mut memory, 33, &[44, 44]), [Over, Wait]);
        assert_eq!(decisions(&mut memory, 40, &[50]), [Alert], "between two looks");
    }

    #[test]
    fn a_count_that_grows_slowly_or_begins_anew_is_no_crash_loop() {
        let slow: Vec<u64> = (0..60).map(|minute| minute / 16).collect();
        assert_eq!(decisions(&mut CrashLoop::default(), 0, &slow), [Wait; 60]);
        assert_eq!(decisions(&mut CrashLoop::default(), 0, &[5, 7, 0, 2]), [Wait; 4]);
    }

    #[test]
    fn what_systemd_does_not_tell_and_what_no_person_was_told_changes_nothing() {
        let (mut memory, now) = (CrashLoop::default(), Timestamp::from_millis(1_795_341_600_000));
        assert_eq!([memory.decide(None, now), memory.decide(Some(0), now)], [Wait; 2]);
        assert_eq!([memory.decide(Some(3), now), memory.decide(Some(3), now)], [Alert; 2]);
    }
}
