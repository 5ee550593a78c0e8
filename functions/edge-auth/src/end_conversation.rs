//! `DELETE /v1/conversations/{conversation}`: what its agent remembers is deleted, by a job that stands in line behind the
//! turns that were accepted before it. From here on nobody joins the line any more.

use domain::{
    access::session::Session,
    conversation::{Conversation, ConversationName},
    ids::RequestId,
    job::{Job, JobState, submission::Submission},
    limits::admission::{JobKind, RECORDED_WITHIN},
    view::JobView,
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
    admit::{Charged, admit},
    gate::{self, Passed},
    store_job::{New, Recorded, record},
    submit::point_to,
};

pub(crate) async fn end_conversation(
    edge: &EdgeAuth,
    request: &Request,
    name: Option<ConversationName>,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let session = edge.session(request, log).await?;
    session::alive(&session, &edge.table).await?;
    let not_found = || ApiError::new(Code::NotFound);
    let name = name.ok_or_else(not_found)?;
    // Invariant 10, *own data only*: somebody else's conversation is none.
    let known = edge.table.conversation(session.user_id, &name).await.map_err(ApiError::unavailable)?;
    let known = known.ok_or_else(not_found)?;
    let instead_of = match already(edge, &session, &name, &known).await? {
        Already::Ends(job) => {
            log.request_id = Some(job.request_id);
            return answer(edge, &job).await;
        }
        Already::Failed(id) => Some(id),
        Already::Not => None,
    };
    gate::open(edge, session.user_id).await?;
    let now = edge.runtime.now();
    let fresh = RequestId::made(now, edge.runtime.bytes());
    admit(edge, &session, (fresh, JobKind::Quick), Charged::With).await?;
    let ending = edge.table.end_conversation(session.user_id, &name, (fresh, instead_of), now).await;
    // Of two that delete at once, both record the job of the one that was quicker.
    let id = ending.map_err(ApiError::unavailable)?.ok_or_else(not_found)?;
    log.request_id = Some(id);
    let submission = Submission::end_of(name, known.agent);
    let passed: Vec<Passed<'_>> = Passed::end(&submission).into_iter().collect();
    let not_after = passed.iter().map(Passed::start_within).fold(now, domain::ids::Timestamp::plus);
    let trace = log.trace.as_ref();
    let new = New { user_id: session.user_id, id, submission: &submission, passed, not_after, trace, counted: false };
    match record(edge, &new).await? {
        Recorded::New(job, _) => answer(edge, &job).await,
        Recorded::Exists(Stored::Job(job)) => answer(edge, &job).await,
        Recorded::Exists(Stored::Newer) => Err(ApiError::try_again()),
    }
}

/// What was done about a conversation's end before.
enum Already {
    /// This job ends it, or has.
    Ends(Box<Job>),
    /// This one was to, and is over without, or nobody will record it.
    Failed(RequestId),
    /// Nothing, or nobody has recorded it yet.
    Not,
}

async fn already(
    edge: &EdgeAuth,
    session: &Session,
    name: &ConversationName,
    known: &Conversation,
) -> Result<Already, ApiError> {
    let user = session.user_id;
    let Some(id) = known.ended_by else { return Ok(Already::Not) };
    let job = match edge.table.job(user, id).await.map_err(ApiError::unavailable)? {
        // Whoever noted it may be about to record it, or has died: whoever asks again meanwhile does it under the same id. Not
        // later: nobody may record it after it was taken back.
        None if edge.runtime.now().since(id.time()) < RECORDED_WITHIN / 2 => return Ok(Already::Not),
        None => return Ok(Already::Failed(id)),
        Some(Stored::Newer) => return Err(ApiError::try_again()),
        Some(Stored::Job(job)) => job,
    };
    match job.state {
        JobState::Queued | JobState::Running | JobState::Waiting | JobState::Retrying | JobState::AwaitingApproval => {
            Ok(Already::Ends(job))
        }
        JobState::Succeeded => {
            // It was deleted at the gateway, and a worker died before it could say so.
            let gone = edge.table.delete_conversation(user, name, id, edge.runtime.now()).await;
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

async fn answer(edge: &EdgeAuth, job: &Job) -> Result<Response, ApiError> {
    let result = edge.table.result_of(job).await.map_err(ApiError::unavailable)?.shown();
    let view = JobView::new(job, result, edge.runtime.now());
    let answer = if job.state.is_over() { answers::ok(&view) } else { answers::accepted(&view) };
    Ok(point_to(answer, job, &view))
}
