//! `POST /v1/jobs/{request_id}/cancel`: 200 when nothing was sent to the gateway and nothing will be, 202 while a call
//! is out.

use domain::{
    audit::{AuditContext, AuditEvent, AuditRecord},
    ids::{Actor, RequestId},
    job::{Job, JobEvent, JobState},
    view::JobView,
};
use lambda_http::Request;
use platform::{
    http::{self as answers, ApiError, Code, Response},
    metrics::Metric,
    telemetry::RequestLog,
};
use service::{job_metrics, session};
use store::{Commit, Stored};

use crate::{EdgeAuth, conversation_queue, store_job::wake};

/// A worker may write to the job at the same time; after this many lost conditional writes the client gets a retryable
/// error.
const TRIES: usize = 5;

pub(crate) async fn cancel(
    edge: &EdgeAuth,
    request: &Request,
    id: Option<RequestId>,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let session = edge.session(request, log).await?;
    session::alive(&session, &edge.table).await?;
    let id = id.ok_or_else(|| ApiError::new(Code::NotFound))?;
    for _ in 0..TRIES {
        let job = match edge.table.job(session.user_id, id).await.map_err(ApiError::unavailable)? {
            None => return Err(ApiError::new(Code::NotFound)),
            Some(Stored::Newer) => {
                return Err(ApiError::try_again());
            }
            Some(Stored::Job(job)) => job,
        };
        if job.state == JobState::Cancelled || job.cancel_requested {
            return answer(edge, &job).await;
        }
        if job.state.is_over() {
            return Err(ApiError::new(Code::JobOver).with("job_status", job.state.name()));
        }
        if let Some(cancelled) = ask(edge, &job).await? {
            if cancelled.claimable(edge.runtime.now()) {
                wake(edge, &cancelled).await;
            }
            conversation_queue::leave(edge, &cancelled).await;
            return answer(edge, &cancelled).await;
        }
    }
    Err(ApiError::try_again())
}

/// Records the cancel and commits it. Returns the job after the cancel, or `None` when the conditional write was lost.
async fn ask(edge: &EdgeAuth, job: &Job) -> Result<Option<Job>, ApiError> {
    let now = edge.runtime.now();
    let mut after = job
        .apply(JobEvent::CancelRequested, now)
        .map_err(|_| ApiError::new(Code::JobOver).with("job_status", job.state.name()))?;
    let context = AuditContext::at_cursor(job, now, Actor::User, edge.policy.version());
    let event = AuditEvent::CancelRequested { status: after.state.name().to_owned() };
    let record = AuditRecord::after(job.audit, context, event);
    let put = edge.table.put_audit(job.user_id, &record, now).await;
    after.audit = put.inspect_err(|_| edge.runtime.count(Metric::AuditWriteFailures)).map_err(ApiError::unavailable)?;
    match edge.table.commit(job, &after, &edge.runtime.nonce()).await.map_err(ApiError::unavailable)? {
        Commit::Done => {
            job_metrics::finished(&edge.runtime, edge.policy.catalogue(), job, &after, None);
            Ok(Some(after))
        }
        Commit::Lost(_) => Ok(None),
    }
}

async fn answer(edge: &EdgeAuth, job: &Job) -> Result<Response, ApiError> {
    let result = edge.table.result_of(job).await.map_err(ApiError::unavailable)?.shown();
    let approval = edge.table.approval_of(job, edge.policy.catalogue()).await.map_err(ApiError::from)?;
    let view = JobView::new(job, result, edge.runtime.now()).asking(approval);
    Ok(if job.state.is_over() { answers::ok(&view) } else { answers::accepted(&view) })
}
