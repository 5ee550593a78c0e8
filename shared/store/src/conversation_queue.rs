//! Conversation queues: jobs join and leave them, and the next one is woken.

use super::{Commit, Stored, Table, TableError, conversations::TRIES};
use domain::{
    conversation::{Conversation, ConversationName, NotQueued, QUEUED_AT_MOST},
    ids::{RequestId, Timestamp, UserId},
    job::{Job, JobEvent, JobState},
};
use platform::runtime::Runtime;

/// What waking the first job of a queue found.
enum Next {
    /// The job is over.
    Over,
    /// The job is due now.
    Awake(Box<Job>),
    /// The job needs no wake-up message, or cannot be woken now.
    Busy,
}

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

    /// Removes a finished job from its queue, and other finished jobs from the front of it. Returns the job that is
    /// first then, made due if it was asleep; the caller sends its wake-up message.
    pub async fn wake_next(&self, runtime: &Runtime, over: &Job) -> Result<Option<Job>, TableError> {
        let Some((name, _)) = over.conversation() else { return Ok(None) };
        let (user, mut left) = (over.user_id, over.request_id);
        for _ in 0..=QUEUED_AT_MOST {
            let Some(queue) = self.leave_queue(user, name, &[left]).await? else { return Ok(None) };
            let Some(next) = queue.queue.first().copied() else { return Ok(None) };
            match self.wake(runtime, user, next).await? {
                Next::Over => left = next,
                Next::Awake(job) => return Ok(Some(*job)),
                Next::Busy => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Makes a sleeping job due now.
    async fn wake(&self, runtime: &Runtime, user: UserId, id: RequestId) -> Result<Next, TableError> {
        for _ in 0..TRIES {
            let Some(Stored::Job(job)) = self.job(user, id).await? else { return Ok(Next::Busy) };
            match job.state {
                JobState::Queued => return Ok(Next::Awake(job)),
                JobState::Retrying => {
                    let Ok(woken) = job.apply(JobEvent::Woken, runtime.now()) else { return Ok(Next::Busy) };
                    match self.commit(&job, &woken, &runtime.nonce()).await? {
                        Commit::Done => return Ok(Next::Awake(Box::new(woken))),
                        Commit::Lost(_) => {}
                    }
                }
                // These states are left without a wake-up from the queue: by their worker, a poll of the call, or a
                // decision.
                JobState::Running | JobState::Waiting | JobState::AwaitingApproval => return Ok(Next::Busy),
                JobState::Succeeded
                | JobState::Failed
                | JobState::Refused
                | JobState::Explained
                | JobState::Cancelled
                | JobState::Expired
                | JobState::Unknown => return Ok(Next::Over),
            }
        }
        Ok(Next::Busy)
    }
}
