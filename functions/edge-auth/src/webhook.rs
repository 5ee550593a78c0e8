//! `POST /v1/rings`: webhook of the gateway plugin. Progress is available for a turn: make its job due and wake a
//! worker.
//!
//! There is no session: the wake-up token in the body is the authorization ([`domain::job`]). It can only make the job
//! due and send a wake-up message.

use std::time::Duration;

use domain::{
    ids::{DigestKey, TraceParent},
    job::{Job, JobEvent, JobState, JobWakeUp},
};
use lambda_http::Request;
use platform::{
    http::{self, ApiError, Code, Response, body},
    telemetry::RequestLog,
};
use serde::Deserialize;
use store::{Commit, Stored};

use crate::EdgeAuth;

/// `Retry-After` while a worker has the job: after this time its poll of the gateway has usually ended.
const LOOK_TAKES: Duration = Duration::from_secs(1);
/// A worker may write to the job at the same time; after this many lost conditional writes the journal gets a retryable
/// error.
const TRIES: usize = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookBody {
    #[serde(rename = "ring")]
    wake_up: JobWakeUp,
}

pub(crate) async fn webhook(
    edge: &EdgeAuth,
    request: &Request,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let WebhookBody { wake_up } = body::read(request, r#"{"ring": the text that came with the work}"#)?;
    let once = DigestKey::from_random(edge.runtime.bytes());
    for _ in 0..TRIES {
        let job = match edge.table.job(wake_up.user_id, wake_up.request_id).await.map_err(ApiError::unavailable)? {
            None => return Err(ApiError::new(Code::WakeUpOver)),
            Some(Stored::Newer) => return Err(ApiError::try_again()),
            Some(Stored::Job(job)) => job,
        };
        // A wrong token, a round that is over and an unknown job all answer 410, so that ids cannot be probed.
        if !is_out(&job, &wake_up, &once) {
            return Err(ApiError::new(Code::WakeUpOver));
        }
        (log.user_id, log.request_id) = (Some(job.user_id), Some(job.request_id));
        match job.state {
            JobState::Waiting => {}
            // The lease has expired, so its worker has died and the job is due.
            JobState::Running if job.claimable(edge.runtime.now()) => {}
            // The worker may have polled the gateway just before the progress, and would not poll again soon: the
            // journal has to repeat.
            JobState::Running => return Err(ApiError::new(Code::JobBusy).retry_after(LOOK_TAKES)),
            JobState::Queued
            | JobState::Retrying
            | JobState::AwaitingApproval
            | JobState::Succeeded
            | JobState::Failed
            | JobState::Refused
            | JobState::Explained
            | JobState::Cancelled
            | JobState::Expired
            | JobState::Unknown => return Err(ApiError::new(Code::WakeUpOver)),
        }
        if make_due(edge, &job).await? {
            let trace = job.trace.as_deref().and_then(TraceParent::parse);
            let sent = edge.jobs().try_wake(&job, trace.as_ref(), Duration::ZERO).await;
            sent.map_err(ApiError::unavailable)?;
            return Ok(http::no_content());
        }
    }
    Err(ApiError::try_again())
}

/// Whether the wake-up token belongs to the round that the job waits for.
fn is_out(job: &Job, wake_up: &JobWakeUp, once: &DigestKey) -> bool {
    job.wake_up().is_some_and(|own| own.secret.is(&wake_up.secret, once))
}

/// Makes a suspended job due now. `false` when the conditional write was lost.
pub(crate) async fn make_due(edge: &EdgeAuth, job: &Job) -> Result<bool, ApiError> {
    let now = edge.runtime.now();
    if job.claimable(now) {
        // It is due already, and its wake-up message may have been lost: send one again.
        return Ok(true);
    }
    let woken = job.apply(JobEvent::Woken, now).map_err(ApiError::unavailable)?;
    // Condition: `rev` has not changed since the job was read.
    match edge.table.commit(job, &woken, &edge.runtime.nonce()).await.map_err(ApiError::unavailable)? {
        Commit::Done => Ok(true),
        Commit::Lost(_) => Ok(false),
    }
}
