//! Conversation queues: jobs join and leave them.

use super::{Table, TableError, conversations::TRIES};
use domain::{
    conversation::{Conversation, ConversationName, NotQueued},
    ids::{RequestId, Timestamp, UserId},
};

/// Outcome of joining a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueJoin {
    /// The job is in the queue of this conversation.
    Joined(Conversation),
    /// The conversation does not accept the job, for this reason.
    Not(NotQueued),
}

impl Table {
    /// Appends a job to the queue unless it is in it. The first job starts the conversation, which counts towards the
    /// user's limit from then on; `counted` says that it counts already.
    pub async fn enqueue(
        &self,
        user: UserId,
        (name, agent): (&ConversationName, &str),
        id: RequestId,
        now: Timestamp,
        counted: bool,
    ) -> Result<QueueJoin, TableError> {
        for _ in 0..TRIES {
            let before = self.kept_conversation(user, name).await?;
            let base = match &before {
                Some(kept) if !kept.gone => kept.clone(),
                // The revision continues: a new conversation that started at 0 could satisfy the condition of a late
                // write to the old one.
                Some(gone) => Conversation { rev: gone.rev, ..Conversation::begun(agent, now) },
                None => Conversation::begun(agent, now),
            };
            let after = match base.joined(agent, id, now) {
                Ok(after) => after,
                Err(not) => return Ok(QueueJoin::Not(not)),
            };
            // Counted before it is stored: a crash in between leaves a counted name without a conversation, which the
            // cleanup of names finds. The other order would leave a conversation that never counts.
            if !counted && before.as_ref().is_none_or(|before| before.gone) {
                self.count_begun(user, name, now).await?;
            }
            if before.as_ref() == Some(&after) || self.put_conversation(user, name, before.as_ref(), &after).await? {
                return Ok(QueueJoin::Joined(after));
            }
        }
        Err(TableError::Contended("conversation"))
    }

    /// Removes finished jobs from the queue.
    pub async fn leave_queue(
        &self,
        user: UserId,
        name: &ConversationName,
        over: &[RequestId],
    ) -> Result<Option<Conversation>, TableError> {
        for _ in 0..TRIES {
            let Some(before) = self.conversation(user, name).await? else { return Ok(None) };
            if !over.iter().any(|id| before.queue.contains(id) || before.ended_by == Some(*id)) {
                return Ok(Some(before));
            }
            let after = before.left(over);
            if self.put_conversation(user, name, Some(&before), &after).await? {
                return Ok(Some(after));
            }
        }
        Err(TableError::Contended("conversation"))
    }
}
