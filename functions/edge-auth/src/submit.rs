//! `POST /v1/jobs`: records a job under the client's request id and rings. The answer comes within milliseconds.
//!
//! In this order: a strong read of the job (a replay is answered and nothing is charged) · what a new job needs (age of
//! the id, arguments, policy and ladder) · one conditional update of the user (revocation, rate, place in flight) · payload ·
//! audit records · the job, if absent · the bell. Once the job is recorded the answer is 202, even if ringing failed: the
//! sweeper rings.

use std::time::Duration;

use http::header;
use lambda_http::Request;
use shared::{
    approval::{self, Approval, Bound},
    audit::{Actor, AuditContext, AuditEvent, AuditHead, AuditRecord},
    bearer, body,
    catalogue::Tool,
    digest::{Digest, DigestKey},
    explanation::explanation,
    http::{self as answers, Answer, ApiError, Code},
    job::{Job, NewJob, ResultRef, Start},
    metrics::{self, Metric},
    policy::{Gate, Gated},
    queue::Bell,
    request_id::{BadRequestId, IdAge, RequestId},
    session::Session,
    step::Step,
    submission::Submission,
    table::{Created, Payload, Stored, TableError},
    telemetry::Asked,
    timestamp::Timestamp,
    trace::TraceParent,
    user_id::UserId,
    view::{ApprovalView, JobView},
};

use crate::{
    EdgeAuth,
    admit::admit,
    gate::{self, Passed},
};

/// How far ahead `not_after` may lie.
const NOT_AFTER_AT_MOST: Duration = Duration::from_secs(24 * 3600);

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
    let passed = gate::decide(edge, &session, id, &submission, now).await?;
    let not_after = check_not_after(&submission, passed.tool, now)?;
    if let Err(refusal) = admit(edge, &session, id).await {
        // Identical requests that race are charged each; the ones that lose are replays all the same.
        return match edge.table.job(session.user_id, id).await.map_err(ApiError::unavailable)? {
            Some(stored) if refusal.code != Code::NoSession => replay(edge, &stored, &submission).await,
            Some(_) | None => Err(refusal),
        };
    }
    let trace = asked.trace.as_ref();
    record(edge, New { session: &session, id, submission, passed, not_after, trace }).await
}

/// Invariant 6, *same id, same request*: the same payload gets the stored job, another one is refused. A job that is due
/// rings again, so that a client's retry heals a bell that was lost.
async fn replay(edge: &EdgeAuth, stored: &Stored, submission: &Submission) -> Result<Answer, ApiError> {
    let Stored::Job(job) = stored else {
        return Err(ApiError::try_again());
    };
    let payload =
        edge.table.payload(job.user_id, job.request_id, job.fingerprint).await.map_err(ApiError::unavailable)?;
    // A payload that was erased can be compared with nothing; what is left of its job is told.
    if payload.as_ref().is_some_and(|payload| submission.fingerprint(&payload.digest_key) != job.fingerprint) {
        return Err(ApiError::new(Code::KeyReused));
    }
    let now = edge.world.now();
    if job.claimable(now) {
        ring(edge, job).await;
    }
    let result = edge.table.result_of(job).await.map_err(ApiError::unavailable)?;
    let calls = payload.as_ref().map_or(&[][..], |payload| &payload.calls);
    let view = JobView::new(job, result, now).asking(ApprovalView::of(job, calls, edge.policy.catalogue()));
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

fn check_not_after(submission: &Submission, tool: &Tool, now: Timestamp) -> Result<Timestamp, ApiError> {
    match submission.not_after() {
        None => Ok(now.plus(tool.entry.start_within())),
        Some(at) if at > now && at <= now.plus(NOT_AFTER_AT_MOST) => Ok(at),
        Some(_) => Err(ApiError::new(Code::NotAfterInvalid).with("server_time", now.to_string())),
    }
}

/// What is recorded.
struct New<'a> {
    session: &'a Session,
    id: RequestId,
    submission: Submission,
    passed: Passed<'a>,
    not_after: Timestamp,
    trace: Option<&'a TraceParent>,
}

async fn record(edge: &EdgeAuth, new: New<'_>) -> Result<Answer, ApiError> {
    let now = edge.world.now();
    let New { session, id, submission, passed, not_after, trace } = new;
    let (user, table) = (session.user_id, &edge.table);
    let digest_key = DigestKey::from_random(edge.world.bytes());
    let fingerprint = submission.fingerprint(&digest_key);
    let mut step = Step::new(passed.call.tool.clone(), passed.tool.entry.effect);
    let bound =
        Bound { user_id: user, request_id: id, step: 0, round: 0, tool: &step.tool, arguments: &passed.call.arguments };
    step.approval = question(&passed, approval::digest(&digest_key, &bound), now, not_after);
    let start = match &step.approval {
        Some(asked) => Start::AwaitingApproval { expires_at: asked.expires_at },
        None => explained_or_queued(&passed),
    };
    let records = records(edge, id, &passed, step.approval.as_ref(), fingerprint, now);
    let payload = Payload { digest_key, calls: submission.calls().to_vec() };
    // Neither exists until the job names it, so they may go in any order.
    let audit = put_records(edge, user, fingerprint, (&payload, &records), now).await.map_err(ApiError::unavailable)?;
    let trace = trace.map(ToString::to_string);
    let steps = vec![step];
    let mut job = Job::accepted(
        NewJob { user_id: user, request_id: id, steps, fingerprint, audit, not_after, trace, start },
        now,
    );
    if let Gate::Explain(why) = passed.gated.gate {
        let told = explanation(passed.tool, &passed.call.arguments, passed.gated.decided.decision, why);
        let kept = table.keep_result(&job, &payload.digest_key, &told, now).await;
        job.result = Some(kept.map_err(ApiError::unavailable)?.0);
    }
    match table.create_job(&job, &edge.world.nonce()).await.map_err(ApiError::unavailable)? {
        Created::Exists(stored) => replay(edge, &stored, &submission).await,
        Created::New => {
            edge.world.count(Metric::JobsAccepted);
            begin(edge, &job, now).await;
            let result = table.result_of(&job).await.map_err(ApiError::unavailable)?;
            let approval = ApprovalView::of(&job, &payload.calls, edge.policy.catalogue());
            let view = JobView::new(&job, result, now).asking(approval);
            Ok(point_to(answers::accepted(&view), &job, &view))
        }
    }
}

/// Invariant 8, *bound approvals*: what somebody has to say yes to, if anybody has to.
fn question(passed: &Passed<'_>, digest: Digest, now: Timestamp, not_after: Timestamp) -> Option<Approval> {
    match passed.gated.gate {
        Gate::Ask(approver) => {
            let expires_at = now.plus(passed.tool.entry.approval_within()).min(not_after);
            Some(Approval::asked(approver, digest, now, expires_at))
        }
        Gate::Run | Gate::Explain(_) | Gate::Refuse(_) => None,
    }
}

/// The explanation itself comes once its place is known.
fn explained_or_queued(passed: &Passed<'_>) -> Start {
    match passed.gated.gate {
        Gate::Explain(why) => Start::Explained { result: ResultRef::Omitted, code: why.code().to_owned() },
        Gate::Run | Gate::Ask(_) | Gate::Refuse(_) => Start::Queued,
    }
}

/// What is recorded about a new job, in order.
fn records(
    edge: &EdgeAuth,
    id: RequestId,
    passed: &Passed<'_>,
    asked: Option<&Approval>,
    submission_digest: Digest,
    now: Timestamp,
) -> Vec<AuditRecord> {
    let Gated { gate, decided } = &passed.gated;
    let decision = if matches!(gate, Gate::Explain(_)) { "explain" } else { decided.decision.name() };
    let accepted =
        AuditEvent::Accepted { decision: decision.to_owned(), policies: decided.policies.clone(), submission_digest };
    let asked = asked.map(|asked| AuditEvent::ApprovalAsked {
        approver: asked.approver,
        digest: asked.digest,
        expires_at: asked.expires_at.to_string(),
    });
    let explained = match gate {
        Gate::Explain(why) => Some(AuditEvent::Explained { code: why.code().to_owned() }),
        Gate::Run | Gate::Ask(_) | Gate::Refuse(_) => None,
    };
    let context = AuditContext {
        request_id: id,
        at: now,
        actor: Actor::User,
        step: 0,
        tool: &passed.tool.entry.name,
        policy_version: edge.policy.version(),
    };
    let mut head = AuditHead::EMPTY;
    let events = [Some(accepted), asked, explained].into_iter().flatten();
    events
        .map(|event| {
            let record = AuditRecord::after(head, context, event);
            head = record.head();
            record
        })
        .collect()
}

/// Puts the payload with the first record, and the others beside it. Nothing is accepted unrecorded.
async fn put_records(
    edge: &EdgeAuth,
    user: UserId,
    fingerprint: Digest,
    (payload, records): (&Payload, &[AuditRecord]),
    now: Timestamp,
) -> Result<AuditHead, TableError> {
    let mut head = AuditHead::EMPTY;
    for (place, record) in records.iter().enumerate() {
        let put = match place {
            0 => edge.table.put_payload(user, fingerprint, payload, record, now).await,
            _ => edge.table.put_audit(user, record, now).await,
        };
        head = put.inspect_err(|_| edge.world.count(Metric::AuditWriteFailures))?;
    }
    Ok(head)
}

/// Rings for a job that was just recorded: at once, or when its question expires. One that is over needs no bell.
async fn begin(edge: &EdgeAuth, job: &Job, now: Timestamp) {
    if job.state.is_over() {
        metrics::finished_at_once(&edge.world, job);
    } else {
        let after = job.lapses_at().map_or(Duration::ZERO, |at| at.since(now));
        ring_after(edge, job, after).await;
    }
}

/// Rings; a bell that cannot be rung now is rung by the sweeper.
pub(crate) async fn ring(edge: &EdgeAuth, job: &Job) {
    ring_after(edge, job, Duration::ZERO).await;
}

async fn ring_after(edge: &EdgeAuth, job: &Job, after: Duration) {
    let trace = job.trace.as_deref().and_then(TraceParent::parse);
    let bell = Bell::new(job.user_id, job.request_id, trace.as_ref());
    if let Err(error) = edge.queue.ring(&bell, after).await {
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
        answers::set(&mut answer, header::RETRY_AFTER, &wait.div_ceil(1000).to_string());
        answers::set(&mut answer, header::HeaderName::from_static("next-poll-ms"), &wait.to_string());
    }
    answer
}
