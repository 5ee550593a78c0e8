//! Ends the jobs of a table that was restored from a backup without the gateway's present journal.

use domain::{
    audit::AuditEvent,
    ids::Actor,
    job::{JobEvent, JobState, StepOutcome},
};
use store::{Stored, TableError};

use super::Jobs;

/// How many entries of the index are read at once.
const PAGE: usize = 200;

impl Jobs<'_> {
    /// Ends every open job that may have acted after the backup as `unknown`, and returns how many there were. Jobs that
    /// only read go on.
    ///
    /// The table shows such a job as it was at the backup, and no journal knows what it has done since. Left open, its
    /// write would be sent a second time; cancelled or expired, it would be reported as not run.
    pub async fn end_after_journal_loss(&self) -> Result<usize, TableError> {
        let (mut ended, mut after) = (0, None);
        loop {
            let page = self.table.open_jobs(after, PAGE).await?;
            for place in &page {
                let Some(Stored::Job(job)) = self.table.job(place.user_id, place.request_id).await? else { continue };
                if !job.may_still_act() {
                    continue;
                }
                let Ok(lost) = job.apply(JobEvent::JournalLost, self.runtime.now()) else { continue };
                let event = AuditEvent::Ended {
                    outcome: StepOutcome::Unknown.name().to_owned(),
                    status: JobState::Unknown.name().to_owned(),
                    code: lost.error.clone(),
                    key: None,
                    arguments_digest: None,
                    result_digest: None,
                    content: None,
                };
                if self.commit_and_leave(&job, lost, Actor::Operator, event).await?.is_some() {
                    ended += 1;
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(*last),
                Some(_) | None => return Ok(ended),
            }
        }
    }
}
