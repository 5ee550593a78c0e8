//! The step at the cursor with what it needs: the job as last committed, the work to send, and the deadline.

use domain::{
    ids::{Digest, DigestKey, Timestamp, TraceParent},
    job::{CallKey, Intent, Job, submission::Call},
};

use crate::prepare::Derived;

/// The step at the cursor and its work, `W`: a call of a tool by default.
pub(crate) struct AtCursor<'a, W = Call> {
    pub(crate) job: Job,
    pub(crate) work: &'a W,
    /// HMAC of what is sent: the canonical arguments, or the message.
    pub(crate) work_digest: Digest,
    /// How the work was derived from earlier results, until that is committed.
    pub(crate) derived: Option<Derived>,
    pub(crate) digest_key: &'a DigestKey,
    pub(crate) trace: Option<TraceParent>,
    pub(crate) deadline: Timestamp,
    /// When the call was sent, or may have been.
    pub(crate) sent_at: Option<Timestamp>,
}

impl<W> AtCursor<'_, W> {
    /// Invariant 7, *logical keys*.
    pub(crate) fn key(&self) -> CallKey {
        self.job.call_key()
    }

    /// The intent of the step: it was sent, or may have been.
    pub(crate) fn intent(&self) -> Option<&Intent> {
        self.job.step().and_then(|step| step.intent.as_ref())
    }

    /// Whether nothing more may be dispatched for the step, so that only the outcome of what is running is polled.
    pub(crate) fn gives_up(&self, now: Timestamp) -> bool {
        self.job.cancel_requested || now >= self.job.not_after || self.job.overdue(now)
    }
}
