//! Decides about a unit that does not work: wait, restart it, or send an alert. Pure.

use std::{ops::RangeInclusive, time::Duration};

use domain::ids::Timestamp;
use serde::{Deserialize, Serialize};

/// How long a unit that runs may be unready. The gateway needs about a minute to start, and longer after an upgrade.
pub(super) const UNREADY_LIMIT: Duration = Duration::from_secs(300);
/// Maximum number of restarts within [`WINDOW`]. More would hide the fault, and each interrupts running writes.
pub(super) const MAX_RESTARTS: usize = 3;
/// The time in which restarts are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(1800);
/// A longer time between two runs means that the host was down or the clock was changed. The timer runs each minute.
const GAP: Duration = Duration::from_secs(180);

/// The state of a unit, as systemd reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// It runs, or is about to.
    Running,
    /// A person has stopped it.
    Stopped,
    /// systemd has given up on it.
    Failed,
    /// It ended because its configuration has a fault, which a restart does not change.
    Misconfigured,
    /// It is not known which unit it is, or systemd does not answer.
    Unknown,
}

/// Observation of a unit in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// The state of its unit.
    pub(super) unit: Unit,
    /// Whether it answers its health check.
    pub(super) is_ready: bool,
}

/// State from earlier runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// Time of the last run, in milliseconds since 1970.
    pub(super) last_look: Option<i64>,
    /// Since when it has been unready without a restart, in milliseconds since 1970.
    pub(super) unready_since: Option<i64>,
    /// When it was restarted within the window.
    pub(super) restarts: Vec<i64>,
    /// Whether the alert was sent, and its end was not.
    pub(super) is_alerting: bool,
}

/// A decision about a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing: it works, was stopped by a person, or may still become ready.
    Wait,
    /// The unit is restarted.
    Restart,
    /// An alert is sent: the unit does not work.
    Alert,
    /// The end of the alert is sent: the unit works again.
    Over,
}

impl Decision {
    /// Whether an alert is open once this decision was carried out.
    pub(super) const fn is_alerting_after(self, before: bool) -> bool {
        match self {
            Self::Alert => true,
            Self::Over => false,
            Self::Wait | Self::Restart => before,
        }
    }
}

/// The times, in milliseconds since 1970, that count at `now`: none in the future, if the clock was set back.
pub(super) fn counted(now: Timestamp) -> RangeInclusive<i64> {
    now.minus(WINDOW).millis()..=now.millis()
}

impl Memory {
    /// Decides what is done at `now`. A restart is remembered at once, a message only by [`Self::told`].
    pub(super) fn decide(&mut self, seen: Seen, now: Timestamp) -> Decision {
        self.forget_what_was_before_a_gap(now);
        // A clock that was set back must not keep restarts for ever.
        self.restarts.retain(|at| counted(now).contains(at));
        if seen.is_ready || seen.unit == Unit::Stopped {
            self.unready_since = None;
            return if seen.is_ready && self.is_alerting { Decision::Over } else { Decision::Wait };
        }
        let since = *self.unready_since.get_or_insert(now.millis());
        let may_become_ready = now.since(Timestamp::from_millis(since)) < UNREADY_LIMIT;
        let wanted = match seen.unit {
            Unit::Running if may_become_ready => return Decision::Wait,
            Unit::Unknown if may_become_ready => return Decision::Wait,
            Unit::Running | Unit::Failed if self.restarts.len() < MAX_RESTARTS => Decision::Restart,
            _ => Decision::Alert,
        };
        match wanted {
            Decision::Restart => {
                self.restarts.push(now.millis());
                self.unready_since = None;
                Decision::Restart
            }
            _ if self.is_alerting => Decision::Wait,
            _ => Decision::Alert,
        }
    }

    /// Stores that the alert of this decision was sent. Until then each run makes the decision again.
    pub(super) const fn told(&mut self, decision: Decision) {
        self.is_alerting = decision.is_alerting_after(self.is_alerting);
    }

    /// The decision when the state cannot be written. A restart would not be counted, so restarts would never stop:
    /// an alert is sent instead.
    pub(super) const fn unwritten(&self, decision: Decision) -> Decision {
        match decision {
            Decision::Restart if self.is_alerting => Decision::Wait,
            Decision::Restart => Decision::Alert,
            Decision::Wait | Decision::Alert | Decision::Over => decision,
        }
    }

    /// A boot or a clock that was set would otherwise be taken for a long time without an answer.
    fn forget_what_was_before_a_gap(&mut self, now: Timestamp) {
        let is_apart = |at: i64| now.millis() < at || now.since(Timestamp::from_millis(at)) > GAP;
        if self.last_look.replace(now.millis()).is_none_or(is_apart) {
            self.unready_since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Decision::{Alert, Over, Restart, Wait};

    const READY: Seen = Seen { unit: Unit::Running, is_ready: true };

    fn unready(unit: Unit) -> Seen {
        Seen { unit, is_ready: false }
    }

    /// The decisions about observations of successive minutes.
    fn decisions(memory: &mut Memory, from: i64, seen: &[Seen]) -> Vec<Decision> {
        let at = |minute: i64| Timestamp::from_millis(1_795_341_600_000 + minute * 60_000);
        let decide = |(minute, seen): (i64, &Seen)| {
            let decision = memory.decide(*seen, at(minute));
            memory.told(decision);
            decision
        };
        (from..).zip(seen).map(decide).collect()
    }

    #[test]
    fn a_unit_that_works_or_was_stopped_by_a_person_is_left_alone() {
        let seen = [READY, unready(Unit::Stopped), unready(Unit::Stopped), READY];
        assert_eq!(decisions(&mut Memory::default(), 0, &seen.repeat(5)), [Wait; 20]);
    }

    #[test]
    fn a_unit_that_failed_is_restarted_at_once_and_a_silent_one_after_five_minutes() {
        assert_eq!(decisions(&mut Memory::default(), 0, &[READY, unready(Unit::Failed), READY]), [Wait, Restart, Wait]);
        let silent = [unready(Unit::Running); 7];
        assert_eq!(decisions(&mut Memory::default(), 0, &silent), [Wait, Wait, Wait, Wait, Wait, Restart, Wait]);
        let upgrade = [&[unready(Unit::Running); 5][..], &[READY], &[unready(Unit::Running); 5]].concat();
        assert_eq!(decisions(&mut Memory::default(), 0, &upgrade), [Wait; 11]);
    }

    #[test]
    fn after_three_restarts_in_half_an_hour_a_person_is_told_once_and_once_that_it_is_over() {
        let mut memory = Memory::default();
        let failed = [unready(Unit::Failed); 6];
        assert_eq!(decisions(&mut memory, 0, &failed), [Restart, Restart, Restart, Alert, Wait, Wait]);
        assert_eq!(decisions(&mut memory, 6, &[READY, READY]), [Over, Wait]);
        assert_eq!(decisions(&mut memory, 8, &failed[..2]), [Alert, Wait], "the restarts still count");
        assert_eq!(decisions(&mut memory, 40, &failed[..1]), [Restart], "half an hour later there is one again");
    }

    #[test]
    fn what_no_restart_can_mend_is_told_without_one() {
        let wrong = [unready(Unit::Misconfigured); 2];
        assert_eq!(decisions(&mut Memory::default(), 0, &wrong), [Alert, Wait]);
        let unknown = [unready(Unit::Unknown); 7];
        assert_eq!(decisions(&mut Memory::default(), 0, &unknown), [Wait, Wait, Wait, Wait, Wait, Alert, Wait]);
    }

    #[test]
    fn a_person_who_was_told_hears_that_it_is_over_only_when_it_is_ready() {
        let mut memory = Memory { is_alerting: true, ..Memory::default() };
        assert_eq!(decisions(&mut memory, 0, &[unready(Unit::Stopped), READY]), [Wait, Over]);
    }

    #[test]
    fn what_no_person_was_told_is_decided_again() {
        let (mut memory, now) = (Memory::default(), Timestamp::from_millis(1_795_341_600_000));
        let wrong = unready(Unit::Misconfigured);
        assert_eq!([memory.decide(wrong, now), memory.decide(wrong, now)], [Alert; 2]);
        memory.told(Alert);
        assert_eq!(
            [memory.decide(wrong, now), memory.decide(READY, now), memory.decide(READY, now)],
            [Wait, Over, Over]
        );
    }

    #[test]
    fn a_person_is_told_of_a_restart_that_could_not_be_counted() {
        let mut memory = Memory::default();
        assert_eq!([Wait, Restart, Alert, Over].map(|one| memory.unwritten(one)), [Wait, Alert, Alert, Over]);
        memory.told(Alert);
        assert_eq!(memory.unwritten(Restart), Wait);
    }

    #[test]
    fn a_unit_that_is_unready_after_a_boot_has_its_five_minutes_again() {
        let mut memory = Memory::default();
        assert_eq!(decisions(&mut memory, 0, &[unready(Unit::Running); 4]), [Wait; 4]);
        // Off for ten minutes.
        let starting = [unready(Unit::Running); 6];
        assert_eq!(decisions(&mut memory, 14, &starting), [Wait, Wait, Wait, Wait, Wait, Restart]);
    }

    #[test]
    fn a_clock_that_was_set_is_not_taken_for_time_without_an_answer() {
        for by in [60, -60] {
            let mut memory = Memory::default();
            assert_eq!(decisions(&mut memory, 0, &[unready(Unit::Running); 2]), [Wait; 2]);
            let slow = [unready(Unit::Running); 6];
            assert_eq!(decisions(&mut memory, by, &slow), [Wait, Wait, Wait, Wait, Wait, Restart], "{by}");
        }
    }

    #[test]
    fn restarts_of_a_clock_that_was_set_back_are_forgotten() {
        let mut memory = Memory { restarts: vec![i64::MAX; 3], ..Memory::default() };
        assert_eq!(decisions(&mut memory, 0, &[unready(Unit::Failed)]), [Restart]);
    }
}
