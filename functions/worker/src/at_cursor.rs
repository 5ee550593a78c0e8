//! The step at the cursor with what it needs: the job as last committed, what is to be sent, and until when there is time.

use domain::{
    ids::{Digest, DigestKey, Timestamp, TraceParent},
    job::{CallKey, Intent, Job, submission::Call},
};

use crate::prepare::Derived;

/// The step at the cursor and its work: a call of a tool, unless it says otherwise.
pub(crate) struct AtCursor<'a, W = Call> {
    pub(crate) job: Job,
    pub(crate) work: &'a W,
    /// HMAC of what is sent: the canonical arguments, or the message.
    pub(crate) work_digest: Digest,
    /// How it was worked out from earlier results, until that is committed.
    pub(crate) derived: Option<Derived>,
    pub(crate) digest_key: &'a DigestKey,
    pub(crate) trace: Option<TraceParent>,
    pub(crate) deadline: Timestamp,
    /// When the call left, or may have.
    pub(crate) sent_at: Option<Timestamp>,
}

impl<W> AtCursor<'_, W> {
    /// Invariant 7, *logical keys*.
    pub(crate) fn key(&self) -> CallKey {
        self.job.call_key()
    }

    /// What was sent, or may have been.
    pub(crate) fn intent(&self) -> Option<&Intent> {
        self.job.step().and_then(|step| step.intent.as_ref())
    }

    /// Whether nothing more is begun for it, and what is out is only asked for its end.
    pub(crate) fn gives_up(&self, now: Timestamp) -> bool {
        self.job.cancel_requested || now >= self.job.not_after || self.job.overdue(now)
    }
}
