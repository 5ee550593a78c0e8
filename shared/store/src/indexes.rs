//! Pointers to the jobs that an operator looks for: those that wait for an operator's yes, by expiry, and those that went
//! wrong, by time. A pointer is put before the change that it points to is committed, so no such job is ever without one;
//! one whose change was never made, or is past, is stale, and whoever lists them reads the job.

use super::{Condition, Item, Table, TableError, keys, number, text};
use domain::{
    ids::{Approver, Timestamp},
    job::{Job, JobState},
};

impl Table {
    /// Puts the pointer that this change of a job needs; `before` is absent for a new job.
    pub(super) async fn point_at(&self, before: Option<&Job>, after: &Job) -> Result<(), TableError> {
        if before.is_some_and(|before| before.state == after.state) {
            return Ok(());
        }
        let Some(at) = wanted_at(after) else { return Ok(()) };
        let item = Item::from([
            ("pk".to_owned(), text(keys::jobs_in(after.state))),
            ("sk".to_owned(), text(keys::pointer(at, after.user_id, after.request_id))),
            ("ttl".to_owned(), number(at.plus(self.retention).seconds_ceil())),
        ]);
        // It says no more than its key, so it may be put twice.
        self.put(item, Condition::none()).await.map(drop)
    }
}

/// The time that an operator's list of its state is ordered by; none: no operator looks for it there.
fn wanted_at(job: &Job) -> Option<Timestamp> {
    match job.state {
        JobState::AwaitingApproval => {
            let question = job.approval_request().filter(|question| question.approver == Approver::Operator);
            question.map(|question| question.expires_at)
        }
        JobState::Failed | JobState::Refused | JobState::Expired | JobState::Unknown => Some(job.updated_at),
        // Open jobs are in the index, and nobody looks for the rest.
        JobState::Queued
        | JobState::Running
        | JobState::Waiting
        | JobState::Retrying
        | JobState::Succeeded
        | JobState::Explained
        | JobState::Cancelled => None,
    }
}
