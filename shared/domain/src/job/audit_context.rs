//! What an audit record says about a job: here, so that the records need not know jobs.

use crate::{
    audit::AuditContext,
    ids::{Actor, Timestamp},
    job::{CallKey, Job},
};

impl<'a> AuditContext<'a> {
    /// About the step at the cursor of a job.
    pub fn at_cursor(job: &'a Job, at: Timestamp, actor: Actor, policy_version: &'a str) -> Self {
        let CallKey { request_id, step, round, .. } = job.call_key();
        let tool = job.step().map_or("", |step| step.tool.as_str());
        Self { request_id, at, actor, step, round, tool, policy_version }
    }
}
