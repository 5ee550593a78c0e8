//! Committing a change of a job this worker holds, with its audit record.

use domain::{
    audit::{AuditContext, AuditEvent, AuditRecord},
    ids::Actor,
    job::{Job, JobEvent, JobState, TransitionError},
};
use platform::{metrics::Metric, queue::QueueError, secrets::SecretsError};
use store::{Commit, Stored, TableError};

use crate::Worker;

/// Why a message could not be decided. Each leaves the job as it is; the message comes back.
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

/// The job as it is after a commit; `None` when somebody else has it now, and nothing was changed.
pub(crate) type Committed = Option<Job>;

/// Others write to a running job too (a cancel sets its flag), which bumps `rev` without taking the lease. So a lost
/// commit is tried again on the new revision as long as the lease is still ours; after this many it is left to a bell.
const TRIES: usize = 4;

impl Worker {
    /// Applies an event and commits it, with `records` as the end of the chain that the new head names.
    pub(crate) async fn commit(
        &self,
        job: &Job,
        event: JobEvent,
        records: &[AuditEvent],
    ) -> Result<Committed, RunError> {
        self.commit_recording(job, event, |_| records.to_vec()).await
    }

    /// The same for an event of which only the job after it tells what there is to record: a cancel that came in between
    /// may have made another state of it than the one that was meant. The caller goes on by the state that it gets back.
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
                // Put first: a record that no head reaches does not exist, and a head never names a record that is not there.
                let put = self.table.put_audit(before.user_id, &record, now).await;
                after.audit =
                    put.inspect_err(|_| self.runtime.count(Metric::AuditWriteFailures)).map_err(RunError::Unaudited)?;
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

    fn audit_context<'a>(&'a self, job: &'a Job, at: domain::ids::Timestamp) -> AuditContext<'a> {
        AuditContext::at_cursor(job, at, Actor::Worker, self.policy.version())
    }
}

/// Fills in what only the job after the event tells.
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
