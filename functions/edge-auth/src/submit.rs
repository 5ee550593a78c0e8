//! `POST /v1/jobs`: records a job under the client's request id and rings. The answer comes within milliseconds.
//!
//! In this order: a strong read of the job (a replay is answered and nothing is charged) · what a new job needs (age of
//! the id; times; of each step name and arguments; then of each step policy and ladder; a place in its conversation). What is
//! refused with 403 or 422 up to here is charged · one conditional update of the user (revocation, rate, place in flight), or,
//! if it begins a conversation, the rate · room for one more · revocation and place, without which the room is given back ·
//! payload · audit records · the job, if absent · its place in line · the bell. Once the job is recorded the answer is 202, even
//! if ringing failed: the sweeper rings.

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
    store_job::{New, Recorded, record, wake},
};

/// How far ahead `not_after` and `deadline` may lie.
const AHEAD_AT_MOST: Duration = Duration::from_secs(24 * 3600);

/// The `Idempotency-Key` header. Two of them are none. A known job may be named in any spelling, also by the UUID that the
/// service made of a ULID; only a new one needs a time in its id ([`names_a_new_job`]).
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
        // Identical requests that race are charged each; the ones that lose are replays all the same.
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

/// Whether there is a place for it: in its conversation, among what its user may have open, and for one more conversation if
/// it begins one: whether it does, which then counts.
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
    // Counted before it has a place in flight, and given back when it gets none: a place may be shared with another request of
    // this id, and cannot be given back. What is counted and not begun all the same, since a process dies, is found later.
    gate::charge(edge, user).await?;
    let counted = conversation_cap::count(edge, user, name).await?;
    if let Err(refusal) = admit(edge, session, job, Charged::Before).await {
        conversation_cap::give_back(edge, user, name, counted).await;
        return Err(refusal);
    }
    Ok(true)
}

/// Invariant 6, *same id, same request*: the same payload gets the stored job, another one is refused. A job that is due
/// rings again, so that a client's retry heals a bell that was lost.
async fn replay(edge: &EdgeAuth, stored: &Stored, submission: &Submission) -> Result<Response, ApiError> {
    let Stored::Job(job) = stored else {
        return Err(ApiError::try_again());
    };
    let key =
        edge.table.digest_key(job.user_id, job.request_id, job.fingerprint).await.map_err(ApiError::unavailable)?;
    // A payload that was erased can be compared with nothing; what is left of its job is told.
    if key.as_ref().is_some_and(|key| submission.fingerprint(key) != job.fingerprint) {
        return Err(ApiError::new(Code::KeyReused));
    }
    let now = edge.runtime.now();
    if job.claimable(now) {
        wake(edge, job).await;
    }
    let result = edge.table.result_of(job).await.map_err(ApiError::unavailable)?.shown();
    let approval = edge.table.approval_of(job, edge.policy.catalogue()).await.map_err(ApiError::from)?;
    let view = JobView::new(job, result, now).asking(approval);
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

/// Whether the times that the client names lie ahead, and not too far.
fn check_times(submission: &Submission, now: Timestamp) -> Result<(), ApiError> {
    for (at, code) in [(submission.not_after(), Code::NotAfterInvalid), (submission.deadline(), Code::DeadlineInvalid)]
    {
        if at.is_some_and(|at| !lies_ahead(at, now)) {
            return Err(ApiError::new(code).with("server_time", now.to_string()));
        }
    }
    Ok(())
}

/// When it has to start at the latest if the client does not say: as long as its steps may take until the last of them starts.
fn starts_by(passed: &[Passed<'_>], now: Timestamp) -> Timestamp {
    let within: Duration = passed.iter().map(Passed::start_within).sum();
    now.plus(within.min(AHEAD_AT_MOST))
}

fn lies_ahead(at: Timestamp, now: Timestamp) -> bool {
    at > now && at <= now.plus(AHEAD_AT_MOST)
}

/// What is wrong with a body, and where: the number of the faulty step, and the place inside its arguments or message.
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

/// Where to look for the job, and when.
pub(crate) fn point_to(mut answer: Response, job: &Job, view: &JobView) -> Response {
    answers::set(&mut answer, header::LOCATION, &format!("/v1/jobs/{}", job.request_id));
    if let Some(wait) = view.next_poll_ms {
        answers::set(&mut answer, header::RETRY_AFTER, &wait.div_ceil(1000).to_string());
        answers::set(&mut answer, header::HeaderName::from_static("next-poll-ms"), &wait.to_string());
    }
    answer
}
