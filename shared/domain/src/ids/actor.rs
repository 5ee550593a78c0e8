//! Actors of audit records, and approvers.

use serde::{Deserialize, Serialize};

/// Who caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The job's owner.
    User,
    /// A worker.
    Worker,
    /// An operator.
    Operator,
}

/// Who has to approve a call. Ordered: the greater of two is the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approver {
    /// The job's owner, in the Mini Program.
    User,
    /// An operator, in the console.
    Operator,
}

impl Approver {
    /// The name that is stored and published.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Operator => "operator",
        }
    }
}
