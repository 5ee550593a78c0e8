//! The retention clock: the time by which one host deletes expired items. It never jumps.
//!
//! A host's clock can be set wrongly. If deletion followed it, every item could expire at once, and after the
//! correction a deleted job's request id would be accepted as new and run a second time. So items are deleted by a
//! clock of their own, which advances as the host's clock does but does not follow a jump. After a jump items are
//! deleted late, by the length of the jump, until an operator confirms the host's clock. Each item is kept for its
//! whole retention time, measured in time that was observed to pass.
//!
//! In the cloud DynamoDB deletes by AWS's clock, and none of this is used.

use std::time::Duration;

use crate::ids::Timestamp;

/// Minimum difference between two readings that counts as a jump. Longer than a host is usually off.
pub const JUMP: Duration = Duration::from_secs(86_400);

/// Both clocks, as last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionClock {
    host: Timestamp,
    deletes: Timestamp,
}

impl RetentionClock {
    /// Both clocks agree: the state of a new table, and after an operator's confirmation.
    pub fn confirmed(host: Timestamp) -> Self {
        Self { host, deletes: host }
    }

    /// The stored state. The retention clock is never ahead of the host's.
    pub fn stored(host: Timestamp, deletes: Timestamp) -> Self {
        Self { host, deletes: deletes.min(host) }
    }

    /// The host's clock at its last reading.
    pub fn host(self) -> Timestamp {
        self.host
    }

    /// Items that expired before this time are deleted.
    pub fn deletes(self) -> Timestamp {
        self.deletes
    }

    /// The state after the host's clock was read again.
    #[must_use]
    pub fn read(self, host: Timestamp) -> Self {
        let moved = host.millis().saturating_sub(self.host.millis());
        let jumped = u128::from(moved.unsigned_abs()) >= JUMP.as_millis();
        let deletes = if jumped { self.deletes.millis() } else { self.deletes.millis().saturating_add(moved) };
        Self::stored(host, Timestamp::from_millis(deletes))
    }

    /// How late items are deleted, if that is at least the length of a jump.
    pub fn late_by(self) -> Option<Duration> {
        Some(self.host.since(self.deletes)).filter(|late| *late >= JUMP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_341_600_000);
    const HOUR: Duration = Duration::from_secs(3600);
    const FORTY_DAYS: Duration = Duration::from_secs(40 * 86_400);

    fn after_hours(clock: RetentionClock, hours: u32) -> RetentionClock {
        (0..hours).fold(clock, |clock, _| clock.read(clock.host().plus(HOUR)))
    }

    #[test]
    fn it_follows_a_clock_that_goes_on_also_over_a_night_and_a_small_correction() {
        let clock = after_hours(RetentionClock::confirmed(START), 100);
        assert_eq!((clock.deletes(), clock.late_by()), (START.plus(HOUR * 100), None));
        let night = clock.read(clock.host().plus(HOUR * 23));
        assert_eq!(night.deletes(), night.host());
        let corrected = night.read(night.host().minus(HOUR));
        assert_eq!(corrected.deletes(), corrected.host());
    }

    #[test]
    fn it_does_not_follow_a_jump_ahead_and_goes_on_at_that_distance() {
        let jumped = RetentionClock::confirmed(START).read(START.plus(FORTY_DAYS));
        assert_eq!((jumped.deletes(), jumped.late_by()), (START, Some(FORTY_DAYS)));
        let later = after_hours(jumped, 30 * 24);
        assert_eq!((later.deletes(), later.late_by()), (START.plus(HOUR * 720), Some(FORTY_DAYS)));
        assert_eq!(RetentionClock::confirmed(later.host()).deletes(), later.host(), "until it is confirmed");
        assert_eq!(RetentionClock::confirmed(START).read(START.plus(JUMP)).deletes(), START, "a day is a jump");
    }

    #[test]
    fn a_clock_that_comes_back_from_a_jump_has_cost_nothing() {
        let back = RetentionClock::confirmed(START).read(START.plus(FORTY_DAYS)).read(START.plus(HOUR));
        assert_eq!((back.deletes(), back.late_by()), (START, None));
    }

    #[test]
    fn what_is_written_while_the_clock_is_behind_outlives_its_return() {
        let behind = RetentionClock::confirmed(START).read(START.minus(FORTY_DAYS));
        assert_eq!(behind.deletes(), START.minus(FORTY_DAYS), "never ahead of the host's clock");
        let expires = behind.host().plus(HOUR * 720);
        let returned = behind.read(START);
        assert!(returned.deletes() < expires);
        assert!(after_hours(returned, 719).deletes() < expires, "it is kept for its 30 days");
    }
}
