//! Decisions about approval requests, for the user's route and the operator's.
//!
//! Each change is committed on condition that the job is unchanged since the decision was computed. So exactly one of
//! approval, rejection, cancellation and expiry takes effect (invariants 3 and 8).

use domain::{
    audit::AuditEvent,
    ids::{Actor, RequestId, UserId},
    job::{
        Job, JobEvent,
        approval::{ApprovalCheck, DecidedBy, DecisionInput},
    },
};
use store::{Stored, TableError};

use super::{Decided, Jobs, decided::TRIES};

impl Jobs<'_> {
    /// Decides the approval request of a job if it is still pending for exactly this call. A job that ends by it leaves
    /// its conversation queue; the caller wakes one that may run.
    pub async fn decide_approval(
        &self,
        user: UserId,
        id: RequestId,
        input: &DecisionInput,
    ) -> Result<Decided<ApprovalCheck>, TableError> {
        for _ in 0..TRIES {
            let job = match self.table.job(user, id).await? {
                None => return Ok(Decided::NoJob),
                Some(Stored::Newer) => return Ok(Decided::Newer),
                Some(Stored::Job(job)) => job,
            };
            let now = self.runtime.now();
            match job.approval_check(input, now) {
                ApprovalCheck::Open => {
                    let Ok(after) = job.apply(JobEvent::Decided { approved: input.approved, by: input.by }, now) else {
                        continue;
                    };
                    let operator = match input.by {
                        DecidedBy::User => None,
                        DecidedBy::Operator(operator) => Some(operator),
                    };
                    let event =
                        AuditEvent::ApprovalDecided { approved: input.approved, digest: input.digest, operator };
                    if let Some(after) = self.commit_and_leave(&job, after, input.by.actor(), event).await? {
                        return Ok(Decided::Made(Box::new(after)));
                    }
                }
                ApprovalCheck::Lapsed if !job.state.is_over() => {
                    if let Some(after) = self.lapse_approval(&job, input.by.actor()).await? {
                        return Ok(Decided::Stands(ApprovalCheck::Lapsed, Box::new(after)));
                    }
                }
                approval_check @ (ApprovalCheck::AsDecided
                | ApprovalCheck::DecidedOtherwise
                | ApprovalCheck::OtherDigest
                | ApprovalCheck::OtherApprover
                | ApprovalCheck::Lapsed
                | ApprovalCheck::NotAsked) => return Ok(Decided::Stands(approval_check, job)),
            }
        }
        Ok(Decided::Lost)
    }

    /// Ends a job whose approval request has expired, and lets it leave its conversation queue. `None` when the
    /// conditional write was lost, or the request has not expired.
    pub async fn lapse_approval(&self, job: &Job, actor: Actor) -> Result<Option<Job>, TableError> {
        let Some(digest) = job.approval_request().map(|request| request.digest) else { return Ok(None) };
        let Ok(after) = job.apply(JobEvent::ApprovalLapsed, self.runtime.now()) else { return Ok(None) };
        self.commit_and_leave(job, after, actor, AuditEvent::ApprovalLapsed { digest }).await
    }
}
