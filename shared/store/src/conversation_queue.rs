//! Who stands in the line of a conversation, and who is next when somebody leaves it.

use super::{Commit, Stored, Table, TableError, conversations::TRIES};
use domain::{
    conversation::{Conversation, ConversationName, NotQueued, QUEUED_AT_MOST},
    ids::{RequestId, Timestamp, UserId},
    job::{Job, JobEvent, JobState},
};
use platform::runtime::Runtime;

/// What the job at the front of a line does.
enum Next {
    /// Nothing any more.
    Over,
    /// It may run now.
    Awake(Box<Job>),
    /// Something already, or nobody knows.
    Busy,
}

/// What became of standing in line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueJoin {
    /// The job is in it.
    Joined(Conversation),
    /// It cannot be.
    Not(NotQueued),
}

impl Table {
    /// Puts a job at the end of the line, if it is not in it; the first one begins the conversation, which counts from then
    /// on, unless it is `counted` already.
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
                // Its writes go on being counted, so that nobody mistakes the new one for the old one.
                Some(gone) => Conversation { rev: gone.rev, ..Conversation::begun(agent, now) },
                None => Conversation::begun(agent, now),
            };
            let after = match base.joined(agent, id, now) {
                Ok(after) => after,
                Err(not) => return Ok(QueueJoin::Not(not)),
            };
            // First: whoever dies in between leaves a name with nothing under it, which is found.
            if !counted && before.as_ref().is_none_or(|before| before.gone) {
                self.count_begun(user, name, now).await?;
            }
            if before.as_ref() == Some(&after) || self.put_conversation(user, name, before.as_ref(), &after).await? {
                return Ok(QueueJoin::Joined(after));
            }
        }
        Err(TableError::Contended("conversation"))
    }

    /// Takes jobs that are over out of the line.
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

    /// Takes a job that is over out of its line, and whatever is over as well from the front of it. Returns the job whose
    /// turn it is then, woken if it slept: whoever calls this rings for it.
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

    /// Has a job that sleeps in line look again now.
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
                // It looks by itself.
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
