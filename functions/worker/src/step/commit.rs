//! Commits a change of a job that this worker holds, with its audit records.

use domain::{
    audit::{AuditContext, AuditEvent, AuditRecord},
    ids::{Actor, Timestamp},
    job::{Job, JobEvent, JobState, TransitionError},
};
use platform::{metrics::Metric, queue::QueueError, secrets::SecretsError};
use store::{Commit, Stored, TableError};

use crate::Worker;

/// Why a message could not be handled. The job is unchanged, and SQS delivers the message again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(transparent)]
    Table(#[from] TableError),
    /// The audit record could not be written, so nothing was committed.
    #[error("no audit record, no change: {0}")]
    Unaudited(#[source] TableError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Transition(#[from] TransitionError),
}

/// The job after a commit; `None` when another worker holds the lease now, and nothing was changed.
pub(crate) type Committed = Option<Job>;

/// Other writers change a running job too (a cancel sets its flag) and raise `rev` without taking the lease. So a lost
/// conditional write is repeated on the new revision while the lease is held; after this many the message fails.
const TRIES: usize = 4;

impl Worker {
    /// Applies an event and commits it, with `records` at the end of the chain that the new head names.
    pub(crate) async fn commit(
        &self,
        job: &Job,
        event: JobEvent,
        records: &[AuditEvent],
    ) -> Result<Committed, RunError> {
        self.commit_recording(job, event, |_| records.to_vec()).await
    }

    /// The same for an event whose record depends on the job after it: a concurrent cancel may lead to another state
    /// than intended. The caller continues by the state of the returned job.
    pub(crate) async fn commit_recording(
        &self,
        job: &Job,
        event: JobEvent,
        records: impl Fn(&Job) -> Vec<AuditEvent>,
    ) -> Result<Committed, RunError> {
        let owner = job.lease.as_ref().map(|lease| lease.owner.clone());
        let mut before = job.clone();
        for _ in 0..TRIES {
            let now = self.runtime.now();
            let mut after = before.apply(event.clone(), now)?;
            for record in records(&after) {
                let context = self.audit_context(&before, now);
                let record = AuditRecord::after(after.audit, context, record.seen_in(&after));
                // Written before the job: an unreferenced record is ignored, and a head must never name a record that
                // is missing.
                let put = self.table.put_audit(before.user_id, &record, now).await;
                after.audit = self.table.audited(&self.runtime, put).await.map_err(RunError::Unaudited)?;
            }
            match self.table.commit(&before, &after, &self.runtime.nonce()).await? {
                Commit::Done => return Ok(Some(after)),
                Commit::Lost(Some(Stored::Job(current)))
                    if current.state == JobState::Running
                        && current.lease.as_ref().map(|lease| &lease.owner) == owner.as_ref() =>
                {
                    before = *current;
                }
                Commit::Lost(_) => break,
            }
        }
        self.runtime.count(Metric::LeaseLost);
        Ok(None)
    }

    fn audit_context<'a>(&'a self, job: &'a Job, at: Timestamp) -> AuditContext<'a> {
        AuditContext::at_cursor(job, at, Actor::Worker, self.policy.version())
    }
}

/// Fills in the fields of a record that depend on the job after the event.
trait SeenIn {
    fn seen_in(self, after: &Job) -> Self;
}

impl SeenIn for AuditEvent {
    fn seen_in(mut self, after: &Job) -> Self {
        if let Self::Ended { status, .. } | Self::RoundEnded { status, .. } = &mut self {
            after.state.name().clone_into(status);
        }
        self
    }
}
