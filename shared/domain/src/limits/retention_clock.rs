//! The time by which a host deletes expired items: one that never jumps.
//!
//! A host's clock is an input that may lie: set wrongly, it would let every item expire at once, and a request id whose job was
//! deleted is a new one when the clock is right again. So items are deleted by a clock of their own. It goes forward as the
//! host's clock does, but does not follow it over a jump; then items are deleted late, by the length of the jump, until an
//! operator has confirmed the host's clock. Every item is kept for as long as its retention, counted in time that was seen to
//! pass.
//!
//! In the cloud DynamoDB deletes by AWS's clock, and none of this is used.

use std::time::Duration;

use crate::ids::Timestamp;

/// Between two readings a clock moves by less than this; anything else is a jump. Longer than a host is usually off.
pub const JUMP: Duration = Duration::from_secs(86_400);

/// Both clocks, as they were read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionClock {
    host: Timestamp,
    deletes: Timestamp,
}

impl RetentionClock {
    /// Both clocks agree: what a new table begins with, and what an operator confirms.
    pub fn confirmed(host: Timestamp) -> Self {
        Self { host, deletes: host }
    }

    /// As it was stored. What deletes is never ahead of the host's clock.
    pub fn stored(host: Timestamp, deletes: Timestamp) -> Self {
        Self { host, deletes: deletes.min(host) }
    }

    /// The host's clock, when it was read last.
    pub fn host(self) -> Timestamp {
        self.host
    }

    /// Items that expired before this are deleted.
    pub fn deletes(self) -> Timestamp {
        self.deletes
    }

    /// After the host's clock was read again.
    #[must_use]
    pub fn read(self, host: Timestamp) -> Self {
        let moved = host.millis().saturating_sub(self.host.millis());
        let jumped = u128::from(moved.unsigned_abs()) >= JUMP.as_millis();
        let deletes = if jumped { self.deletes.millis() } else { self.deletes.millis().saturating_add(moved) };
        Self::stored(host, Timestamp::from_millis(deletes))
    }

    /// How late items are deleted, if that is a jump's length or more.
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
