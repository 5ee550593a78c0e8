//! How many conversations a user may have. A submission is asked about it once it is charged, and only if it would begin one.

use domain::{
    conversation::ConversationName,
    ids::{Timestamp, UserId},
    limits::admission::RECORDED_WITHIN,
};
use platform::http::{ApiError, Code};
use store::{Counted, CountedNames, TableError};

use crate::EdgeAuth;

/// Counts a conversation that a job begins, if there are fewer than may be.
pub(crate) async fn count(edge: &EdgeAuth, user: UserId, name: &ConversationName) -> Result<(), ApiError> {
    match has_room(edge, user, name, edge.world.now()).await.map_err(ApiError::unavailable)? {
        true => Ok(()),
        false => Err(ApiError::new(Code::ConversationsFull)),
    }
}

async fn has_room(edge: &EdgeAuth, user: UserId, name: &ConversationName, now: Timestamp) -> Result<bool, TableError> {
    let at_most = edge.config.limits.conversations;
    match edge.table.count_conversation(user, name, at_most, now).await? {
        Counted::Yes => Ok(true),
        Counted::Full(seen) if !heal(edge, user, &seen, now).await? => Ok(false),
        Counted::Full(_) => Ok(edge.table.count_conversation(user, name, at_most, now).await? == Counted::Yes),
    }
}

/// Counts those no longer that were never begun. One that is not there may be on its way: they stay until the last one was
/// added so long ago that nothing can be. As looking is dear, one looks of those that come at once, and nobody twice within
/// that time.
async fn heal(edge: &EdgeAuth, user: UserId, seen: &CountedNames, now: Timestamp) -> Result<bool, TableError> {
    let look = edge.world.nonce();
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
