//! Operators' ids.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An operator: a random UUID that their first sign-in was given, safe to log and to keep in an audit record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OperatorId(Uuid);

/// The text is not an operator id.
#[derive(Debug, thiserror::Error)]
#[error("not an operator id")]
pub struct NotAnOperatorId;

impl OperatorId {
    /// An operator id from 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for OperatorId {
    type Err = NotAnOperatorId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Uuid::try_parse(text).map_err(|_| NotAnOperatorId)?;
        if id.as_hyphenated().to_string() == text { Ok(Self(id)) } else { Err(NotAnOperatorId) }
    }
}

impl TryFrom<String> for OperatorId {
    type Error = NotAnOperatorId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<OperatorId> for String {
    fn from(id: OperatorId) -> Self {
        id.to_string()
    }
}
