//! What can happen to a job.

use crate::{
    ids::{Digest, Timestamp},
    job::{
        Intent, JobState, Lease, Resolution, ResultRef, Step, StepOutcome,
        approval::{Approval, DecidedBy},
        progress::Progress,
    },
};

/// What happens to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEvent {
    /// A worker takes it until `lease`.
    Claimed {
        /// Its right.
        lease: Lease,
    },
    /// What the step at the cursor sends was worked out, or somebody has to say yes to it.
    Prepared {
        /// Names what is sent, when that is not what the payload says.
        input: Option<Digest>,
        /// The question, if there is one.
        approval: Option<Approval>,
    },
    /// The intent of the step at the cursor, before its call leaves.
    Intended(Intent),
    /// The call is out; look again at `check_at`.
    Suspended {
        /// When.
        check_at: Timestamp,
        /// How it left: a read's intent is recorded only now.
        intent: Option<Intent>,
        /// The journal was seen to have it running.
        running: bool,
        /// What an agent was seen to do.
        seen: Option<Seen>,
    },
    /// The round at the cursor ended with proposals.
    Proposed {
        /// A step for each of them, and the next round. What was refused has its outcome already.
        steps: Vec<Step>,
    },
    /// What it waited for is over, or shows something new: whoever knows rings for it.
    Woken,
    /// Not now; again at `check_at`.
    Rescheduled {
        /// When.
        check_at: Timestamp,
        /// What happened to the attempt.
        attempt: Attempt,
    },
    /// The step at the cursor ended.
    StepEnded {
        /// How.
        outcome: StepOutcome,
        /// Why, when it did not succeed: a stable code.
        error: Option<String>,
        /// What it returned.
        result: Option<ResultRef>,
        /// The state that the job ends in, when this step ends it without success.
        ends_as: JobState,
    },
    /// The question at the cursor was answered.
    Decided {
        /// Yes or no.
        approved: bool,
        /// By whom.
        by: DecidedBy,
    },
    /// The question at the cursor was not answered in time.
    ApprovalLapsed,
    /// The user asks to stop.
    CancelRequested,
    /// The sweeper found it overdue and will look again at `sweep_at`, or, for an unknown job, never.
    Swept {
        /// When.
        sweep_at: Option<Timestamp>,
    },
    /// Something was learnt about an unknown job.
    Resolved(Resolution),
}

/// What an agent was seen to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The latest.
    pub progress: Vec<Progress>,
    /// The end of its reply so far.
    pub partial: Option<String>,
}

/// What became of an attempt that was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The only call that was sent under its intent is proven not to have started: does not count, and the intent is gone.
    NotStarted,
    /// It died or failed, and the tool may be repeated: counts, and the next one has another `n`.
    Repeatable,
}

/// An event that does not fit the state. The job is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} does not fit a job that is {}", state.name())]
pub struct TransitionError {
    /// The state it met.
    pub state: JobState,
    /// The event's name.
    pub event: &'static str,
}
