//! Why content is not shown although the outcome that it belongs to is known.

use serde_json::{Value, json};

/// Why a result or a reply was omitted. The outcome stands: the tool ran, or the agent replied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Omission {
    /// It is longer than what is kept.
    TooLarge,
    /// It nests deeper than [`super::MAX_DEPTH_KEPT`] levels.
    TooDeep,
    /// It is no JSON that every parser reads in the same way.
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

    /// The reason of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// What stands in the place of the content: `{"omitted": "too_deep"}`.
    pub fn shown(self) -> Value {
        json!({ "omitted": self.name() })
    }
}
