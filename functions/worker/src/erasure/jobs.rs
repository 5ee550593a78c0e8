//! The jobs of a user who is erased: each one ends first, and then loses its content.

use domain::{
    audit::AuditEvent,
    erasure::Erasure,
    ids::{Actor, IdAge},
    job::{Job, JobEvent, JobState, Lease},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use store::{Commit, OwnJob, Stored, keys};

use super::{AT_ONCE, Run, gateway::call_keys};
use crate::{
    LEASE_MARGIN,
    step::{RunError, RunOutcome, finish},
};

/// Why a job ended before its outcome was known.
const USER_ERASED: &str = "user_erased";

/// What the jobs of a user need. They are counted, not kept: a user may have more of them than fit into memory.
#[derive(Debug, Default)]
pub(super) struct OwnJobs {
    /// The number of those that are over.
    pub(super) over: u64,
    /// The number of those that are open.
    pub(super) open: usize,
    /// Whether one that is over has content, or is malformed.
    pub(super) has_content: bool,
    /// Whether one has sent a call to the gateway.
    pub(super) has_calls: bool,
    /// Whether there was no time for all of them.
    pub(super) cut_off: bool,
}

/// Pages of a user's jobs, from the first one.
pub(super) struct Pages<'a> {
    run: &'a Run<'a>,
    /// `None` once the last page was read.
    position: Option<Position>,
}

enum Position {
    First,
    After(String),
}

/// One step through the pages.
pub(super) enum Page {
    /// Jobs.
    Jobs(Vec<OwnJob>),
    /// There are no more.
    End,
    /// There is no time for another page.
    NoTime,
}

impl Pages<'_> {
    pub(super) async fn next(&mut self) -> Result<Page, RunError> {
        let Some(position) = self.position.take() else { return Ok(Page::End) };
        if self.run.is_late() {
            return Ok(Page::NoTime);
        }
        let after = match position {
            Position::First => None,
            Position::After(key) => Some(key),
        };
        let (jobs, next) = self.run.worker.table.own_jobs(self.run.user, after).await?;
        self.position = next.map(Position::After);
        Ok(Page::Jobs(jobs))
    }
}

impl Run<'_> {
    pub(super) const fn pages(&self) -> Pages<'_> {
        Pages { run: self, position: Some(Position::First) }
    }

    /// Reads every job. Stores the id of each one that could start a job again as used, and has each open one end.
    pub(super) async fn look_at_jobs(&self, erasure: &Erasure) -> Result<OwnJobs, RunError> {
        let (mut all, mut pages) = (OwnJobs::default(), self.pages());
        loop {
            let jobs = match pages.next().await? {
                Page::Jobs(jobs) => jobs,
                Page::End => return Ok(all),
                Page::NoTime => return Ok(OwnJobs { cut_off: true, ..all }),
            };
            let looked = stream::iter(jobs).map(|job| self.look_at(erasure, job)).buffer_unordered(AT_ONCE);
            for looked in looked.try_collect::<Vec<_>>().await? {
                match looked {
                    Looked::Ended(job) => {
                        all.over += 1;
                        all.has_content |= job.has_content();
                        all.has_calls |= call_keys(&job).next().is_some();
                    }
                    Looked::Malformed => {
                        all.over += 1;
                        all.has_content = true;
                    }
                    Looked::Open => all.open += 1,
                }
            }
        }
    }

    async fn look_at(&self, erasure: &Erasure, OwnJob { id, job }: OwnJob) -> Result<Looked, RunError> {
        let (worker, now) = (self.worker, self.worker.runtime.now());
        let is_clean = matches!(&job, Ok(Stored::Job(job)) if job.state.is_over() && !job.has_content());
        let is_known = erasure.unlinked_at.is_some() && is_clean;
        if !is_known && id.age(now) != IdAge::TooOld {
            worker.table.remember_used(id, now).await?;
        }
        match job {
            Err(_) => Ok(Looked::Malformed),
            Ok(Stored::Newer) => Ok(Looked::Open),
            Ok(Stored::Job(job)) if job.state.is_over() => Ok(Looked::Ended(job)),
            Ok(Stored::Job(job)) => match self.have_it_end(erasure, &job).await? {
                Some(job) if job.state.is_over() => Ok(Looked::Ended(Box::new(job))),
                Some(_) | None => Ok(Looked::Open),
            },
        }
    }

    /// Cancels a job. One whose call is out ends when the gateway has answered, or, after some minutes, without an
    /// answer. Returns the job if this has changed it.
    async fn have_it_end(&self, erasure: &Erasure, job: &Job) -> Result<Option<Job>, RunError> {
        let (worker, now) = (self.worker, self.worker.runtime.now());
        if !job.cancel_requested {
            let after = job.apply(JobEvent::CancelRequested, now)?;
            let event = AuditEvent::CancelRequested { status: after.state.name().to_owned() };
            let cancelled = worker.jobs().commit_and_leave(job, after, Actor::User, event).await?;
            if let Some(cancelled) = &cancelled {
                worker.jobs().wake_if_due(cancelled).await;
            }
            return Ok(cancelled);
        }
        if !erasure.ends_jobs(now) {
            return Ok(None);
        }
        self.end_without_answer(job).await
    }

    /// Ends a job without an answer of the gateway, as `unknown` if a write may have run. A job that a live worker holds
    /// is left to it.
    async fn end_without_answer(&self, job: &Job) -> Result<Option<Job>, RunError> {
        let (worker, now) = (self.worker, self.worker.runtime.now());
        let due = match job.state {
            // Its next poll may lie ahead.
            JobState::Waiting | JobState::Retrying => job.apply(JobEvent::Woken, now)?,
            JobState::Queued | JobState::Running => job.clone(),
            JobState::AwaitingApproval
            | JobState::Succeeded
            | JobState::Failed
            | JobState::Refused
            | JobState::Explained
            | JobState::Cancelled
            | JobState::Expired
            | JobState::Unknown => return Ok(None),
        };
        if !due.claimable(now) {
            return Ok(None);
        }
        let lease = Lease { owner: worker.runtime.nonce(), expires_at: self.deadline.plus(LEASE_MARGIN) };
        let claimed = due.apply(JobEvent::Claimed { lease }, now)?;
        if !matches!(worker.table.commit(job, &claimed, &worker.runtime.nonce()).await?, Commit::Done) {
            return Ok(None);
        }
        match finish::without_payload(worker, &claimed, USER_ERASED, None).await? {
            RunOutcome::Over(_) => match worker.table.job(self.user, job.request_id).await? {
                Some(Stored::Job(job)) => Ok(Some(*job)),
                Some(Stored::Newer) | None => Ok(None),
            },
            RunOutcome::NoJob
            | RunOutcome::NothingToDo
            | RunOutcome::LeaseLost
            | RunOutcome::Later
            | RunOutcome::AwaitingApproval
            | RunOutcome::Erased
            | RunOutcome::Notified(_) => Ok(None),
        }
    }

    /// Removes the content of the jobs that are over, and deletes malformed ones. Returns whether there were some; `None`
    /// when there was no time for all of them, or when one has changed meanwhile, for example by its resolution, so that
    /// another pass has to look at it.
    pub(super) async fn strip(&self, jobs: &OwnJobs) -> Result<Option<bool>, RunError> {
        if !jobs.has_content {
            return Ok(Some(false));
        }
        let (mut lost, mut pages) = (false, self.pages());
        loop {
            let jobs = match pages.next().await? {
                Page::Jobs(jobs) => jobs,
                Page::End => return Ok((!lost).then_some(true)),
                Page::NoTime => return Ok(None),
            };
            let stripping = stream::iter(jobs).map(|job| self.strip_one(job)).buffer_unordered(AT_ONCE);
            lost |= stripping.try_collect::<Vec<_>>().await?.contains(&false);
        }
    }

    /// False: the job is open, or has changed meanwhile.
    async fn strip_one(&self, OwnJob { id, job }: OwnJob) -> Result<bool, RunError> {
        let worker = self.worker;
        let job = match job {
            // It has no state to keep.
            Err(_) => return Ok(worker.table.delete_own(self.user, keys::job(id)).await.map(|_| true)?),
            Ok(Stored::Newer) => return Ok(false),
            Ok(Stored::Job(job)) => job,
        };
        if !job.state.is_over() {
            return Ok(false);
        }
        if !job.has_content() {
            return Ok(true);
        }
        let after = job.apply(JobEvent::Erased, worker.runtime.now())?;
        let commit = worker.table.commit(&job, &after, &worker.runtime.nonce()).await?;
        Ok(!matches!(commit, Commit::Lost(_)))
    }
}

/// A job as a pass leaves it.
enum Looked {
    /// It is over.
    Ended(Box<Job>),
    /// It cannot be read.
    Malformed,
    /// It is open.
    Open,
}
