//! A job as its user sees it.

use domain::{catalogue::Catalogue, ids::Timestamp, job::Job, view::JobView};
use store::{Table, TableError};

/// Reads what belongs to a job, its result and its approval request, and renders all of it for a client.
pub async fn render_job(
    table: &Table,
    catalogue: &Catalogue,
    job: &Job,
    now: Timestamp,
) -> Result<JobView, TableError> {
    let (result, approval) = tokio::try_join!(table.result_of(job), table.approval_of(job, catalogue))?;
    Ok(JobView::new(job, result.shown(), now).asking(approval))
}
