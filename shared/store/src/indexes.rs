//! Pointers to the jobs that operators list: those that wait for an operator's approval or decision about a text, by
//! expiry, and those that ended in a failure, by time. A pointer is put before the change that it refers to is committed, so that a crash
//! cannot leave such a job without one. A pointer whose change was never made, or is outdated, is stale; a list reads
//! each job and skips it.

use super::{Table, TableError, keys};
use domain::{
    ids::{Approver, Timestamp},
    job::{Job, JobState},
};

impl Table {
    /// Puts the pointer that this change of a job needs; `before` is `None` for a new job.
    pub(super) async fn point_at(&self, before: Option<&Job>, after: &Job) -> Result<(), TableError> {
        let held = |job: &Job| job.pending_text().map(|held| held.expires_at);
        let (list, at) = match (held(after), before.and_then(held)) {
            (Some(at), before) if before != Some(at) => (keys::JOBS_WITH_HELD_TEXT.to_owned(), at),
            _ if before.is_some_and(|before| before.state == after.state) => return Ok(()),
            _ => match wanted_at(after) {
                Some(at) => (keys::jobs_in(after.state), at),
                None => return Ok(()),
            },
        };
        let pointer = keys::pointer(at, after.user_id, after.request_id);
        self.put_marker(list, pointer, at.plus(self.retention)).await
    }
}

/// The time by which an operator's list for the job's state is sorted; `None` if no list has such jobs.
fn wanted_at(job: &Job) -> Option<Timestamp> {
    match job.state {
        JobState::AwaitingApproval => {
            let unanswered = job.approval_request().filter(|question| question.decision.is_none());
            let question = unanswered.filter(|question| question.approver == Approver::Operator);
            question.map(|question| question.expires_at)
        }
        JobState::Failed | JobState::Refused | JobState::Expired | JobState::Unknown => Some(job.updated_at),
        // Open jobs are listed by the `open_jobs` index. The other states have no list.
        JobState::Queued
        | JobState::Running
        | JobState::Waiting
        | JobState::Retrying
        | JobState::Succeeded
        | JobState::Explained
        | JobState::Cancelled => None,
    }
}
