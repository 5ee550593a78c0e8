//! Where a job is in its life.

use serde::{Deserialize, Serialize};

/// Where a job is in its life. Each state says who moves it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Recorded, rung or about to be. Left by a worker's claim, a cancel, or `not_after`.
    Queued,
    /// One worker holds the lease. Left by that worker, or by another's claim once the lease is over.
    Running,
    /// The call is out and journaled, due again at `check_at`. Left by a claim.
    Waiting,
    /// Due again at `check_at`. Left by a claim, a cancel, or `not_after`.
    Retrying,
    /// The step at the cursor needs a yes. Left by a decision, a cancel, or the approval's expiry; never by a claim.
    AwaitingApproval,
    /// Over: every step ran and succeeded.
    Succeeded,
    /// Over: a step failed.
    Failed,
    /// Over: policy or the gateway would not run a step.
    Refused,
    /// Over: nothing was called; what would have been done, and why it was not, is the result.
    Explained,
    /// Over: cancelled before the step at the cursor ran.
    Cancelled,
    /// Over: `not_after` passed before the step at the cursor ran.
    Expired,
    /// Over: a write was sent, its result cannot be proven, and it will not be sent again.
    Unknown,
}

impl JobState {
    /// Every state, for tests and documentation.
    pub const ALL: [Self; 12] = [
        Self::Queued,
        Self::Running,
        Self::Waiting,
        Self::Retrying,
        Self::AwaitingApproval,
        Self::Succeeded,
        Self::Failed,
        Self::Refused,
        Self::Explained,
        Self::Cancelled,
        Self::Expired,
        Self::Unknown,
    ];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Explained => "explained",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
    }

    /// Parses the stored name; `None` for a state that only a newer function knows.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether a terminal status is readable: from here on it never changes (invariant 2).
    pub const fn is_over(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Waiting | Self::Retrying | Self::AwaitingApproval => false,
            Self::Succeeded
            | Self::Failed
            | Self::Refused
            | Self::Explained
            | Self::Cancelled
            | Self::Expired
            | Self::Unknown => true,
        }
    }
}
