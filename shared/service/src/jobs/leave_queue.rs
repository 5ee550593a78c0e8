//! The conversation queue when a job ends: it leaves, and the next one is woken.

use std::time::Duration;

use domain::{
    audit::AuditEvent,
    conversation::QUEUED_AT_MOST,
    ids::{Actor, RequestId, UserId},
    job::{Job, JobEvent, JobState},
};
use store::{Commit, Stored, TableError};

use super::Jobs;

/// Attempts to make the first job of a queue due: its worker may write to it at the same time.
const TRIES: usize = 5;

/// What waking the first job of a queue found.
enum Next {
    /// The job is over.
    Over,
    /// The job is due now.
    Awake(Box<Job>),
    /// The job needs no wake-up message, or cannot be woken now.
    Busy,
}

impl Jobs<'_> {
    /// Commits a change with its audit record, as [`commit_audited`](Self::commit_audited) does. A job that ends by it
    /// leaves its conversation queue.
    pub async fn commit_and_leave(
        &self,
        before: &Job,
        after: Job,
        actor: Actor,
        event: AuditEvent,
    ) -> Result<Option<Job>, TableError> {
        let after = self.commit_audited(before, after, actor, event).await?;
        if let Some(after) = &after {
            self.leave_queue(after).await;
        }
        Ok(after)
    }

    /// Removes a job that is over from its conversation queue, and wakes the next one. If that fails, the next job is
    /// delayed until its own next check of the queue.
    pub async fn leave_queue(&self, job: &Job) {
        if !job.state.is_over() {
            return;
        }
        match self.next_of_queue(job).await {
            Ok(None) => {}
            Ok(Some(next)) => self.wake(&next, Duration::ZERO).await,
            Err(error) => tracing::warn!(
                function = self.function, code = "queue_not_left", request_id = %job.request_id, error = %error,
                "the job is over, and still in its conversation queue"
            ),
        }
    }

    /// Removes a finished job from its queue, and other finished jobs at its start. Returns the job that is
    /// first then, made due if it was rescheduled to a later time.
    async fn next_of_queue(&self, over: &Job) -> Result<Option<Job>, TableError> {
        let Some((name, _)) = over.conversation() else { return Ok(None) };
        let (user, mut left) = (over.user_id, over.request_id);
        for _ in 0..=QUEUED_AT_MOST {
            let Some(queue) = self.table.leave_queue(user, name, &[left]).await? else { return Ok(None) };
            let Some(next) = queue.queue.first().copied() else { return Ok(None) };
            match self.make_due(user, next).await? {
                Next::Over => left = next,
                Next::Awake(job) => return Ok(Some(*job)),
                Next::Busy => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Makes a rescheduled job due now.
    async fn make_due(&self, user: UserId, id: RequestId) -> Result<Next, TableError> {
        for _ in 0..TRIES {
            let Some(Stored::Job(job)) = self.table.job(user, id).await? else { return Ok(Next::Busy) };
            match job.state {
                JobState::Queued => return Ok(Next::Awake(job)),
                JobState::Retrying => {
                    let Ok(woken) = job.apply(JobEvent::Woken, self.runtime.now()) else { return Ok(Next::Busy) };
                    match self.table.commit(&job, &woken, &self.runtime.nonce()).await? {
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
