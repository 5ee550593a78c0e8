//! The conversation queue at submission: whether a job may join it.

use std::time::Duration;

use domain::{
    conversation::{Conversation, ConversationName, NotQueued},
    ids::{RequestId, Timestamp, UserId},
    job::submission::Submission,
    limits::admission,
};
use platform::http::{ApiError, Code};
use store::{EndOf, Stored};

use crate::{EdgeAuth, charge};

/// `Retry-After` when the conversation queue is full.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Refuses a new job that may not join the queue of its conversation, before anything of it is recorded. Returns the
/// name of the conversation if this job would begin it.
pub(crate) async fn check<'a>(
    edge: &EdgeAuth,
    user: UserId,
    id: RequestId,
    submission: &'a Submission,
    now: Timestamp,
) -> Result<Option<&'a ConversationName>, ApiError> {
    let Some((name, agent)) = submission.conversation() else { return Ok(None) };
    // Invariant 10, *own data only*: the key contains the user id, so another user's conversation of the same name is
    // not found.
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
            // Pruning reads every queued job, so it is charged separately.
            charge::charge(edge, user, now).await?;
            if prune_stale(edge, user, (name, &known), now).await? == 0 {
                return Err(ApiError::new(Code::ConversationFull).retry_after(LOOK_AGAIN));
            }
            Ok(None)
        }
    }
}

/// Removes from the queue the jobs that are over, and ids whose job was never recorded because the request failed
/// first.
async fn prune_stale(
    edge: &EdgeAuth,
    user: UserId,
    (name, known): (&ConversationName, &Conversation),
    now: Timestamp,
) -> Result<usize, ApiError> {
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
