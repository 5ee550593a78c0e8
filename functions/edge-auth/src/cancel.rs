//! `POST /v1/jobs/{request_id}/cancel`: 200 when nothing was sent to the gateway and nothing will be, 202 while a call
//! is out.

use domain::{
    audit::AuditEvent,
    ids::{Actor, RequestId, Timestamp},
    job::{Job, JobEvent, JobState},
};
use lambda_http::Request;
use platform::{
    http::{self as answers, ApiError, Code, Response},
    telemetry::RequestLog,
};
use service::{jobs::known_job, session};

use crate::EdgeAuth;

/// A worker may write to the job at the same time; after this many lost conditional writes the client gets a retryable
/// error.
const TRIES: usize = 5;

pub(crate) async fn cancel(
    edge: &EdgeAuth,
    request: &Request,
    id: Option<RequestId>,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let now = edge.runtime.now();
    let session = edge.session(request, now, log).await?;
    let own = session::alive_with_named_job(&session, &edge.table, id).await?;
    let mut read = own.job;
    for _ in 0..TRIES {
        let job = known_job(read.map_err(ApiError::unavailable)?)?;
        if job.state == JobState::Cancelled || job.cancel_requested {
            return answer(edge, &job, now).await;
        }
        if job.state.is_over() {
            return Err(ApiError::new(Code::JobOver).with("job_status", job.state.name()));
        }
        if let Some(cancelled) = ask(edge, &job).await? {
            edge.jobs().wake_if_due(&cancelled).await;
            return answer(edge, &cancelled, now).await;
        }
        read = edge.table.job(job.user_id, job.request_id).await;
    }
    Err(ApiError::try_again())
}

/// Records the cancel and commits it. Returns the job after the cancel, or `None` when the conditional write was lost.
async fn ask(edge: &EdgeAuth, job: &Job) -> Result<Option<Job>, ApiError> {
    // Read after the job, which a worker may have changed since the request came.
    let now = edge.runtime.now();
    let after = job
        .apply(JobEvent::CancelRequested, now)
        .map_err(|_| ApiError::new(Code::JobOver).with("job_status", job.state.name()))?;
    let event = AuditEvent::CancelRequested { status: after.state.name().to_owned() };
    edge.jobs().commit_and_leave(job, after, Actor::User, event).await.map_err(ApiError::unavailable)
}

async fn answer(edge: &EdgeAuth, job: &Job, now: Timestamp) -> Result<Response, ApiError> {
    let view = edge.render(job, now).await?;
    Ok(if job.state.is_over() { answers::ok(&view) } else { answers::accepted(&view) })
}
