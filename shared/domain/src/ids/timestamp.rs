//! Instants: milliseconds since the Unix epoch, UTC. No other code represents a time as an integer.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An instant in UTC with millisecond resolution, by default the start of 1970. Stored as a number of milliseconds, shown
/// as RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// Why a value is not a time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected an RFC 3339 time, or seconds or milliseconds since 1970, between 2000 and 2100")]
pub struct NotATime;

/// Tolerated difference between the clocks of two functions.
pub const CLOCKS_DIFFER: Duration = Duration::from_secs(60);
const YEAR_2000: i64 = 946_684_800_000;
const YEAR_2100: i64 = 4_102_444_800_000;
/// Numbers below this are seconds: as milliseconds they would lie before March 1973.
const SECONDS_BELOW: i64 = 100_000_000_000;

impl Timestamp {
    /// Later than every time that is read from a client or stored for a job: the year 2100.
    pub const END: Self = Self(YEAR_2100);

    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded up: what DynamoDB's TTL and JWT dates count in.
    pub const fn seconds_ceil(self) -> i64 {
        self.0.div_euclid(1000) + if self.0.rem_euclid(1000) == 0 { 0 } else { 1 }
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds_floor(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Reads what a client may send: RFC 3339 with an offset, epoch seconds, or epoch milliseconds.
    #[expect(clippy::cast_possible_truncation, reason = "below 10^15 a whole double is exact")]
    pub fn parse(value: &Value) -> Result<Self, NotATime> {
        let millis = match value {
            Value::String(text) => text.parse::<jiff::Timestamp>().map_err(|_| NotATime)?.as_millisecond(),
            Value::Number(number) => {
                let whole = |f: f64| (f.fract() == 0.0 && f.abs() < 1e15).then_some(f as i64);
                let number = number.as_i64().or_else(|| number.as_f64().and_then(whole)).ok_or(NotATime)?;
                if number < SECONDS_BELOW { number.checked_mul(1000).ok_or(NotATime)? } else { number }
            }
            _ => return Err(NotATime),
        };
        if (YEAR_2000..YEAR_2100).contains(&millis) { Ok(Self(millis)) } else { Err(NotATime) }
    }

    /// This instant moved forward.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This instant moved back.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Whether a planned time has come. `at_most` is the longest that the service plans a time of this kind ahead. A
    /// time further ahead counts as come: it was written while the clock ran ahead, and waiting for it could take
    /// years.
    pub fn has_come(self, now: Self, at_most: Duration) -> bool {
        self <= now || self > Self::furthest(now, at_most)
    }

    /// The latest time that can have been planned by a right clock, if none is planned further ahead than `at_most`.
    pub fn furthest(now: Self, at_most: Duration) -> Self {
        now.plus(at_most + CLOCKS_DIFFER)
    }

    /// Time from `earlier` to this instant; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_three_usual_spellings_mean_the_same_instant() {
        for spelling in [
            json!("2026-11-22T10:00:00Z"),
            json!("2026-11-22T18:00:00.000+08:00"),
            json!(1_795_341_600),
            json!(1_795_341_600_000_i64),
            json!(1_795_341_600.0),
        ] {
            let parsed = Timestamp::parse(&spelling).unwrap();
            assert_eq!(parsed.to_string(), "2026-11-22T10:00:00.000Z", "{spelling}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            json!("yesterday"),
            json!("2026-11-22T10:00:00"),
            json!(-5),
            json!(1.5),
            json!(true),
            json!(null),
            json!(i64::MAX),
        ] {
            assert_eq!(Timestamp::parse(&bad), Err(NotATime), "{bad}");
        }
    }

    #[test]
    fn seconds_round_towards_the_safe_side() {
        assert_eq!(Timestamp::from_millis(1001).seconds_ceil(), 2);
        assert_eq!(Timestamp::from_millis(1000).seconds_ceil(), 1);
        assert_eq!(Timestamp::from_millis(1999).seconds_floor(), 1);
    }
}
