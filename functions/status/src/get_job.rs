//! `GET /v1/jobs/{id}`: one job, at once or, with `wait`, as soon as it changes.

use std::time::Duration;

use ::http::{HeaderMap, HeaderName, header::ETAG};
use domain::{
    job::{Job, JobState},
    notification::Notice,
    view,
};
use lambda_http::Request;
use platform::http::{self, ApiError, Response};
use service::{
    jobs::{known_job, render_job},
    session::OwnJob,
};

use crate::{Status, etag, query};

const NEXT_POLL_MS: HeaderName = HeaderName::from_static("next-poll-ms");
/// The pause between the first two reads of a held poll. A quick write is over after some 100 ms.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two reads.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Returns this job, or a later version of it. An invalid parameter is reported before an unknown job.
pub(crate) async fn get_job(status: &Status, request: &Request, own: OwnJob) -> Result<Response, ApiError> {
    let wait = query::wait(request)?.min(status.config.long_poll_cap);
    let job = watch(status, known_job(own.job?)?, request.headers(), wait).await?;
    let now = status.runtime.now();
    // The record of a notification changes without a new revision of the job.
    let same = etag::known(request.headers(), job.rev) == Some(true) && Notice::of(&job).is_none();
    let mut answer = if same {
        http::not_modified()
    } else {
        let view = render_job(&status.table, status.policy.catalogue(), &job, now).await;
        http::ok(&view?)
    };
    http::set(&mut answer, ETAG, &etag::of(job.rev));
    if let Some(wait) = view::next_poll_ms(&job, now) {
        http::set(&mut answer, NEXT_POLL_MS, &wait.to_string());
    }
    Ok(answer)
}

/// Returns the job when it is over, when it has an approval request that the client has not seen, when its revision
/// differs from the client's or from the first one read, or after `wait`.
async fn watch(status: &Status, mut job: Box<Job>, headers: &HeaderMap, wait: Duration) -> Result<Box<Job>, ApiError> {
    let first_rev = job.rev;
    let mut pauses = Pauses::within(wait);
    loop {
        let known = etag::known(headers, job.rev);
        // Nothing changes before the approval is decided, perhaps by the waiting user, so holding the poll is useless.
        let asks = job.state == JobState::AwaitingApproval && known.is_none();
        let news = job.state.is_over() || asks || job.rev != first_rev || known == Some(false);
        let Some(pause) = (!news).then(|| pauses.next()).flatten() else { return Ok(job) };
        tokio::time::sleep(pause).await;
        job = known_job(status.table.job(job.user_id, job.request_id).await?)?;
    }
}

/// The pauses of a held poll: they grow, and add up to its length. They are not measured by the clock that dates jobs,
/// because that may be set back.
struct Pauses {
    left: Duration,
    next: Duration,
}

impl Pauses {
    const fn within(wait: Duration) -> Self {
        Self { left: wait, next: FIRST_PAUSE }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.next.min(self.left);
        self.left -= pause;
        self.next = (self.next * 3 / 2).min(LONGEST_PAUSE);
        (!pause.is_zero()).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_add_up_to_the_wait() {
        for seconds in [0, 1, 3, 20] {
            let wait = Duration::from_secs(seconds);
            let pauses: Vec<Duration> = Pauses::within(wait).collect();
            assert_eq!(pauses.iter().sum::<Duration>(), wait);
            assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE));
            assert!(pauses.iter().rev().skip(1).rev().is_sorted());
        }
        let first: Vec<Duration> = Pauses::within(Duration::from_secs(20)).take(5).collect();
        assert_eq!(first, [50_000, 75_000, 112_500, 168_750, 253_125].map(Duration::from_micros));
    }
}
