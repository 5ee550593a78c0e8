//! Outcome of one SQS message.

use domain::{job::JobState, notification::NoticeState};

/// Outcome of one SQS message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunOutcome {
    /// There is no such job.
    NoJob,
    /// It is over, not due, held by another worker, or written by a newer version.
    NothingToDo,
    /// Another writer won the conditional write; nothing was changed.
    LeaseLost,
    /// It is due again: later, or at once for its next step.
    Later,
    /// It waits for an approval.
    AwaitingApproval,
    /// It is over now, in this state.
    Over(JobState),
    /// The erasure of a user is finished.
    Erased,
    /// Its notification was handled.
    Notified(NoticeState),
}

impl RunOutcome {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoJob => "no_job",
            Self::NothingToDo => "nothing_to_do",
            Self::LeaseLost => "lease_lost",
            Self::Later => "later",
            Self::AwaitingApproval => "asked",
            Self::Over(_) => "over",
            Self::Erased => "erased",
            Self::Notified(_) => "notified",
        }
    }

    /// The final state of a job that is over, or how far its notification is.
    pub(crate) const fn state(self) -> Option<&'static str> {
        match self {
            Self::Over(state) => Some(state.name()),
            Self::Notified(state) => Some(state.name()),
            Self::NoJob | Self::NothingToDo | Self::LeaseLost | Self::Later | Self::AwaitingApproval | Self::Erased => {
                None
            }
        }
    }
}
