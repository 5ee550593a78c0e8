//! The headers that tell a client where to poll a job, and when.

use domain::{job::Job, view::JobView};
use http::header;
use platform::http::{self as answers, Response};

/// Sets the headers that tell the client where to poll the job, and when.
pub(crate) fn point_to(mut answer: Response, job: &Job, view: &JobView) -> Response {
    answers::set(&mut answer, header::LOCATION, &format!("/v1/jobs/{}", job.request_id));
    if let Some(wait) = view.next_poll_ms {
        answers::set(&mut answer, header::RETRY_AFTER, &wait.div_ceil(1000).to_string());
        answers::set(&mut answer, header::HeaderName::from_static("next-poll-ms"), &wait.to_string());
    }
    answer
}
