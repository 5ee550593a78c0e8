//! The use cases of a job that several functions share: send its wake-up message, commit a change with its audit
//! record, decide its approval request or about its held text, leave its conversation queue, render it for a client.

mod commit_audited;
mod decide_approval;
mod decide_held_text;
mod decided;
mod journal_lost;
mod leave_queue;
mod render;
mod wake;

use domain::{job::Job, policy::Policy};
use platform::{
    http::{ApiError, Code},
    queue::Queue,
    runtime::Runtime,
};
use store::{Stored, Table};

pub use decide_held_text::TextDecisionInput;
pub use decided::Decided;
pub use render::render_job;

/// A newer version wrote the job.
#[derive(Debug, thiserror::Error)]
#[error("the job was written by a newer version")]
struct NewerJob;

/// A job that was read, or why it cannot be shown.
pub fn known_job(read: Option<Stored>) -> Result<Box<Job>, ApiError> {
    match read {
        Some(Stored::Job(job)) => Ok(job),
        // Happens during a deployment: the next request may reach a version that can read the job.
        Some(Stored::Newer) => Err(ApiError::try_again().because(NewerJob)),
        None => Err(ApiError::new(Code::NotFound)),
    }
}

/// The use cases of a job, with what they need from the function that runs them.
#[derive(Debug, Clone, Copy)]
pub struct Jobs<'a> {
    /// The table.
    pub table: &'a Table,
    /// The queue of wake-up messages.
    pub queue: &'a Queue,
    /// Clock, randomness and metrics.
    pub runtime: &'a Runtime,
    /// Names the version in audit records, and the catalogue's tools in metrics.
    pub policy: &'a Policy,
    /// Name of the function in log lines.
    pub function: &'static str,
}
