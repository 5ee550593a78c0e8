//! Builds the audit context of a job. It is kept here so that the audit module does not depend on jobs.

use crate::{
    audit::AuditContext,
    ids::{Actor, Timestamp},
    job::{CallKey, Job},
};

impl<'a> AuditContext<'a> {
    /// Context of a record about the step at the job's cursor.
    pub fn at_cursor(job: &'a Job, at: Timestamp, actor: Actor, policy_version: &'a str) -> Self {
        let CallKey { request_id, step, round, .. } = job.call_key();
        let tool = job.step().map_or("", |step| step.tool.as_str());
        Self { request_id, at, actor, step, round, tool, policy_version }
    }
}
