//! Where a result is kept.

use serde::{Deserialize, Serialize};

use crate::{ids::Digest, json::Omission};

/// Where the result of the last step is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResultRef {
    /// Small: canonical JSON, here, so that a poll reads one item.
    #[serde(rename = "i")]
    Inline(String),
    /// In a record of its own, named by its digest.
    #[serde(rename = "s")]
    Stored(Digest),
    /// Over the cap: the tool ran, its result was not kept.
    #[serde(rename = "o")]
    Omitted,
    /// It nests too deep to be kept.
    #[serde(rename = "od")]
    OmittedTooDeep,
    /// It is no JSON that every parser reads in the same way.
    #[serde(rename = "ou")]
    OmittedUnreadable,
}

impl ResultRef {
    /// A result that is not kept, and why.
    pub const fn omitted(why: Omission) -> Self {
        match why {
            Omission::TooLarge => Self::Omitted,
            Omission::TooDeep => Self::OmittedTooDeep,
            Omission::Unreadable => Self::OmittedUnreadable,
        }
    }

    /// Why it is not kept; `None` when it is.
    pub const fn omission(&self) -> Option<Omission> {
        match self {
            Self::Omitted => Some(Omission::TooLarge),
            Self::OmittedTooDeep => Some(Omission::TooDeep),
            Self::OmittedUnreadable => Some(Omission::Unreadable),
            Self::Inline(_) | Self::Stored(_) => None,
        }
    }
}
