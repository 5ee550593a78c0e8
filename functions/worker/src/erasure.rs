//! The erasure of a user, pass by pass ([`domain::erasure`] plans them).
//!
//! A pass marks the user, so that no session, admission or decision of the user succeeds any more; has every open job
//! end; stores the request ids that could start a job again as used, and deletes the logins; and, once no job is open,
//! deletes what the table has of the user and has the gateway forget the rest. Everything in it may be repeated: a pass
//! that dies is followed by one that begins where data is left.

mod gateway;
mod jobs;

use std::time::Duration;

use domain::{
    erasure::{Erased, Erasure, Left, Pass},
    ids::{Timestamp, UserId},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use platform::queue::WakeUpMessage;
use store::OwnItem;

use crate::{
    Worker,
    step::{RunError, RunOutcome},
};
use gateway::Session;

/// A pass begins no other page with less time left than this.
const LEAST_TIME: Duration = Duration::from_secs(8);
/// How many items are deleted concurrently.
const AT_ONCE: usize = 16;

/// Runs one pass of the erasure of a user, if one is due.
pub(crate) async fn run(worker: &Worker, user: UserId, deadline: Timestamp) -> Result<RunOutcome, RunError> {
    let now = worker.runtime.now();
    let Some(erasure) = worker.table.erasure(user).await? else {
        // A request has put the pointer and died before it recorded the erasure.
        worker.table.close_erasure(user).await?;
        return Ok(RunOutcome::NoJob);
    };
    if erasure.finished_at.is_some() {
        // The pass that finished it died before it removed the pointer.
        worker.table.finish_erasure(user, &erasure, now).await?;
        worker.table.close_erasure(user).await?;
        return Ok(RunOutcome::NothingToDo);
    }
    if !erasure.is_due(now) {
        return Ok(RunOutcome::NothingToDo);
    }
    worker.table.mark_erased(user, erasure.id).await?;
    let begun = erasure.begun(worker.runtime.now());
    if !worker.table.keep_erasure(user, &erasure, &begun).await? {
        return Ok(RunOutcome::LeaseLost);
    }
    let run = Run { worker, user, deadline };
    let Some((erasure, pass)) = Box::pin(run.pass(begun)).await? else { return Ok(RunOutcome::LeaseLost) };
    let after = erasure.after(&pass, worker.runtime.now());
    if !worker.table.keep_erasure(user, &erasure, &after).await? {
        return Ok(RunOutcome::LeaseLost);
    }
    run.end(&after).await
}

/// One pass.
struct Run<'a> {
    worker: &'a Worker,
    user: UserId,
    deadline: Timestamp,
}

impl Run<'_> {
    /// `None`: another pass has begun.
    async fn pass(&self, erasure: Erasure) -> Result<Option<(Erasure, Pass)>, RunError> {
        let began_at = self.worker.runtime.now();
        let jobs = self.look_at_jobs(&erasure).await?;
        let pass = |erasure, erased, left| Ok(Some((erasure, Pass { began_at, erased, left })));
        let only_jobs = Erased { jobs: jobs.over, ..Erased::default() };
        if jobs.cut_off {
            return pass(erasure, only_jobs, Left::Data);
        }
        let Some(erasure) = self.unlink(erasure).await? else { return Ok(None) };
        if jobs.open > 0 {
            return pass(erasure, only_jobs, Left::OpenJobs);
        }
        let mut erased = only_jobs;
        let Some(stripped) = self.strip(&jobs).await? else { return pass(erasure, erased, Left::Data) };
        let Some(sessions) = self.delete_items(&mut erased).await? else { return pass(erasure, erased, Left::Data) };
        let found = stripped || erased != only_jobs || !sessions.is_empty();
        if erasure.gateway_at.is_some() && !found {
            return pass(erasure, erased, Left::Nothing);
        }
        let left = self.forget(&jobs, sessions, &mut erased).await?;
        pass(erasure, erased, left)
    }

    /// Once every request id of the user that could start a job again is stored as used: deletes the logins.
    /// `None`: another pass has begun.
    async fn unlink(&self, erasure: Erasure) -> Result<Option<Erasure>, RunError> {
        if erasure.unlinked_at.is_some() {
            return Ok(Some(erasure));
        }
        let table = &self.worker.table;
        let deleted = table.unlink_logins(self.user, &erasure.logins).await?;
        let unlinked = erasure.unlinked(deleted, self.worker.runtime.now());
        Ok(table.keep_erasure(self.user, &erasure, &unlinked).await?.then_some(unlinked))
    }

    /// Deletes the items of the user, jobs and audit records excepted. Returns the conversations, which stay until the
    /// gateway has deleted their sessions; `None` when there was no time for all of them.
    async fn delete_items(&self, erased: &mut Erased) -> Result<Option<Vec<Session>>, RunError> {
        let (mut sessions, mut after) = (Vec::new(), None);
        loop {
            if self.is_late() {
                return Ok(None);
            }
            let (items, next) = self.worker.table.own_items(self.user, after).await?;
            let deleting = stream::iter(items).map(|item| self.delete_item(item)).buffer_unordered(AT_ONCE);
            for item in deleting.try_collect::<Vec<_>>().await? {
                match item {
                    Deleted::Session(session) => sessions.push(session),
                    Deleted::Counted(one) => *erased = Erased { jobs: erased.jobs, ..erased.and(one) },
                }
            }
            after = next;
            if after.is_none() {
                return Ok(Some(sessions));
            }
        }
    }

    async fn delete_item(&self, item: OwnItem) -> Result<Deleted, RunError> {
        let (table, user) = (&self.worker.table, self.user);
        let none = Erased::default();
        let counted = match item {
            OwnItem::Conversation(name, agent) => return Ok(Deleted::Session(Session { name, agent })),
            OwnItem::Payload(sk) => {
                table.erase_payload(user, sk).await?;
                Erased { submissions: 1, ..none }
            }
            OwnItem::Result(sk) => Erased { results: table.delete_own(user, sk).await?.into(), ..none },
            OwnItem::Refusal(sk) => Erased { refusals: table.delete_own(user, sk).await?.into(), ..none },
            OwnItem::Other(sk) => Erased { others: table.delete_own(user, sk).await?.into(), ..none },
        };
        Ok(Deleted::Counted(counted))
    }

    /// Finishes the erasure, or plans its next pass.
    async fn end(&self, erasure: &Erasure) -> Result<RunOutcome, RunError> {
        let (worker, user) = (self.worker, self.user);
        let now = worker.runtime.now();
        if erasure.finished_at.is_some() {
            worker.table.finish_erasure(user, erasure, now).await?;
            worker.table.close_erasure(user).await?;
            tracing::info!(function = "worker", user_id = %user, request_id = %erasure.id, "the user is erased");
            return Ok(RunOutcome::Erased);
        }
        // A lost message delays the next pass by a minute at most: `sweep` sends another one.
        worker.queue.wake(&WakeUpMessage::of_erasure(user, erasure.id), erasure.check_at.since(now)).await?;
        Ok(RunOutcome::Later)
    }

    fn is_late(&self) -> bool {
        self.deadline.since(self.worker.runtime.now()) < LEAST_TIME
    }
}

/// Outcome for an item.
enum Deleted {
    /// It is gone.
    Counted(Erased),
    /// It stays until the gateway has deleted this session.
    Session(Session),
}
