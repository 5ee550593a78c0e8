//! Who does something to a job, and who has to agree to it.

use serde::{Deserialize, Serialize};

/// Who did it.
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

/// Who has to say yes. The later of two is the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approver {
    /// The job's owner, in the Mini Program.
    User,
    /// An operator, in the console.
    Operator,
}

impl Approver {
    /// Its name, as it is stored and published.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Operator => "operator",
        }
    }
}
