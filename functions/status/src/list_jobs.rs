//! `GET /v1/jobs`: a user's jobs, newest first, page by page.

use domain::{access::cursor::Cursor, ids::UserId, job::Job, view::JobView};
use lambda_http::Request;
use platform::http::{self, ApiError, Response};
use serde::Serialize;
use store::KeptResult;

use crate::{Status, query};

#[derive(Serialize)]
struct Page {
    jobs: Vec<JobView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// One page. Results that are stored in an item of their own are left out: they are read with the single job.
pub(crate) async fn list_jobs(status: &Status, request: &Request, user: UserId) -> Result<Response, ApiError> {
    let limit = query::limit(request)?;
    let keys = status.keys().await?;
    let after = query::after(request, user, &keys)?;
    // Reads one more than is shown, to know whether there is another page.
    let (mut jobs, mut next) = status.table.jobs_of(user, after, limit + 1).await?;
    if jobs.len() > limit {
        jobs.truncate(limit);
        next = jobs.last().map(|job| job.request_id);
    }
    let now = status.runtime.now();
    let shown = |job: &Job| KeptResult::at_hand(job.result.as_ref()).shown();
    let jobs = jobs.iter().map(|job| JobView::new(job, shown(job), now)).collect();
    let next_cursor = next.map(|after| Cursor { after }.encode(user, keys.cursors.first()));
    Ok(http::ok(&Page { jobs, next_cursor }))
}
