//! Limits how many conversations a user may have. Runs only for a submission that would begin a conversation, after it
//! was charged.

use domain::{
    conversation::ConversationName,
    ids::{Timestamp, UserId},
    limits::admission::RECORDED_WITHIN,
};
use platform::http::{ApiError, Code};
use store::{Counted, CountedNames, TableError};

use crate::EdgeAuth;

/// A new conversation that is counted against the user's limit.
#[must_use = "the count is given back when the job is refused"]
pub(crate) struct MayBegin {
    /// Identifies this count, so that it can be given back. `None`: the conversation had been counted before.
    nonce: Option<String>,
}

/// Counts the conversation that a job begins. Errors with `conversations_full` when the user is at the limit.
pub(crate) async fn count(
    edge: &EdgeAuth,
    user: UserId,
    name: &ConversationName,
    now: Timestamp,
) -> Result<MayBegin, ApiError> {
    let nonce = edge.runtime.nonce();
    match has_room(edge, user, name, (now, &nonce)).await.map_err(ApiError::unavailable)? {
        Counted::Added => Ok(MayBegin { nonce: Some(nonce) }),
        Counted::Before => Ok(MayBegin { nonce: None }),
        Counted::Full(_) => Err(ApiError::new(Code::ConversationsFull)),
    }
}

/// Gives the count back when the job was refused, so that the conversation does not begin. If the write fails, or
/// another request has changed the counter meanwhile, [`prune_stale`] removes the name later.
pub(crate) async fn give_back(edge: &EdgeAuth, user: UserId, name: &ConversationName, counted: MayBegin) {
    let Some(nonce) = counted.nonce else { return };
    if let Err(error) = edge.table.give_back_conversation(user, name, &nonce).await {
        tracing::warn!(
            function = "edge-auth", code = "not_given_back", user_id = %user, error = %error,
            "a conversation that did not begin is still counted, until its name is pruned"
        );
    }
}

async fn has_room(
    edge: &EdgeAuth,
    user: UserId,
    name: &ConversationName,
    (now, nonce): (Timestamp, &str),
) -> Result<Counted, TableError> {
    let at_most = edge.config.limits.conversations;
    match edge.table.count_conversation(user, name, at_most, (now, nonce)).await? {
        Counted::Full(seen) if prune_stale(edge, user, &seen, now).await? => {
            edge.table.count_conversation(user, name, at_most, (now, nonce)).await
        }
        counted => Ok(counted),
    }
}

/// Removes counted names whose conversation was never begun. A name without a conversation may belong to a request that
/// is still recording its job, so nothing is removed until `RECORDED_WITHIN` after the last name was added. The pruning
/// reads every counted conversation: `take_look` gives its lease to one of several concurrent requests, and once in
/// that time.
async fn prune_stale(edge: &EdgeAuth, user: UserId, seen: &CountedNames, now: Timestamp) -> Result<bool, TableError> {
    let look = edge.runtime.nonce();
    if now.since(seen.at) < RECORDED_WITHIN || !edge.table.take_look(user, seen, now, &look).await? {
        return Ok(false);
    }
    let mut absent = Vec::new();
    for name in &seen.names {
        if edge.table.conversation(user, name).await?.is_none() {
            absent.push(name);
        }
    }
    edge.table.uncount_absent(user, &absent, &look).await
}
