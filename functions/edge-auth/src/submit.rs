//! `POST /v1/jobs`: records a job under the client's request id and sends a wake-up message. The answer takes
//! milliseconds.
//!
//! The order:
//!
//! 1. A strongly consistent read of the job. A replay is answered here, and nothing is charged.
//! 2. Checks of a new job: age of the id; times; name and arguments of each step; then policy and service mode for each
//!    step; its place in the conversation queue. A refusal with 403 or 422 up to here is charged.
//! 3. One conditional update of the user item: revocation, rate, place in flight. If the job begins a conversation,
//!    instead: the rate; the count of conversations; revocation and place in flight. The count is given back when there
//!    is no place.
//! 4. Payload, audit records, the job (condition: absent), its place in the conversation queue, the wake-up message.
//!    Once the job is recorded the answer is 202, even if the message could not be sent: the reconciler sends it later.

use std::time::Duration;

use domain::{
    access::session::Session,
    ids::{BadRequestId, IdAge, RequestId, Timestamp},
    job::{
        Job,
        submission::{Submission, SubmissionFault},
    },
    limits::admission::JobKind,
    view::{ApprovalView, JobView},
};
use http::header;
use lambda_http::Request;
use platform::{
    http::{self as answers, ApiError, Code, Response, body},
    metrics::Metric,
    telemetry::RequestLog,
};
use service::session;
use store::Stored;

use crate::{
    EdgeAuth,
    admit::{Charged, admit},
    conversation_cap, conversation_queue,
    gate::{self, Passed},
    store_job::{New, Recorded, record},
};

/// How far in the future `not_after` and `deadline` may be.
const AHEAD_AT_MOST: Duration = Duration::from_secs(24 * 3600);

/// The `Idempotency-Key` header. More than one is malformed. An existing job may be named in any spelling, also by the
/// UUID that the service made of a ULID; only a new job needs an id that contains a time ([`names_a_new_job`]).
fn request_id(request: &Request) -> Result<RequestId, Code> {
    let mut values = request.headers().get_all("idempotency-key").iter();
    let value = values.next().ok_or(Code::KeyMissing)?;
    let text = value.to_str().map_err(|_| Code::KeyMalformed)?;
    if values.next().is_some() {
        return Err(Code::KeyMalformed);
    }
    let text = text.trim().trim_matches('"');
    text.parse().map_err(|_| Code::KeyMalformed)
}

fn names_a_new_job(request: &Request) -> Result<(), ApiError> {
    let text = request.headers().get("idempotency-key").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let refused = |fault: BadRequestId| ApiError::new(Code::KeyMalformed).detail(fault.to_string());
    RequestId::parse_key(text).map(drop).map_err(refused)
}

pub(crate) async fn submit(edge: &EdgeAuth, request: &Request, log: &mut RequestLog<'_>) -> Result<Response, ApiError> {
    let now = edge.runtime.now();
    let id = request_id(request);
    log.request_id = id.ok();
    let session = edge.session(request, log).await?;
    let id = id.map_err(ApiError::new)?;
    let value = body::read_json(request)?;
    let submission = Submission::parse(value).map_err(|fault| faulty(&fault))?;
    let user_id = session.user_id;
    if let Some(stored) = edge.table.job(user_id, id).await.map_err(ApiError::unavailable)? {
        session::alive(&session, &edge.table).await?;
        return replay(edge, &stored, &submission).await;
    }
    names_a_new_job(request)?;
    check_age(id, now)?;
    let asker = gate::asker(edge, &session, now).await?;
    if let Err(refusal) = check_times(&submission, now) {
        return Err(gate::charged(edge, user_id, refusal).await);
    }
    let passed = gate::decide(edge, &asker, id, &submission).await?;
    let not_after = submission.not_after().unwrap_or_else(|| starts_by(&passed, now));
    let counted = match may_begin(edge, &session, id, &submission).await {
        Ok(counted) => counted,
        // Each of several identical concurrent requests is charged; those that lose the race are answered as replays
        // nevertheless.
        Err(refusal) => {
            return match edge.table.job(user_id, id).await.map_err(ApiError::unavailable)? {
                Some(stored) if refusal.code != Code::NoSession => replay(edge, &stored, &submission).await,
                Some(_) | None => Err(refusal),
            };
        }
    };
    let trace = log.trace.as_ref();
    let new = New { user_id, id, submission: &submission, passed, not_after, trace, counted };
    let (job, payload) = match record(edge, &new).await? {
        Recorded::Exists(stored) => return replay(edge, &stored, &submission).await,
        Recorded::New(job, payload) => (job, payload),
    };
    let result = edge.table.result_of(&job).await.map_err(ApiError::unavailable)?.shown();
    let work = payload.steps.first().map(|wanted| &wanted.work);
    let approval = ApprovalView::of(&job, work, edge.policy.catalogue());
    let view = JobView::new(&job, result, edge.runtime.now()).asking(approval);
    Ok(point_to(answers::accepted(&view), &job, &view))
}

/// Reserves what a job needs: a place in the conversation queue, a place in flight, and, if it begins a conversation, a
/// count against the user's limit. Returns whether it begins a conversation, which is then counted.
async fn may_begin(
    edge: &EdgeAuth,
    session: &Session,
    id: RequestId,
    submission: &Submission,
) -> Result<bool, ApiError> {
    let user = session.user_id;
    let begins = conversation_queue::check(edge, user, id, submission, edge.runtime.now()).await?;
    let job = (id, JobKind::of(submission.steps()));
    let Some(name) = begins else {
        admit(edge, session, job, Charged::With).await?;
        return Ok(false);
    };
    // Counted before the place in flight is taken, and given back when there is no place. The other order would have to
    // give back a place, which may be shared with another request of this id. If the process dies in between, the count
    // stays until `conversation_cap` prunes it.
    gate::charge(edge, user).await?;
    let counted = conversation_cap::count(edge, user, name).await?;
    if let Err(refusal) = admit(edge, session, job, Charged::Before).await {
        conversation_cap::give_back(edge, user, name, counted).await;
        return Err(refusal);
    }
    Ok(true)
}

/// Invariant 6, *same id, same request*: the same payload gets the stored job, another payload is refused. For a job
/// that is due a wake-up message is sent again, so that a client's retry makes up for a lost one.
async fn replay(edge: &EdgeAuth, stored: &Stored, submission: &Submission) -> Result<Response, ApiError> {
    let Stored::Job(job) = stored else {
        return Err(ApiError::try_again());
    };
    let key =
        edge.table.digest_key(job.user_id, job.request_id, job.fingerprint).await.map_err(ApiError::unavailable)?;
    // An erased payload has no digest key to compare with, so the stored job is returned.
    if key.as_ref().is_some_and(|key| submission.fingerprint(key) != job.fingerprint) {
        return Err(ApiError::new(Code::KeyReused));
    }
    edge.jobs().wake_if_due(job).await;
    let view = edge.render(job).await?;
    let mut answer = answers::ok(&view);
    answers::set(&mut answer, header::HeaderName::from_static("idempotent-replayed"), "true");
    edge.runtime.count(Metric::JobsReplayed);
    Ok(point_to(answer, job, &view))
}

fn check_age(id: RequestId, now: Timestamp) -> Result<(), ApiError> {
    let code = match id.age(now) {
        IdAge::Fresh => return Ok(()),
        IdAge::TooOld => Code::RequestIdExpired,
        IdAge::InFuture => Code::RequestIdInFuture,
    };
    let says = format!("The id says {}, the server says {now}.", id.time());
    Err(ApiError::new(code).detail(says).with("server_time", now.to_string()))
}

/// Requires that the times given by the client are in the future, and at most `AHEAD_AT_MOST` from now.
fn check_times(submission: &Submission, now: Timestamp) -> Result<(), ApiError> {
    for (at, code) in [(submission.not_after(), Code::NotAfterInvalid), (submission.deadline(), Code::DeadlineInvalid)]
    {
        if at.is_some_and(|at| !lies_ahead(at, now)) {
            return Err(ApiError::new(code).with("server_time", now.to_string()));
        }
    }
    Ok(())
}

/// The default of `not_after`: the sum of the times within which the steps have to start.
fn starts_by(passed: &[Passed<'_>], now: Timestamp) -> Timestamp {
    let within: Duration = passed.iter().map(Passed::start_within).sum();
    now.plus(within.min(AHEAD_AT_MOST))
}

fn lies_ahead(at: Timestamp, now: Timestamp) -> bool {
    at > now && at <= now.plus(AHEAD_AT_MOST)
}

/// Describes an invalid body to the client: the index of the faulty step, and a JSON pointer into its arguments or
/// message.
fn faulty(fault: &SubmissionFault) -> ApiError {
    let error = ApiError::new(Code::BodyInvalid).detail(fault.to_string());
    let (error, inner) = match fault {
        SubmissionFault::Step { step, fault } => (error.with("step", step), fault.as_ref()),
        other => (error, other),
    };
    match inner {
        SubmissionFault::Reference(reference) => error.with("pointer", reference.at()),
        SubmissionFault::NotAnObject
        | SubmissionFault::UnknownField(_)
        | SubmissionFault::Missing(_)
        | SubmissionFault::WrongType(..)
        | SubmissionFault::EmptyMessage
        | SubmissionFault::LongMessage
        | SubmissionFault::TwoConversations
        | SubmissionFault::Step { .. } => error,
    }
}

/// Sets the headers that tell the client where to poll the job, and when.
pub(crate) fn point_to(mut answer: Response, job: &Job, view: &JobView) -> Response {
    answers::set(&mut answer, header::LOCATION, &format!("/v1/jobs/{}", job.request_id));
    if let Some(wait) = view.next_poll_ms {
        answers::set(&mut answer, header::RETRY_AFTER, &wait.div_ceil(1000).to_string());
        answers::set(&mut answer, header::HeaderName::from_static("next-poll-ms"), &wait.to_string());
    }
    answer
}
