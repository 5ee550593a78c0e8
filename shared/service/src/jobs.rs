//! The use cases of a job that several functions share: send its wake-up message, commit a change with its audit
//! record, decide its approval request, leave its conversation queue, render it for a client.

mod commit_audited;
mod decide_approval;
mod leave_queue;
mod render;
mod wake;

use domain::policy::Policy;
use platform::{queue::Queue, runtime::Runtime};
use store::Table;

pub use decide_approval::Decision;
pub use render::render_job;

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
