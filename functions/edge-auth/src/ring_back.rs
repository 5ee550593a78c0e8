//! `POST /v1/rings`: whoever runs something for a job says that there is something to see, and a worker looks now.
//!
//! No session: the ring is its own right ([`domain::job`]). It moves a time and rings a bell, no more.

use std::time::Duration;

use domain::{
    ids::DigestKey,
    job::{Job, JobEvent, JobState, Ring},
};
use lambda_http::Request;
use platform::{
    http::{self, Answer, ApiError, Code, body},
    telemetry::Asked,
};
use serde::Deserialize;
use store::{Commit, Stored};

use crate::{EdgeAuth, record::try_ring};

/// Soon after this a worker that looks at the job has looked.
const LOOK_TAKES: Duration = Duration::from_secs(1);
/// A worker may write in between; after this many lost races the journal is asked to repeat.
const TRIES: usize = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RingBack {
    ring: Ring,
}

pub(crate) async fn ring_back(edge: &EdgeAuth, request: &Request, asked: &mut Asked<'_>) -> Result<Answer, ApiError> {
    // serde's own message would quote the body.
    let RingBack { ring } = serde_json::from_value(body::read_json(request)?).map_err(|_| {
        ApiError::new(Code::BodyInvalid).detail("expected {\"ring\": the text that came with the work}")
    })?;
    let once = DigestKey::from_random(edge.world.bytes());
    for _ in 0..TRIES {
        let job = match edge.table.job(ring.user_id, ring.request_id).await.map_err(ApiError::unavailable)? {
            None => return Err(ApiError::new(Code::RingOver)),
            Some(Stored::Newer) => return Err(ApiError::try_again()),
            Some(Stored::Job(job)) => job,
        };
        // A wrong secret, a round that is over and a job that never was are one and the same to whoever guesses.
        if !is_out(&job, &ring, &once) {
            return Err(ApiError::new(Code::RingOver));
        }
        (asked.user_id, asked.request_id) = (Some(job.user_id), Some(job.request_id));
        match job.state {
            JobState::Waiting => {}
            // Its worker has died: it is due.
            JobState::Running if job.claimable(edge.world.now()) => {}
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
            | JobState::Unknown => return Err(ApiError::new(Code::RingOver)),
        }
        if wake(edge, &job).await? {
            try_ring(edge, &job, Duration::ZERO).await.map_err(ApiError::unavailable)?;
            return Ok(http::no_content());
        }
    }
    Err(ApiError::try_again())
}

/// Whether what the job waits for went out with this secret.
fn is_out(job: &Job, ring: &Ring, once: &DigestKey) -> bool {
    job.ring().is_some_and(|own| own.secret.is(&ring.secret, once))
}

/// Makes a job that waits due now. `false` when somebody was quicker.
async fn wake(edge: &EdgeAuth, job: &Job) -> Result<bool, ApiError> {
    let now = edge.world.now();
    if job.claimable(now) {
        // It is due already, and perhaps its bell was lost.
        return Ok(true);
    }
    let woken = job.apply(JobEvent::Woken, now).map_err(ApiError::unavailable)?;
    // On condition that nobody has written since it was read.
    match edge.table.commit(job, &woken, &edge.world.nonce()).await.map_err(ApiError::unavailable)? {
        Commit::Done => Ok(true),
        Commit::Lost(_) => Ok(false),
    }
}
