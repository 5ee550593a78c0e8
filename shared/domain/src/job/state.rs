//! The states of a job.

use serde::{Deserialize, Serialize};

/// State of a job. Each state's doc names what moves the job out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Recorded; its wake-up message has been sent or is about to be. Left by a worker's claim, a cancel, or
    /// `not_after`.
    Queued,
    /// One worker holds the lease. Left by that worker, or by another worker's claim after the lease has expired.
    Running,
    /// The journaled call runs at the gateway; due again at `check_at`. Left by a claim.
    Waiting,
    /// Due again at `check_at`. Left by a claim, a cancel, or `not_after`.
    Retrying,
    /// The step at the cursor needs an approval. Left by a decision, a cancel, or the expiry of the approval request;
    /// never by a claim.
    AwaitingApproval,
    /// Over: every step ran and succeeded.
    Succeeded,
    /// Over: a step failed.
    Failed,
    /// Over: the policy or the gateway refused to run a step.
    Refused,
    /// Over without a call: the result explains the call that would have been made, and why it was not.
    Explained,
    /// Over: cancelled before the step at the cursor ran.
    Cancelled,
    /// Over: `not_after` passed before the step at the cursor ran.
    Expired,
    /// Over: a write was sent and its outcome cannot be proven. It is not sent again.
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

    /// The name in the table.
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

    /// Parses the name in the table; `None` for a state that only a newer function knows.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the state is terminal. It never changes from here on (invariant 2).
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
