//! `DELETE /v1/conversations/{conversation}`: records a job that deletes the agent's session at the gateway. The job
//! waits in the conversation queue behind the turns that were accepted before it; from now on no other job may join the
//! queue.

use domain::{
    conversation::{Conversation, ConversationName},
    ids::{RequestId, Timestamp, UserId},
    job::{Job, JobState, submission::Submission},
    limits::admission::{JobKind, RECORDED_WITHIN},
};
use lambda_http::Request;
use platform::{
    http::{self as answers, ApiError, Code, Response},
    telemetry::RequestLog,
};
use service::session;
use store::Stored;

use crate::{
    EdgeAuth,
    admit::{self, Charged, InFlight},
    decide::Passed,
    poll_headers::point_to,
    record::{self, New, Recorded},
};

pub(crate) async fn end_conversation(
    edge: &EdgeAuth,
    request: &Request,
    name: Option<ConversationName>,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let now = edge.runtime.now();
    let session = edge.session(request, now, log).await?;
    session::alive(&session, &edge.table).await?;
    let not_found = || ApiError::new(Code::NotFound);
    let name = name.ok_or_else(not_found)?;
    // Invariant 10, *own data only*: the key contains the user id, so another user's conversation is a 404.
    let known = edge.table.conversation(session.user_id, &name).await.map_err(ApiError::unavailable)?;
    let known = known.ok_or_else(not_found)?;
    let instead_of = match already(edge, session.user_id, (&name, &known), now).await? {
        Already::Ends(job) => {
            log.request_id = Some(job.request_id);
            return answer(edge, &job, now).await;
        }
        Already::Failed(id) => Some(id),
        Already::Not => None,
    };
    admit::open(edge, session.user_id, now).await?;
    let fresh = RequestId::made(now, edge.runtime.bytes());
    let place = InFlight { id: fresh, kind: JobKind::Quick };
    admit::take_place(edge, &session, place, Charged::With, now).await?;
    let ending = edge.table.end_conversation(session.user_id, &name, (fresh, instead_of), now).await;
    // Of two concurrent deletions, the first conditional write decides the request id, and both record the job of that
    // id.
    let id = ending.map_err(ApiError::unavailable)?.ok_or_else(not_found)?;
    log.request_id = Some(id);
    let submission = Submission::end_of(name, known.agent);
    let passed: Vec<Passed<'_>> = Passed::end(&submission).into_iter().collect();
    let not_after = passed.iter().map(Passed::start_within).fold(now, Timestamp::plus);
    let trace = log.trace.as_ref();
    let new =
        New { user_id: session.user_id, id, submission: &submission, passed, not_after, trace, counted: false, now };
    match record::record(edge, &new).await? {
        Recorded::New(job, _) => {
            record::wake(edge, &job, now).await;
            answer(edge, &job, now).await
        }
        Recorded::Exists(Stored::Job(job)) => answer(edge, &job, now).await,
        Recorded::Exists(Stored::Newer) => Err(ApiError::try_again()),
    }
}

/// State of earlier deletions of this conversation.
enum Already {
    /// This job deletes it, or has deleted it.
    Ends(Box<Job>),
    /// The job of this id ended without deleting the conversation, or was not recorded in time.
    Failed(RequestId),
    /// There was no deletion, or its job may still be recorded.
    Not,
}

async fn already(
    edge: &EdgeAuth,
    user: UserId,
    (name, known): (&ConversationName, &Conversation),
    now: Timestamp,
) -> Result<Already, ApiError> {
    let Some(id) = known.ended_by else { return Ok(Already::Not) };
    let job = match edge.table.job(user, id).await.map_err(ApiError::unavailable)? {
        // The request that noted this id may still be recording the job, or may have died. Until half of
        // `RECORDED_WITHIN`, a repeated request records the job under the same id. Later it takes a new id: a late
        // request could otherwise record a job whose deletion was taken back.
        None if now.since(id.time()) < RECORDED_WITHIN / 2 => return Ok(Already::Not),
        None => return Ok(Already::Failed(id)),
        Some(Stored::Newer) => return Err(ApiError::try_again()),
        Some(Stored::Job(job)) => job,
    };
    match job.state {
        JobState::Queued | JobState::Running | JobState::Waiting | JobState::Retrying | JobState::AwaitingApproval => {
            Ok(Already::Ends(job))
        }
        JobState::Succeeded => {
            // The gateway has deleted the session, and the worker died before it deleted the conversation's item.
            let gone = edge.table.delete_conversation(user, name, id, now).await;
            gone.map_err(ApiError::unavailable)?;
            Ok(Already::Ends(job))
        }
        JobState::Failed
        | JobState::Refused
        | JobState::Explained
        | JobState::Cancelled
        | JobState::Expired
        | JobState::Unknown => Ok(Already::Failed(id)),
    }
}

async fn answer(edge: &EdgeAuth, job: &Job, now: Timestamp) -> Result<Response, ApiError> {
    let view = edge.render(job, now).await?;
    let answer = if job.state.is_over() { answers::ok(&view) } else { answers::accepted(&view) };
    Ok(point_to(answer, job, &view))
}
