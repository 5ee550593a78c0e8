//! The random id by which the service knows a user. It is not derived from the openid and says nothing about it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A user of the service: a random UUID, safe to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(Uuid);

/// The text is not a user id of this service.
#[derive(Debug, thiserror::Error)]
#[error("not a user id")]
pub struct NotAUserId;

impl UserId {
    /// A user id from 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The last byte, which is random: spreads what belongs to users over partitions.
    pub fn spread(self) -> u8 {
        self.0.as_bytes()[15]
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for UserId {
    type Err = NotAUserId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Uuid::try_parse(text).map_err(|_| NotAUserId)?;
        // Only the spelling that we write: the text is a partition key.
        if id.as_hyphenated().to_string() == text { Ok(Self(id)) } else { Err(NotAUserId) }
    }
}

impl TryFrom<String> for UserId {
    type Error = NotAUserId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<UserId> for String {
    fn from(id: UserId) -> Self {
        id.to_string()
    }
}
