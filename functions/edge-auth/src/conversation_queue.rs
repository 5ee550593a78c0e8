//! The line of a conversation: whether a job may stand in it, and who is next when one leaves.

use std::time::Duration;

use domain::{
    conversation::{Conversation, ConversationName, NotQueued},
    ids::{RequestId, Timestamp, UserId},
    job::{Job, submission::Submission},
    limits::admission,
};
use platform::http::{ApiError, Code};
use store::{EndOf, Stored};

use crate::{EdgeAuth, gate, store_job::wake};

/// When somebody who found the line full may look again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Whether a new job may stand in the line of its conversation. Nothing is recorded of one that may not. Returns the
/// conversation that it would begin.
pub(crate) async fn check<'a>(
    edge: &EdgeAuth,
    user: UserId,
    id: RequestId,
    submission: &'a Submission,
    now: Timestamp,
) -> Result<Option<&'a ConversationName>, ApiError> {
    let Some((name, agent)) = submission.conversation() else { return Ok(None) };
    // Invariant 10, *own data only*: another user's conversation of this name is another one.
    let mut known = edge.table.conversation(user, name).await.map_err(ApiError::unavailable)?;
    let ending = known.as_ref().is_some_and(|known| known.joined(agent, id, now) == Err(NotQueued::Ending));
    if ending
        && let EndOf::IsOff(now_known) =
            edge.table.take_back_end(user, name, now).await.map_err(ApiError::unavailable)?
    {
        known = now_known;
    }
    let Some(known) = known else { return Ok(Some(name)) };
    match known.joined(agent, id, now) {
        Ok(_) => Ok(None),
        Err(NotQueued::OtherAgent) => Err(ApiError::new(Code::ConversationOtherAgent)),
        Err(NotQueued::Ending) => Err(ApiError::new(Code::ConversationEnding)),
        Err(NotQueued::Full) => {
            // Looking through the line is dear, so it is charged by itself.
            gate::charge(edge, user).await?;
            if prune_stale(edge, user, name, &known).await? == 0 {
                return Err(ApiError::new(Code::ConversationFull).retry_after(LOOK_AGAIN));
            }
            Ok(None)
        }
    }
}

/// Takes out of a line what is over, or was never recorded: its worker died before it could.
async fn prune_stale(
    edge: &EdgeAuth,
    user: UserId,
    name: &ConversationName,
    known: &Conversation,
) -> Result<usize, ApiError> {
    let now = edge.runtime.now();
    let mut over = Vec::new();
    for id in &known.queue {
        match edge.table.job(user, *id).await.map_err(ApiError::unavailable)? {
            Some(Stored::Job(job)) if job.state.is_over() => over.push(*id),
            None if !admission::may_still_be_recorded(*id, now) => over.push(*id),
            Some(Stored::Job(_) | Stored::Newer) | None => {}
        }
    }
    if !over.is_empty() {
        edge.table.leave_queue(user, name, &over).await.map_err(ApiError::unavailable)?;
    }
    Ok(over.len())
}

/// What follows when a job that stood in line is over without a worker: the next one is rung for. If that fails, the next one
/// finds out by itself, a little later.
pub(crate) async fn leave(edge: &EdgeAuth, job: &Job) {
    if !job.state.is_over() {
        return;
    }
    match edge.table.wake_next(&edge.runtime, job).await {
        Ok(None) => {}
        Ok(Some(next)) => wake(edge, &next).await,
        Err(error) => tracing::warn!(
            function = "edge-auth", code = "not_handed_on", request_id = %job.request_id, error = %error,
            "the job is over, and still in line"
        ),
    }
}
