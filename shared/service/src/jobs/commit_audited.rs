//! A change of a job that no worker holds, with its audit record.

use domain::{
    audit::{AuditContext, AuditEvent, AuditRecord},
    ids::Actor,
    job::Job,
};
use store::{Commit, TableError};

use super::Jobs;
use crate::job_metrics;

impl Jobs<'_> {
    /// Puts the record of a change, then commits the change if the job is as it was in `before`, and measures what
    /// ended by it. Returns the committed job; `None` when the conditional write was lost.
    ///
    /// The record comes first, because an unreferenced record is ignored, and a job's head must never name a record
    /// that is missing.
    pub async fn commit_audited(
        &self,
        before: &Job,
        mut after: Job,
        actor: Actor,
        event: AuditEvent,
    ) -> Result<Option<Job>, TableError> {
        let at = after.updated_at;
        let context = AuditContext::at_cursor(before, at, actor, self.policy.version());
        let record = AuditRecord::after(before.audit, context, event);
        let put = self.table.put_audit(before.user_id, &record, at).await;
        after.audit = self.table.audited(self.runtime, put).await?;
        match self.table.commit(before, &after, &self.runtime.nonce()).await? {
            Commit::Done => {
                job_metrics::finished(self.runtime, self.policy.catalogue(), before, &after, None);
                Ok(Some(after))
            }
            Commit::Lost(_) => Ok(None),
        }
    }
}
