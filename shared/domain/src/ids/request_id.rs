//! The request id: made by the client, sent as `Idempotency-Key`; with the user id it identifies one job for ever.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::Timestamp;

/// A UUIDv7 or a ULID, normalised to a lower-case UUID. Its first 48 bits are the client's time, so ids sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(Uuid);

/// Why a text is not a request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRequestId {
    /// Neither a UUID nor a ULID.
    #[error("the idempotency key must be a UUIDv7 or a ULID")]
    Malformed,
    /// A UUID of a version without a time.
    #[error("the idempotency key is a UUID of another version; a UUIDv7 or a ULID is needed")]
    WrongVersion,
}

/// The time in an id compared with the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdAge {
    /// Close enough to now for a new job.
    Fresh,
    /// Older than [`RequestId::OLDEST`]: a job of that id may have existed and been deleted.
    TooOld,
    /// Further ahead than [`RequestId::NEWEST`].
    InFuture,
}

impl RequestId {
    /// Maximum age of a new id.
    pub const OLDEST: Duration = Duration::from_secs(24 * 3600);
    /// How far in the future the time of a new id may be.
    pub const NEWEST: Duration = Duration::from_secs(600);

    /// Parses an `Idempotency-Key`: UUIDv7 in any usual spelling (hyphens, none, braces, `urn:uuid:`, any case) or a
    /// ULID, bare or as a quoted structured-field string.
    pub fn parse_key(text: &str) -> Result<Self, BadRequestId> {
        let text = text.trim();
        let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
        if let Ok(id) = Uuid::try_parse(text) {
            let v7 = id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122;
            return if v7 { Ok(Self(id)) } else { Err(BadRequestId::WrongVersion) };
        }
        parse_ulid(text).map(|bits| Self(Uuid::from_u128(bits))).ok_or(BadRequestId::Malformed)
    }

    /// An id for a job that no client named: a UUIDv7 of the current time.
    pub fn made(now: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.millis()).unwrap_or_default();
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The time that the client put into the id.
    pub fn time(self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.0.as_u128() >> 80).unwrap_or(i64::MAX))
    }

    /// Whether an id that is not in the table may start a job now.
    pub fn age(self, now: Timestamp) -> IdAge {
        if self.time() < now.minus(Self::OLDEST) {
            IdAge::TooOld
        } else if self.time() > now.plus(Self::NEWEST) {
            IdAge::InFuture
        } else {
            IdAge::Fresh
        }
    }

    /// The last byte, which is random: distributes jobs over the shards of an index.
    pub fn spread(self) -> u8 {
        self.0.as_bytes()[15]
    }
}

/// Crockford base 32, 26 characters, the first at most `7`.
fn parse_ulid(text: &str) -> Option<u128> {
    if text.len() != 26 || !matches!(text.as_bytes()[0], b'0'..=b'7') {
        return None;
    }
    text.bytes().try_fold(0_u128, |bits, byte| {
        let value = match byte.to_ascii_uppercase() {
            b'O' => 0,
            b'I' | b'L' => 1,
            digit @ b'0'..=b'9' => digit - b'0',
            other => {
                let place = b"ABCDEFGHJKMNPQRSTVWXYZ".iter().position(|&c| c == other)?;
                u8::try_from(place).ok()? + 10
            }
        };
        Some(bits << 5 | u128::from(value))
    })
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// Parses an id that the service gave out (in a path, a message, an item): a UUID of any version in any spelling, since a
/// ULID becomes one, or a key as the client first sent it.
impl FromStr for RequestId {
    type Err = BadRequestId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Uuid::try_parse(text) {
            Ok(id) => Ok(Self(id)),
            Err(_) => Self::parse_key(text),
        }
    }
}

super::text_form!(RequestId, BadRequestId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_spelling_is_one_id() {
        let canonical = "019a8f3c-7e10-7abc-9def-0123456789ab";
        for spelling in [
            canonical,
            "019A8F3C-7E10-7ABC-9DEF-0123456789AB",
            "019a8f3c7e107abc9def0123456789ab",
            "{019a8f3c-7e10-7abc-9def-0123456789ab}",
            "urn:uuid:019a8f3c-7e10-7abc-9def-0123456789ab",
            "\"019a8f3c-7e10-7abc-9def-0123456789ab\"",
        ] {
            assert_eq!(RequestId::parse_key(spelling).unwrap().to_string(), canonical, "{spelling}");
        }
    }

    #[test]
    fn a_ulid_keeps_its_time_and_is_found_again_by_its_uuid() {
        let id = RequestId::parse_key("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        assert_eq!(id.time().millis(), 1_469_922_850_259);
        assert_eq!(RequestId::parse_key("01arz3ndektsv4rrffq69g5fav").unwrap(), id);
        assert_eq!(id.to_string().parse::<RequestId>().unwrap(), id);
    }

    #[test]
    fn an_id_that_was_made_here_is_one_that_a_client_could_have_made() {
        let now = Timestamp::from_millis(1_795_341_600_000);
        let id = RequestId::made(now, [0xff; 10]);
        assert_eq!((id.time(), RequestId::parse_key(&id.to_string())), (now, Ok(id)));
    }

    #[test]
    fn other_texts_are_refused() {
        for (bad, why) in [
            ("", BadRequestId::Malformed),
            ("order-17", BadRequestId::Malformed),
            ("81ARZ3NDEKTSV4RRFFQ69G5FAV", BadRequestId::Malformed),
            ("01ARZ3NDEKTSV4RRFFQ69G5FAU", BadRequestId::Malformed),
            ("7c9e6679-7425-40de-944b-e07fc1f90ae7", BadRequestId::WrongVersion),
            ("00000000-0000-0000-0000-000000000000", BadRequestId::WrongVersion),
        ] {
            assert_eq!(RequestId::parse_key(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn the_age_window_is_a_day_back_and_ten_minutes_ahead() {
        let id = RequestId::parse_key("019a8f3c-7e10-7abc-9def-0123456789ab").unwrap();
        let at = id.time();
        assert_eq!(id.age(at.plus(RequestId::OLDEST)), IdAge::Fresh);
        assert_eq!(id.age(at.plus(RequestId::OLDEST + Duration::from_millis(1))), IdAge::TooOld);
        assert_eq!(id.age(at.minus(RequestId::NEWEST)), IdAge::Fresh);
        assert_eq!(id.age(at.minus(RequestId::NEWEST + Duration::from_millis(1))), IdAge::InFuture);
    }
}
