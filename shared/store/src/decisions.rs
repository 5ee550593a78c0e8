//! Decisions of approvals, by whoever made them: one place for the user's route and the operator's.
//!
//! The audit record goes first; then the job, on condition that it still is what the decision was worked out from. So of a
//! yes, a no, a cancel and the expiry exactly one wins (invariants 3 and 8).

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

/// Others write to a waiting job too (the sweeper moves it on), so a lost race is looked at again, this often.
const TRIES: usize = 5;

/// One committed change.
#[derive(Debug, Clone, PartialEq)]
pub struct Took {
    /// As it was.
    pub before: Job,
    /// As it is.
    pub after: Job,
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq)]
pub enum DecisionMade {
    /// It holds, from now on. The caller rings, and counts the end of a job that was rejected.
    Took(Box<Took>),
    /// It changed nothing: that is where the job stands, and never [`ApprovalCheck::Open`]. With it the change that noticing brought,
    /// when the time to decide was over and the job did not know yet.
    Stands(ApprovalCheck, Box<Job>, Option<Box<Took>>),
    /// There is no such job.
    NoJob,
    /// Only a newer function understands the job.
    Newer,
    /// Others were quicker each time. Nothing was changed; the same decision may be sent again.
    Lost,
}

impl Table {
    /// Decides the question of a job, if it still waits for exactly this: re-reads it, puts the audit record, commits.
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

    /// Ends a job whose question was not answered in time; `None` when somebody was quicker, or it is not time yet.
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

    /// Record first, then the job; `None` when somebody was quicker.
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
