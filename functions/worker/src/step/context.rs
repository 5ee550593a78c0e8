//! The step at the cursor with what every kind of work needs: the job as last committed, the digest of the work, and
//! the deadline. The work itself is a separate value: a call, a turn or a deletion.

use std::time::Duration;

use domain::{
    audit::AuditEvent,
    ids::{Digest, DigestKey, Timestamp, TraceParent},
    job::{CallKey, Intent, Job, submission::Work},
};

use super::policy_context::KnownUser;
use crate::STOP_BEFORE;

/// The step at the cursor.
pub(crate) struct StepContext<'a> {
    pub(crate) job: Job,
    /// HMAC of what is sent: the canonical arguments, or the message.
    pub(crate) work_digest: Digest,
    /// How the work was derived from earlier results, until that is committed.
    pub(crate) derived: Option<Derived>,
    pub(crate) digest_key: &'a DigestKey,
    /// The user, as far as this run has read the item.
    pub(crate) user: KnownUser,
    pub(crate) trace: Option<TraceParent>,
    pub(crate) deadline: Timestamp,
    /// When the call was sent, or may have been.
    pub(crate) sent_at: Option<Timestamp>,
}

/// How a step's work was derived.
#[derive(Debug, Clone)]
pub(crate) struct Derived {
    pub(crate) from: Vec<usize>,
    pub(crate) work: Work,
}

impl StepContext<'_> {
    /// Invariant 7, *logical keys*.
    pub(crate) fn key(&self) -> CallKey {
        self.job.call_key()
    }

    /// The intent of the step: it was sent, or may have been.
    pub(crate) fn intent(&self) -> Option<&Intent> {
        self.job.step().and_then(|step| step.intent.as_ref())
    }

    /// Whether the journal has reported the step as running.
    pub(crate) fn was_running(&self) -> bool {
        self.job.step().is_some_and(|step| step.running_since.is_some())
    }

    /// Whether nothing more may be dispatched for the step, so that only the outcome of what is running is polled.
    pub(crate) fn gives_up(&self, now: Timestamp) -> bool {
        self.job.cancel_requested || now >= self.job.not_after || self.job.overdue(now)
    }

    /// Invariant 5: every call ends before the function does.
    pub(crate) fn time_left(&self, now: Timestamp) -> Duration {
        self.deadline.since(now).saturating_sub(STOP_BEFORE)
    }
}

impl Derived {
    /// The audit record of the derivation.
    pub(crate) fn record(&self, arguments_digest: Digest) -> AuditEvent {
        AuditEvent::Derived { from: self.from.clone(), arguments_digest }
    }
}
