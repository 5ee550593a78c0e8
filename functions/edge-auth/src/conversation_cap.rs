//! How many conversations a user may have. A submission is asked about it once it is charged, and only if it would begin one.

use domain::{
    conversation::ConversationName,
    ids::{Timestamp, UserId},
    limits::admission::RECORDED_WITHIN,
};
use platform::http::{ApiError, Code};
use store::{Counted, CountedNames, TableError};

use crate::EdgeAuth;

/// The right to begin a conversation, which counts.
#[must_use = "what comes to nothing is given back"]
pub(crate) struct MayBegin {
    /// Names the count, unless the conversation had been counted before.
    nonce: Option<String>,
}

/// Counts a conversation that a job begins, if there are fewer than may be.
pub(crate) async fn count(edge: &EdgeAuth, user: UserId, name: &ConversationName) -> Result<MayBegin, ApiError> {
    let (now, nonce) = (edge.runtime.now(), edge.runtime.nonce());
    match has_room(edge, user, name, (now, &nonce)).await.map_err(ApiError::unavailable)? {
        Counted::Added => Ok(MayBegin { nonce: Some(nonce) }),
        Counted::Before => Ok(MayBegin { nonce: None }),
        Counted::Full(_) => Err(ApiError::new(Code::ConversationsFull)),
    }
}

/// Takes the count back of a conversation that does not begin, since its job was refused. If that fails, or another request has
/// counted one meanwhile, the name is found later.
pub(crate) async fn give_back(edge: &EdgeAuth, user: UserId, name: &ConversationName, counted: MayBegin) {
    let Some(nonce) = counted.nonce else { return };
    if let Err(error) = edge.table.give_back_conversation(user, name, &nonce).await {
        tracing::warn!(
            function = "edge-auth", code = "not_given_back", user_id = %user, error = %error,
            "a conversation counts that does not begin"
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

/// Counts those no longer that were never begun. One that is not there may be on its way: they stay until the last one was
/// added so long ago that nothing can be. As looking is dear, one looks of those that come at once, and nobody twice within
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
