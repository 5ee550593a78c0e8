//! A job as its user sees it.

use domain::{
    catalogue::Catalogue,
    ids::Timestamp,
    job::Job,
    view::{JobView, NotificationView},
};
use store::{Table, TableError};

/// Reads a job's result, its approval request and the record of its notification, and renders all of
/// it for a client.
pub async fn render_job(
    table: &Table,
    catalogue: &Catalogue,
    job: &Job,
    now: Timestamp,
) -> Result<JobView, TableError> {
    let (result, approval, notice) =
        tokio::try_join!(table.result_of(job), table.approval_of(job, catalogue), table.notice_of(job))?;
    let notification = NotificationView::of(job, notice.as_ref(), now);
    Ok(JobView::new(job, result.shown(), now).asking(approval).notifying(notification))
}
