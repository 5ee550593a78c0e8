//! The events of a job.

use crate::{
    ids::{Digest, OperatorId, Timestamp},
    job::{
        HeldText, Intent, JobState, Lease, Resolution, ResultRef, Step, StepOutcome,
        approval::{Approval, DecidedBy},
        progress::Progress,
    },
};

/// An event of a job, applied by [`Job::apply`](crate::job::Job::apply).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEvent {
    /// A worker has claimed the job until the end of `lease`.
    Claimed {
        /// The worker's lease.
        lease: Lease,
    },
    /// Before the dispatch: the arguments of the step at the cursor were resolved, or its call needs an approval.
    Prepared {
        /// Digest of the record of what is sent, when it differs from the payload.
        input: Option<Digest>,
        /// The approval request, if one is needed.
        approval: Option<Approval>,
    },
    /// The intent of the step at the cursor, committed before its call is sent.
    Intended(Intent),
    /// The call runs at the gateway; due again at `check_at`.
    Suspended {
        /// When a worker polls the call next.
        check_at: Timestamp,
        /// The intent of a read, which is recorded only when its call is left running.
        intent: Option<Intent>,
        /// Whether the journal reported the call as running.
        running: bool,
        /// Progress of an agent, as the journal reported it.
        seen: Option<Seen>,
    },
    /// The round at the cursor has replied, and the reply cannot be checked yet; due again at `check_at`.
    ReplyHeld {
        /// When the reply is read and checked again.
        check_at: Timestamp,
    },
    /// Content safety holds a text of the step at the cursor for an operator.
    TextHeld(HeldText),
    /// An operator has decided about the held text of the step at the cursor.
    TextDecided {
        /// Whether the text may be sent or shown.
        passed: bool,
        /// Who decided.
        by: OperatorId,
    },
    /// No operator has decided about the held text of the step at the cursor in time.
    TextLapsed,
    /// The round at the cursor ended with proposals.
    Proposed {
        /// One step for each proposal, then the next round. A proposal that the service refused has its outcome
        /// already.
        steps: Vec<Step>,
    },
    /// The call or the job that this job waits for has ended or has progressed: it is due at once.
    Woken,
    /// Nothing is out; the job is due again at `check_at`.
    Rescheduled {
        /// When the job is due again.
        check_at: Timestamp,
        /// How the attempt counts.
        attempt: Attempt,
    },
    /// The step at the cursor ended.
    StepEnded {
        /// Outcome of the step.
        outcome: StepOutcome,
        /// Why the step did not succeed: a stable error code.
        error: Option<String>,
        /// Reference to the step's result.
        result: Option<ResultRef>,
        /// The state that the job ends in, when this step ends it without success.
        ends_as: JobState,
    },
    /// The user or an operator answered the approval request of the step at the cursor.
    Decided {
        /// Whether the call was approved.
        approved: bool,
        /// Who decided.
        by: DecidedBy,
    },
    /// The approval request of the step at the cursor expired without an answer.
    ApprovalLapsed,
    /// The user requests cancellation.
    CancelRequested,
    /// The reconciler found the job overdue and reads it again at `sweep_at`; `None`, for an unknown job only, means
    /// never.
    Swept {
        /// When the reconciler reads the job next.
        sweep_at: Option<Timestamp>,
    },
    /// The outcome of an unknown job was found out.
    Resolved(Resolution),
    /// The user is erased: what the job has of the user's content is removed. Its state stays.
    Erased,
    /// Table and journal were restored from a backup, and this job went on after it: what it did then is not known.
    JournalLost,
}

/// Progress of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The latest progress entries.
    pub progress: Vec<Progress>,
    /// The end of its reply so far.
    pub partial: Option<String>,
}

/// How an attempt counts when the job is rescheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The only call sent under the intent is proven not to have started: the attempt does not count, and the intent
    /// is removed.
    NotStarted,
    /// The call was interrupted or failed, and the tool may be repeated: the attempt counts, and the next one has
    /// another `n`.
    Repeatable,
}

/// The event is not valid in the job's state. The job is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} does not fit a job that is {}", state.name())]
pub struct TransitionError {
    /// The state of the job.
    pub state: JobState,
    /// The event's name.
    pub event: &'static str,
}
