//! Conversations: their agent, their queue, and their deletion.
//!
//! A change reads the item, computes the next version ([`Conversation`], pure) and puts it on condition that the item
//! has not changed. A lost entry of the queue is not fatal: a worker whose job is not in its queue adds it.

use super::{Condition, Item, Stored, Table, TableError, Written, at_most, keys, number, text, text_of};
use domain::{
    conversation::{Conversation, ConversationName, KnownConversation},
    ids::{RequestId, Timestamp, UserId},
    job::JobState,
    limits::admission,
};

/// Attempts to change a conversation; the caller reports a contended item afterwards.
pub(super) const TRIES: usize = 6;
const MALFORMED: TableError = TableError::Malformed("conversation");

/// State of a conversation's deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndOf {
    /// Its job is open, or cannot be judged.
    Stands,
    /// No job deletes the conversation. The conversation, if it exists.
    IsOff(Option<Conversation>),
}

impl Table {
    /// Reads a conversation of this user, strongly consistent.
    pub async fn conversation(
        &self,
        user: UserId,
        name: &ConversationName,
    ) -> Result<Option<Conversation>, TableError> {
        Ok(self.kept_conversation(user, name).await?.filter(|conversation| !conversation.gone))
    }

    /// The same, including the remainder of a deleted one.
    pub(super) async fn kept_conversation(
        &self,
        user: UserId,
        name: &ConversationName,
    ) -> Result<Option<Conversation>, TableError> {
        let item = self.get(keys::user(user), keys::conversation(name)).await?;
        item.map(|item| serde_dynamo::from_item(item).map_err(|_| MALFORMED)).transpose()
    }

    /// Stores the job that deletes a conversation, and appends it to the queue. Returns the id of the deleting job,
    /// which may be an earlier one, except `instead_of`: a job that ended without deleting it. `None` when there is
    /// no such conversation.
    pub async fn end_conversation(
        &self,
        user: UserId,
        name: &ConversationName,
        (id, instead_of): (RequestId, Option<RequestId>),
        now: Timestamp,
    ) -> Result<Option<RequestId>, TableError> {
        for _ in 0..TRIES {
            let Some(before) = self.conversation(user, name).await? else { return Ok(None) };
            if before.ended_by.is_some() && before.ended_by != instead_of {
                return Ok(before.ended_by);
            }
            let after = before.ending(id, instead_of, now);
            if self.put_conversation(user, name, Some(&before), &after).await? {
                return Ok(Some(id));
            }
        }
        Err(TableError::Contended("conversation"))
    }

    /// Deletes a conversation that this job has deleted at the gateway. One that was started since under the same
    /// name has another `ended_by`, and stays.
    pub async fn delete_conversation(
        &self,
        user: UserId,
        name: &ConversationName,
        ended_by: RequestId,
        now: Timestamp,
    ) -> Result<(), TableError> {
        for _ in 0..TRIES {
            let Some(before) = self.conversation(user, name).await? else { return Ok(()) };
            if before.ended_by != Some(ended_by) {
                return Ok(());
            }
            // Before the deletion: afterwards a new conversation may start under the name, and this would remove its
            // count.
            self.uncount_conversation(user, name).await?;
            if self.put_conversation(user, name, Some(&before), &before.deleted(now)).await? {
                return Ok(());
            }
        }
        Err(TableError::Contended("conversation"))
    }

    /// Withdraws the deletion of a conversation if its job ended without deleting it or was never recorded, which a
    /// crash can leave behind.
    pub async fn take_back_end(
        &self,
        user: UserId,
        name: &ConversationName,
        now: Timestamp,
    ) -> Result<EndOf, TableError> {
        let known = self.conversation(user, name).await?;
        let Some(id) = known.as_ref().and_then(|known| known.ended_by) else { return Ok(EndOf::IsOff(known)) };
        match self.job(user, id).await? {
            Some(Stored::Job(job)) => match job.state {
                JobState::Queued
                | JobState::Running
                | JobState::Waiting
                | JobState::Retrying
                | JobState::AwaitingApproval => Ok(EndOf::Stands),
                // A worker deleted it at the gateway, and crashed or failed before it deleted the item.
                JobState::Succeeded => {
                    self.delete_conversation(user, name, id, now).await?;
                    self.conversation(user, name).await.map(EndOf::IsOff)
                }
                JobState::Failed
                | JobState::Refused
                | JobState::Explained
                | JobState::Cancelled
                | JobState::Expired
                | JobState::Unknown => self.leave_queue(user, name, &[id]).await.map(EndOf::IsOff),
            },
            None if !admission::may_still_be_recorded(id, now) => {
                self.leave_queue(user, name, &[id]).await.map(EndOf::IsOff)
            }
            Some(Stored::Newer) | None => Ok(EndOf::Stands),
        }
    }

    /// One page of a user's conversations, by name, after the given one.
    pub async fn conversations_of(
        &self,
        user: UserId,
        after: Option<&ConversationName>,
        limit: usize,
    ) -> Result<(Vec<KnownConversation>, Option<ConversationName>), TableError> {
        let values = [(":pk", text(keys::user(user))), (":conversations", text(keys::CONVERSATIONS))];
        let query = self.query("pk = :pk AND begins_with(sk, :conversations)", values).limit(at_most(limit));
        let (items, next) = self.page(query, keys::user(user), after.map(keys::conversation)).await?;
        let known = items.into_iter().map(|item| parse(&item).ok_or(MALFORMED));
        let known: Result<Vec<KnownConversation>, TableError> = known.collect();
        let next = next.as_deref().and_then(keys::parse_conversation);
        Ok((known?.into_iter().filter(|known| !known.conversation.gone).collect(), next))
    }

    /// Puts the conversation. Returns false when another write was first.
    pub(super) async fn put_conversation(
        &self,
        user: UserId,
        name: &ConversationName,
        before: Option<&Conversation>,
        after: &Conversation,
    ) -> Result<bool, TableError> {
        let mut item: Item = serde_dynamo::to_item(after).map_err(|_| MALFORMED)?;
        item.insert("pk".to_owned(), text(keys::user(user)));
        item.insert("sk".to_owned(), text(keys::conversation(name)));
        if after.gone {
            item.insert("ttl".to_owned(), number(after.updated_at.seconds_ceil()));
        }
        let condition = match before {
            // Condition: no item exists, so no other request has started the conversation since.
            None => Condition::new("attribute_not_exists(pk)"),
            // Condition: the item has not been written since it was read. When the response to an own write was lost,
            // its repetition fails this condition too; the caller reads again and finds nothing left to change.
            Some(before) => Condition::new("#rev = :rev").name("#rev", "rev").value(":rev", number(before.rev)),
        };
        Ok(matches!(self.put(item, condition).await?, Written::Done))
    }
}

/// The conversation of an item; `None` if it is malformed.
pub(super) fn parse(item: &Item) -> Option<KnownConversation> {
    let name = keys::parse_conversation(text_of(item, "sk")?)?;
    Some(KnownConversation { name, conversation: serde_dynamo::from_item(item.clone()).ok()? })
}
