//! Decisions of operators about texts that content safety holds.
//!
//! Each change is committed on condition that the job is unchanged since the decision was computed. So exactly one of
//! decision, cancellation and expiry takes effect (invariant 3).

use domain::{
    audit::AuditEvent,
    ids::{Actor, Digest, OperatorId, RequestId, UserId},
    job::{Job, JobEvent, held_text::HeldTextCheck},
};
use store::{Stored, TableError};

use super::{Decided, Jobs, decided::TRIES};

/// An operator's decision about the text that was shown to them.
#[derive(Debug, Clone, Copy)]
pub struct TextDecisionInput {
    /// Whether the text may be sent or shown.
    pub passed: bool,
    /// Digest of the text that was shown.
    pub digest: Digest,
    /// Who decides.
    pub by: OperatorId,
}

impl Jobs<'_> {
    /// Decides about the held text of a job if it is still pending and exactly this one. A job that ends by it leaves
    /// its conversation queue; the caller wakes one that may run.
    pub async fn decide_held_text(
        &self,
        user: UserId,
        id: RequestId,
        input: &TextDecisionInput,
    ) -> Result<Decided<HeldTextCheck>, TableError> {
        let TextDecisionInput { passed, digest, by } = *input;
        for _ in 0..TRIES {
            let job = match self.table.job(user, id).await? {
                None => return Ok(Decided::NoJob),
                Some(Stored::Newer) => return Ok(Decided::Newer),
                Some(Stored::Job(job)) => job,
            };
            let now = self.runtime.now();
            let check = job.held_text_check(passed, digest, now);
            if check != HeldTextCheck::Open {
                return Ok(Decided::Stands(check, job));
            }
            let Ok(after) = job.apply(JobEvent::TextDecided { passed, by }, now) else { continue };
            let event = AuditEvent::TextDecided { passed, digest, operator: by };
            if let Some(after) = self.commit_and_leave(&job, after, Actor::Operator, event).await? {
                return Ok(Decided::Made(Box::new(after)));
            }
        }
        Ok(Decided::Lost)
    }

    /// Refuses a text about which no operator has decided in time. A job that ends by it leaves its conversation queue.
    /// `None` when the conditional write was lost, or there is time left.
    pub async fn lapse_held_text(&self, job: &Job) -> Result<Option<Job>, TableError> {
        let Some(digest) = job.pending_text().map(|held| held.digest) else { return Ok(None) };
        let Ok(after) = job.apply(JobEvent::TextLapsed, self.runtime.now()) else { return Ok(None) };
        self.commit_and_leave(job, after, Actor::Worker, AuditEvent::TextLapsed { digest }).await
    }
}
