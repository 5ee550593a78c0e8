//! `POST /v1/rings`: whoever runs something for a job says that there is something to see, and a worker looks now.
//!
//! No session: the ring is its own right ([`domain::job`]). It moves a time and rings a bell, no more.

use std::time::Duration;

use domain::{
    ids::DigestKey,
    job::{Job, JobEvent, JobState, JobWakeUp},
};
use lambda_http::Request;
use platform::{
    http::{self, ApiError, Code, Response, body},
    telemetry::RequestLog,
};
use serde::Deserialize;
use store::{Commit, Stored};

use crate::{EdgeAuth, store_job::try_wake};

/// Soon after this a worker that looks at the job has looked.
const LOOK_TAKES: Duration = Duration::from_secs(1);
/// A worker may write in between; after this many lost races the journal is asked to repeat.
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
    // serde's own message would quote the body.
    let WebhookBody { wake_up } = serde_json::from_value(body::read_json(request)?).map_err(|_| {
        ApiError::new(Code::BodyInvalid).detail("expected {\"ring\": the text that came with the work}")
    })?;
    let once = DigestKey::from_random(edge.runtime.bytes());
    for _ in 0..TRIES {
        let job = match edge.table.job(wake_up.user_id, wake_up.request_id).await.map_err(ApiError::unavailable)? {
            None => return Err(ApiError::new(Code::WakeUpOver)),
            Some(Stored::Newer) => return Err(ApiError::try_again()),
            Some(Stored::Job(job)) => job,
        };
        // A wrong secret, a round that is over and a job that never was are one and the same to whoever guesses.
        if !is_out(&job, &wake_up, &once) {
            return Err(ApiError::new(Code::WakeUpOver));
        }
        (log.user_id, log.request_id) = (Some(job.user_id), Some(job.request_id));
        match job.state {
            JobState::Waiting => {}
            // Its worker has died: it is due.
            JobState::Running if job.claimable(edge.runtime.now()) => {}
            // Its worker may have asked just before there was anything to see, and will not look again soon.
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
        if wake(edge, &job).await? {
            try_wake(edge, &job, Duration::ZERO).await.map_err(ApiError::unavailable)?;
            return Ok(http::no_content());
        }
    }
    Err(ApiError::try_again())
}

/// Whether what the job waits for went out with this secret.
fn is_out(job: &Job, wake_up: &JobWakeUp, once: &DigestKey) -> bool {
    job.wake_up().is_some_and(|own| own.secret.is(&wake_up.secret, once))
}

/// Makes a job that waits due now. `false` when somebody was quicker.
async fn wake(edge: &EdgeAuth, job: &Job) -> Result<bool, ApiError> {
    let now = edge.runtime.now();
    if job.claimable(now) {
        // It is due already, and perhaps its bell was lost.
        return Ok(true);
    }
    let woken = job.apply(JobEvent::Woken, now).map_err(ApiError::unavailable)?;
    // On condition that nobody has written since it was read.
    match edge.table.commit(job, &woken, &edge.runtime.nonce()).await.map_err(ApiError::unavailable)? {
        Commit::Done => Ok(true),
        Commit::Lost(_) => Ok(false),
    }
}
