//! The conversation queue: the jobs of a conversation run in the order in which they were accepted, each once all
//! before it are over. Lock-free: every reader prunes finished jobs.

use std::time::Duration;

use domain::{
    conversation::{Conversation, ConversationName, NotQueued},
    ids::{RequestId, UserId},
    job::Job,
    limits::admission,
};
use store::{EndOf, QueueJoin, Stored, TableError};

use crate::Worker;

/// How long a queued job waits at most before it checks again, in case its wake-up message is lost.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// The position of a job in its conversation queue.
#[derive(Debug)]
pub(crate) enum QueuePosition {
    /// No open job is before it: it may run.
    First,
    /// At least one open job is before it.
    Behind,
    /// It may not join the queue, so its step is refused with this code.
    Never(&'static str),
}

impl Worker {
    /// The position of the job, which is enqueued if it is not in the queue yet.
    pub(crate) async fn queue_position(&self, job: &Job) -> Result<QueuePosition, TableError> {
        let Some((name, agent)) = job.conversation() else { return Ok(QueuePosition::First) };
        let (user, id, now) = (job.user_id, job.request_id, self.runtime.now());
        let mut place = self.table.enqueue(user, (name, agent), id, now, false).await?;
        // A failed deletion does not block the conversation: take it back and enqueue again.
        if place == QueueJoin::Not(NotQueued::Ending)
            && let EndOf::IsOff(_) = self.table.take_back_end(user, name, now).await?
        {
            place = self.table.enqueue(user, (name, agent), id, now, false).await?;
        }
        let conversation = match place {
            QueueJoin::Joined(conversation) => conversation,
            QueueJoin::Not(NotQueued::Full) => return Ok(QueuePosition::Behind),
            QueueJoin::Not(NotQueued::OtherAgent) => {
                return Ok(QueuePosition::Never("conversation_other_agent"));
            }
            QueueJoin::Not(NotQueued::Ending) => {
                return Ok(QueuePosition::Never("conversation_ending"));
            }
        };
        self.first_of(user, name, &conversation, id).await
    }

    /// The position of a job that is known to be in the queue.
    pub(crate) async fn first_of(
        &self,
        user: UserId,
        name: &ConversationName,
        conversation: &Conversation,
        id: RequestId,
    ) -> Result<QueuePosition, TableError> {
        let mut over = Vec::new();
        let mut first = true;
        for other in conversation.before(id) {
            if self.is_open(user, *other).await? {
                first = false;
                break;
            }
            over.push(*other);
        }
        if !over.is_empty() {
            self.table.leave_queue(user, name, &over).await?;
        }
        Ok(if first { QueuePosition::First } else { QueuePosition::Behind })
    }

    async fn is_open(&self, user: UserId, id: RequestId) -> Result<bool, TableError> {
        Ok(match self.table.job(user, id).await? {
            Some(Stored::Job(job)) => !job.state.is_over(),
            Some(Stored::Newer) => true,
            // It keeps its place for some time: the request may still be recording its job.
            None => admission::may_still_be_recorded(id, self.runtime.now()),
        })
    }
}
