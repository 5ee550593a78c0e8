//! Decisions about approval requests, for the user's route and the operator's.
//!
//! The audit record is put first. Then the job is committed on condition that it is unchanged since the decision was
//! computed. So exactly one of approval, rejection, cancellation and expiry takes effect (invariants 3 and 8).

use super::{Commit, Stored, Table, TableError};
use domain::{
    audit::{AuditContext, AuditEvent, AuditRecord},
    ids::{Actor, RequestId, Timestamp, UserId},
    job::{
        Job, JobEvent,
        approval::{ApprovalCheck, DecidedBy, DecisionInput},
    },
};
use platform::{metrics::Metric, runtime::Runtime};

/// Attempts to commit a decision. The reconciler also writes to a waiting job, so a lost conditional write is tried
/// again.
const TRIES: usize = 5;

/// One committed change of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Took {
    /// The job before the change.
    pub before: Job,
    /// The job after the change.
    pub after: Job,
}

/// Outcome of a decision.
#[derive(Debug, Clone, PartialEq)]
pub enum DecisionMade {
    /// The decision was committed. The caller sends the wake-up message, and counts the end of a rejected job.
    Took(Box<Took>),
    /// The decision changed nothing, for this reason, which is never [`ApprovalCheck::Open`]. The last part is set
    /// when the approval request had expired and this call committed the expiry.
    Stands(ApprovalCheck, Box<Job>, Option<Box<Took>>),
    /// There is no such job.
    NoJob,
    /// Only a newer function understands the job.
    Newer,
    /// Lost the conditional write on every attempt. Nothing was changed; the caller may send the same decision again.
    Lost,
}

impl Table {
    /// Decides the approval request of a job if it is still pending for exactly this call: reads the job, puts the
    /// audit record, commits.
    pub async fn decide_approval(
        &self,
        runtime: &Runtime,
        user: UserId,
        id: RequestId,
        input: &DecisionInput,
        policy_version: &str,
    ) -> Result<DecisionMade, TableError> {
        for _ in 0..TRIES {
            let job = match self.job(user, id).await? {
                None => return Ok(DecisionMade::NoJob),
                Some(Stored::Newer) => return Ok(DecisionMade::Newer),
                Some(Stored::Job(job)) => job,
            };
            let now = runtime.now();
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
                    if let Some(took) =
                        self.commit_audited(runtime, &job, after, input.by.actor(), event, policy_version).await?
                    {
                        return Ok(DecisionMade::Took(Box::new(took)));
                    }
                }
                ApprovalCheck::Lapsed if !job.state.is_over() => {
                    if let Some(took) = self.lapse_approval(runtime, &job, input.by.actor(), policy_version).await? {
                        let after = Box::new(took.after.clone());
                        return Ok(DecisionMade::Stands(ApprovalCheck::Lapsed, after, Some(Box::new(took))));
                    }
                }
                approval_check @ (ApprovalCheck::AsDecided
                | ApprovalCheck::DecidedOtherwise
                | ApprovalCheck::OtherDigest
                | ApprovalCheck::OtherApprover
                | ApprovalCheck::Lapsed
                | ApprovalCheck::NotAsked) => return Ok(DecisionMade::Stands(approval_check, job, None)),
            }
        }
        Ok(DecisionMade::Lost)
    }

    /// Ends a job whose approval request has expired; `None` when the conditional write was lost, or the request has
    /// not expired.
    pub async fn lapse_approval(
        &self,
        runtime: &Runtime,
        job: &Job,
        actor: Actor,
        policy_version: &str,
    ) -> Result<Option<Took>, TableError> {
        let Some(digest) = job.approval_request().map(|question| question.digest) else { return Ok(None) };
        let Ok(after) = job.apply(JobEvent::ApprovalLapsed, runtime.now()) else { return Ok(None) };
        let event = AuditEvent::ApprovalLapsed { digest };
        self.commit_audited(runtime, job, after, actor, event, policy_version).await
    }

    /// Puts the record, then commits the job; `None` when the conditional write was lost.
    async fn commit_audited(
        &self,
        runtime: &Runtime,
        before: &Job,
        mut after: Job,
        actor: Actor,
        event: AuditEvent,
        policy_version: &str,
    ) -> Result<Option<Took>, TableError> {
        let at: Timestamp = after.updated_at;
        let context = AuditContext::at_cursor(before, at, actor, policy_version);
        let record = AuditRecord::after(before.audit, context, event);
        let put = self.put_audit(before.user_id, &record, at).await;
        after.audit = put.inspect_err(|_| runtime.count(Metric::AuditWriteFailures))?;
        match self.commit(before, &after, &runtime.nonce()).await? {
            Commit::Done => Ok(Some(Took { before: before.clone(), after })),
            Commit::Lost(_) => Ok(None),
        }
    }
}
