//! Reasons why content is omitted although its outcome is known.

use serde_json::{Value, json};

/// Why a result or a reply was omitted. The outcome stands: the tool ran, or the agent replied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Omission {
    /// It is over the size cap.
    TooLarge,
    /// It is nested deeper than [`super::MAX_DEPTH_KEPT`] levels.
    TooDeep,
    /// It is not JSON that every parser reads in the same way.
    Unreadable,
}

impl Omission {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::TooLarge, Self::TooDeep, Self::Unreadable];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::Unreadable => "unreadable",
        }
    }

    /// The reason with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// The replacement of the content: `{"omitted": "too_deep"}`.
    pub fn shown(self) -> Value {
        json!({ "omitted": self.name() })
    }
}
