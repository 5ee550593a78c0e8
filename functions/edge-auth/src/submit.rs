//! `POST /v1/jobs`: records a job under the client's request id and rings. The answer comes within milliseconds.
//!
//! In this order: a strong read of the job (a replay is answered and nothing is charged) · what a new job needs (age of
//! the id, policy, arguments) · one conditional update of the user (revocation, rate, place in flight) · payload · audit
//! record · the job, if absent · the bell. Once the job is recorded the answer is 202, even if ringing failed: the sweeper
//! rings.

use std::time::Duration;

use http::header;
use lambda_http::Request;
use shared::{
    admission::Admission,
    audit::{Actor, AuditContext, AuditEvent, AuditHead, AuditRecord},
    bearer,
    catalogue::Tool,
    digest::DigestKey,
    http::{self as answers, Answer, ApiError, Code},
    job::{Job, NewJob, Start},
    metrics::{Dimension, Metric},
    policy::{self, DenyReason, PolicyDecision},
    queue::Bell,
    rate_limit::RateDecision,
    request_id::{BadRequestId, IdAge, RequestId},
    session::Session,
    step::Step,
    submission::Submission,
    table::{Created, Payload, Stored},
    telemetry::Asked,
    timestamp::Timestamp,
    trace::TraceParent,
    view::JobView,
};

use crate::{EdgeAuth, body};

/// How far ahead `not_after` may lie.
const NOT_AFTER_AT_MOST: Duration = Duration::from_secs(24 * 3600);
/// After how long an admitted submission has recorded its job, or never will: no request lives longer than 30 s.
const RECORDED_WITHIN: Duration = Duration::from_secs(60);

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

pub(crate) async fn submit(edge: &EdgeAuth, request: &Request, asked: &mut Asked<'_>) -> Result<Answer, ApiError> {
    let now = edge.world.now();
    let id = request_id(request);
    asked.request_id = id.ok();
    let session = edge.session(request, asked).await?;
    let id = id.map_err(ApiError::new)?;
    let value = body::read_json(request)?;
    let submission =
        Submission::parse(value).map_err(|fault| ApiError::new(Code::BodyInvalid).detail(fault.to_string()))?;
    if let Some(stored) = edge.table.job(session.user_id, id).await.map_err(ApiError::unavailable)? {
        bearer::alive(&session, &edge.table).await?;
        return replay(edge, &stored, &submission).await;
    }
    names_a_new_job(request)?;
    check_age(id, now)?;
    let tool = permitted(edge, &submission)?;
    let not_after = check_not_after(&submission, tool, now)?;
    if let Err(refusal) = admit(edge, &session, id).await {
        // Identical requests that race are charged each; the ones that lose are replays all the same.
        return match edge.table.job(session.user_id, id).await.map_err(ApiError::unavailable)? {
            Some(stored) if refusal.code != Code::NoSession => replay(edge, &stored, &submission).await,
            Some(_) | None => Err(refusal),
        };
    }
    record(edge, &session, id, submission, not_after, asked.trace.as_ref()).await
}

/// Invariant 6, *same id, same request*: the same payload gets the stored job, another one is refused. A job that is due
/// rings again, so that a client's retry heals a bell that was lost.
async fn replay(edge: &EdgeAuth, stored: &Stored, submission: &Submission) -> Result<Answer, ApiError> {
    let Stored::Job(job) = stored else {
        return Err(ApiError::new(Code::Unavailable).retry_after(Duration::from_secs(1)));
    };
    let payload =
        edge.table.payload(job.user_id, job.request_id, job.fingerprint).await.map_err(ApiError::unavailable)?;
    // A payload that was erased can be compared with nothing; what is left of its job is told.
    if payload.is_some_and(|payload| submission.fingerprint(&payload.digest_key) != job.fingerprint) {
        return Err(ApiError::new(Code::KeyReused));
    }
    let now = edge.world.now();
    if job.claimable(now) {
        ring(edge, job).await;
    }
    let result = edge.table.result_of(job).await.map_err(ApiError::unavailable)?;
    let view = JobView::new(job, result, now);
    let mut answer = answers::ok(&view);
    answers::set(&mut answer, header::HeaderName::from_static("idempotent-replayed"), "true");
    edge.world.count(Metric::JobsReplayed);
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

/// Invariant 9, *default deny*, for the first time; then the arguments, against the tool's schema.
fn permitted<'a>(edge: &'a EdgeAuth, submission: &Submission) -> Result<&'a Tool, ApiError> {
    let mut last = None;
    for call in submission.calls() {
        if let PolicyDecision::Deny(reason) = policy::decide(&edge.catalogue, &call.tool) {
            tracing::info!(function = "edge-auth", reason = reason.code(), "refused by policy");
            edge.world.measure(&[(Metric::PolicyRefusals, 1.0)], &[(Dimension::Reason, reason.code())]);
            return Err(ApiError::new(match reason {
                DenyReason::ToolUnknown => Code::ToolUnknown,
                DenyReason::ApprovalNeeded => Code::ApprovalNeeded,
                DenyReason::Destructive => Code::ToolDestructive,
            }));
        }
        let tool = edge.catalogue.get(&call.tool).ok_or_else(|| ApiError::new(Code::ToolUnknown))?;
        tool.validate(&call.arguments)
            .map_err(|faults| ApiError::new(Code::ArgumentsInvalid).with("errors", faults))?;
        last = Some(tool);
    }
    last.ok_or_else(|| ApiError::new(Code::BodyInvalid))
}

fn check_not_after(submission: &Submission, tool: &Tool, now: Timestamp) -> Result<Timestamp, ApiError> {
    match submission.not_after() {
        None => Ok(now.plus(tool.entry.start_within())),
        Some(at) if at > now && at <= now.plus(NOT_AFTER_AT_MOST) => Ok(at),
        Some(_) => Err(ApiError::new(Code::NotAfterInvalid).with("server_time", now.to_string())),
    }
}

async fn admit(edge: &EdgeAuth, session: &Session, id: RequestId) -> Result<(), ApiError> {
    let mut healed = false;
    loop {
        let (now, nonce) = (edge.world.now(), edge.world.nonce());
        let limits = &edge.config.limits;
        let admission = edge.table.admit(session, id, limits, now, &nonce).await.map_err(ApiError::unavailable)?;
        match admission {
            Admission::Applied => return Ok(()),
            Admission::Revoked => return Err(bearer::no_session("revoked")),
            Admission::RateLimited(wait) => return Err(ApiError::new(Code::RateLimited).retry_after(wait)),
            Admission::FullUnlessHealed if !healed => {
                healed = true;
                // Looking through the set is the dearest thing that a submission can ask for, so it is charged by itself.
                let charged =
                    edge.table.charge_user(session.user_id, limits.submissions, now, &edge.world.nonce()).await;
                if let RateDecision::Wait(wait) = charged.map_err(ApiError::unavailable)? {
                    return Err(ApiError::new(Code::RateLimited).retry_after(wait));
                }
                if heal(edge, session).await? == 0 {
                    return Err(ApiError::new(Code::InFlightFull).retry_after(Duration::from_secs(2)));
                }
            }
            Admission::FullUnlessHealed => {
                return Err(ApiError::new(Code::InFlightFull).retry_after(Duration::from_secs(2)));
            }
            // `admit` itself tries the burst; what is left over is as good as over the rate.
            Admission::Burst => return Err(ApiError::new(Code::RateLimited).retry_after(limits.submissions.interval())),
        }
    }
}

/// Drops from the set in flight what is over, or was never recorded. So no worker has to touch the user item, and a crash
/// cannot make the set drift. What has no job yet may be on its way: it stays until the last admission is so long ago that
/// nothing can be.
async fn heal(edge: &EdgeAuth, session: &Session) -> Result<usize, ApiError> {
    let (user_id, now) = (session.user_id, edge.world.now());
    let Some(user) = edge.table.user(user_id).await.map_err(ApiError::unavailable)? else { return Ok(0) };
    let (mut over, mut unrecorded) = (Vec::new(), Vec::new());
    for id in user.in_flight.iter().filter_map(|id| id.parse::<RequestId>().ok()) {
        match edge.table.job(user_id, id).await.map_err(ApiError::unavailable)? {
            Some(Stored::Job(job)) if job.state.is_over() => over.push(id),
            Some(Stored::Job(_) | Stored::Newer) => {}
            None => unrecorded.push(id),
        }
    }
    edge.table.drop_in_flight(user_id, &over).await.map_err(ApiError::unavailable)?;
    let mut dropped = over.len();
    if user.last_admission.is_none_or(|at| at.plus(RECORDED_WITHIN) <= now) {
        let gone = edge.table.drop_unrecorded(user_id, &unrecorded, user.last_admission).await;
        dropped += if gone.map_err(ApiError::unavailable)? { unrecorded.len() } else { 0 };
    }
    Ok(dropped)
}

async fn record(
    edge: &EdgeAuth,
    session: &Session,
    id: RequestId,
    submission: Submission,
    not_after: Timestamp,
    trace: Option<&TraceParent>,
) -> Result<Answer, ApiError> {
    let now = edge.world.now();
    let digest_key = DigestKey::from_random(edge.world.bytes());
    let fingerprint = submission.fingerprint(&digest_key);
    let retry = submission.clone();
    let payload = Payload { digest_key, calls: submission.into_calls() };
    let steps: Vec<Step> = payload
        .calls
        .iter()
        .filter_map(|call| Some(Step::new(call.tool.clone(), edge.catalogue.get(&call.tool)?.entry.effect)))
        .collect();
    let context = AuditContext {
        request_id: id,
        at: now,
        actor: Actor::User,
        step: 0,
        tool: steps.first().map_or("", |step| step.tool.as_str()),
        policy_version: edge.catalogue.version(),
    };
    let event =
        AuditEvent::Accepted { decision: "run".to_owned(), policies: Vec::new(), submission_digest: fingerprint };
    let record = AuditRecord::after(AuditHead::EMPTY, context, event);
    // Neither exists until the job names it, so they may go together. Both are waited for: what became of the audit record is
    // measured.
    let (user, table) = (session.user_id, &edge.table);
    let (payload_put, audit_put) =
        tokio::join!(table.put_payload(user, id, fingerprint, &payload, now), table.put_audit(user, &record, now));
    let audit_put = audit_put.inspect_err(|_| edge.world.count(Metric::AuditWriteFailures));
    let audit = payload_put.and(audit_put).map_err(ApiError::unavailable)?;
    let trace = trace.map(ToString::to_string);
    let new =
        NewJob { user_id: user, request_id: id, steps, fingerprint, audit, not_after, trace, start: Start::Queued };
    let job = Job::accepted(new, now);
    match edge.table.create_job(&job, &edge.world.nonce()).await.map_err(ApiError::unavailable)? {
        Created::Exists(stored) => replay(edge, &stored, &retry).await,
        Created::New => {
            edge.world.count(Metric::JobsAccepted);
            ring(edge, &job).await;
            let view = JobView::new(&job, None, now);
            Ok(point_to(answers::accepted(&view), &job, &view))
        }
    }
}

/// Rings; a bell that cannot be rung now is rung by the sweeper.
pub(crate) async fn ring(edge: &EdgeAuth, job: &Job) {
    let trace = job.trace.as_deref().and_then(TraceParent::parse);
    let bell = Bell::new(job.user_id, job.request_id, trace.as_ref());
    if let Err(error) = edge.queue.ring(&bell, Duration::ZERO).await {
        edge.world.count(Metric::RingFailures);
        tracing::error!(
            function = "edge-auth", code = "not_rung", request_id = %job.request_id, error = %error,
            "the job is recorded, its bell was not rung"
        );
    }
}

/// Where to look for the job, and when.
fn point_to(mut answer: Answer, job: &Job, view: &JobView) -> Answer {
    answers::set(&mut answer, header::LOCATION, &format!("/v1/jobs/{}", job.request_id));
    if let Some(wait) = view.next_poll_ms {
        answers::set(&mut answer, header::RETRY_AFTER, "1");
        answers::set(&mut answer, header::HeaderName::from_static("next-poll-ms"), &wait.to_string());
    }
    answer
}
