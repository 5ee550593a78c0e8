//! The reference from a job or a step to its result.

use serde::{Deserialize, Serialize};

use crate::{ids::Digest, json::Omission};

/// Where a result is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResultRef {
    /// In the item itself, as canonical JSON: a small result, so that a poll reads one item.
    #[serde(rename = "i")]
    Inline(String),
    /// In a record of its own, under this digest.
    #[serde(rename = "s")]
    Stored(Digest),
    /// Not stored: the tool ran, but its result is over the size cap.
    #[serde(rename = "o")]
    Omitted,
    /// Not stored: the result is nested too deeply.
    #[serde(rename = "od")]
    OmittedTooDeep,
    /// Not stored: the result is not JSON that every parser reads in the same way.
    #[serde(rename = "ou")]
    OmittedUnreadable,
}

impl ResultRef {
    /// A reference to a result that is not stored, with the reason.
    pub const fn omitted(why: Omission) -> Self {
        match why {
            Omission::TooLarge => Self::Omitted,
            Omission::TooDeep => Self::OmittedTooDeep,
            Omission::Unreadable => Self::OmittedUnreadable,
        }
    }

    /// Why the result is not stored; `None` when it is stored.
    pub const fn omission(&self) -> Option<Omission> {
        match self {
            Self::Omitted => Some(Omission::TooLarge),
            Self::OmittedTooDeep => Some(Omission::TooDeep),
            Self::OmittedUnreadable => Some(Omission::Unreadable),
            Self::Inline(_) | Self::Stored(_) => None,
        }
    }
}
