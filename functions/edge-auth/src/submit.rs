//! `POST /v1/jobs`: records a job under the client's request id and sends a wake-up message. The answer takes
//! milliseconds.
//!
//! A submission passes these stages, each a file of its own, and returns to none:
//!
//! 1. *authenticate* (`EdgeAuth::session`): the session token.
//! 2. *parse* ([`parse`]): the request id and the body.
//! 3. *find stored* ([`find_stored`]): one strongly consistent read of user and job. A revoked session ends here. A
//!    replay is answered here, and nothing is charged.
//! 4. *decide* ([`decide`]): the age of the id; the times; name and arguments of each step; then policy and service mode
//!    for each step. A refusal with 403 or 422 by this stage is charged.
//! 5. *admit* ([`admit`]): one conditional update of the user item: revocation, rate, limit of open jobs. If the job begins a
//!    conversation, instead: the rate; the count of conversations; revocation and limit of open jobs.
//! 6. *record* ([`record`]): payload, audit records, the job (condition: absent), its place in the conversation queue.
//! 7. *wake*: the wake-up message. Once the job is recorded the answer is 202, even if the message could not be sent: the
//!    reconciler sends it later.

use std::time::Duration;

use domain::{
    ids::{RequestId, Timestamp, UserId},
    job::submission::Submission,
    view::{ApprovalView, JobView, NotificationView},
};
use lambda_http::Request;
use platform::{
    http::{self as answers, ApiError, Code, Response},
    telemetry::RequestLog,
};

use crate::{
    EdgeAuth, admit,
    admit::Admitted,
    decide::{self, Passed},
    find_stored,
    parse::{self, AHEAD_AT_MOST, IdempotencyKey},
    poll_headers::point_to,
    record::{self, New, Recorded},
};

pub(crate) async fn submit(edge: &EdgeAuth, request: &Request, log: &mut RequestLog<'_>) -> Result<Response, ApiError> {
    let now = edge.runtime.now();
    let key = IdempotencyKey::of(request);
    log.request_id = key.as_ref().ok().map(|key| key.id);
    let session = edge.session(request, now, log).await?;
    let key = key.map_err(ApiError::new)?;
    let submission = parse::submission(request)?;
    let (user, stored) = find_stored::find(edge, &session, key.id).await?;
    if let Some(stored) = stored {
        return find_stored::replay(edge, &stored, &submission, now).await;
    }
    let id = key.of_new_job(now)?;
    let asker = decide::asker(edge, session.user_id, user, now).await;
    let passed = decide::decide(edge, &asker, id, &submission).await?;
    let not_after = submission.not_after().unwrap_or_else(|| starts_by(&passed, now));
    let admitted = match admit::admit(edge, &session, id, &submission, now).await {
        Ok(admitted) => admitted,
        Err(refusal) => return lost_race(edge, session.user_id, id, &submission, (now, refusal)).await,
    };
    let counted = admitted == Admitted::Begins;
    let trace = log.trace.as_ref();
    let new = New { user_id: session.user_id, id, submission: &submission, passed, not_after, trace, counted, now };
    let (job, payload) = match record::record(edge, &new).await? {
        Recorded::Exists(stored) => return find_stored::replay(edge, &stored, &submission, now).await,
        Recorded::New(job, payload) => (job, payload),
    };
    record::wake(edge, &job, now).await;
    let result = edge.table.result_of(&job).await.map_err(ApiError::unavailable)?.shown();
    // From the payload in hand, which saves the read that `EdgeAuth::render` needs.
    let work = payload.steps.first().map(|wanted| &wanted.work);
    let approval = ApprovalView::of(&job, work, edge.policy.catalogue());
    let notification = NotificationView::of(&job, None, now);
    let view = JobView::new(&job, result, now).asking(approval).notifying(notification);
    Ok(point_to(answers::accepted(&view), &job, &view))
}

/// Answers a submission that was not admitted. Each of several identical concurrent requests is charged; those that find
/// no place because another one has recorded the job meanwhile are replays.
async fn lost_race(
    edge: &EdgeAuth,
    user_id: UserId,
    id: RequestId,
    submission: &Submission,
    (now, refusal): (Timestamp, ApiError),
) -> Result<Response, ApiError> {
    match find_stored::find_again(edge, user_id, id).await? {
        Some(stored) if refusal.code != Code::NoSession => find_stored::replay(edge, &stored, submission, now).await,
        Some(_) | None => Err(refusal),
    }
}

/// The default of `not_after`: the sum of the times within which the steps have to start.
fn starts_by(passed: &[Passed<'_>], now: Timestamp) -> Timestamp {
    let within: Duration = passed.iter().map(Passed::start_within).sum();
    now.plus(within.min(AHEAD_AT_MOST))
}
