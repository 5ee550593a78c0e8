//! One ring of one job: claim it, take the step at the cursor on by one answer, commit what came of it.

use shared::{
    audit::{Actor, AuditEvent},
    canonical,
    digest::DigestKey,
    intent::CallKey,
    job::{Job, JobEvent, JobState, Lease, ResultRef},
    metrics::{self, Metric},
    queue::Bell,
    step::StepOutcome,
    submission::Call,
    table::{Commit, Stored},
    timestamp::Timestamp,
    trace::TraceParent,
};

use crate::{
    LEASE_MARGIN, Worker,
    commit::{Committed, RunError},
    resolve,
    verdict::{Ending, Verdict},
};

/// What a message came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rung {
    /// There is no such job.
    NoJob,
    /// It is over, not due, held by another worker, or of a newer version.
    NothingToDo,
    /// Another writer was quicker; nothing was changed.
    LeaseLost,
    /// It is due again later.
    Later,
    /// It is over now, in this state.
    Over(JobState),
}

impl Rung {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoJob => "no_job",
            Self::NothingToDo => "nothing_to_do",
            Self::LeaseLost => "lease_lost",
            Self::Later => "later",
            Self::Over(_) => "over",
        }
    }

    /// What a job that is over ended as.
    pub(crate) const fn state(self) -> Option<&'static str> {
        match self {
            Self::Over(state) => Some(state.name()),
            Self::NoJob | Self::NothingToDo | Self::LeaseLost | Self::Later => None,
        }
    }
}

/// The step at the cursor, with what it needs from the payload.
pub(crate) struct AtCursor<'a> {
    pub(crate) job: Job,
    pub(crate) call: &'a Call,
    pub(crate) digest_key: &'a DigestKey,
    pub(crate) trace: Option<TraceParent>,
    pub(crate) deadline: Timestamp,
    /// When the call left, or may have.
    pub(crate) sent_at: Option<Timestamp>,
}

impl AtCursor<'_> {
    /// Invariant 7, *logical keys*.
    pub(crate) fn key(&self) -> CallKey {
        let (step, n) = (self.job.cursor, self.job.step().map_or(0, |step| step.n));
        CallKey { user_id: self.job.user_id, request_id: self.job.request_id, step, round: 0, n }
    }
}

pub(crate) async fn run(worker: &Worker, bell: &Bell, deadline: Timestamp) -> Result<Rung, RunError> {
    let now = worker.world.now();
    let job = match worker.table.job(bell.user_id, bell.request_id).await? {
        None => return Ok(Rung::NoJob),
        Some(Stored::Newer) => return Ok(Rung::NothingToDo),
        Some(Stored::Job(job)) => job,
    };
    if job.state == JobState::Unknown && job.resolution.is_none() {
        return resolve::run(worker, &job).await;
    }
    if job.lapses_at().is_some_and(|at| at <= now) {
        return lapse(worker, &job).await;
    }
    if !job.claimable(now) {
        return Ok(Rung::NothingToDo);
    }
    let lease = Lease { owner: worker.world.nonce(), expires_at: deadline.plus(LEASE_MARGIN) };
    let after = job.apply(JobEvent::Claimed { lease }, now)?;
    match worker.table.commit(&job, &after, &worker.world.nonce()).await? {
        Commit::Done => worker.world.measure(&[(Metric::ClaimDelay, metrics::millis(now.since(job.due_at())))], &[]),
        Commit::Lost(_) => {
            worker.world.count(Metric::LeaseLost);
            return Ok(Rung::LeaseLost);
        }
    }
    let payload = worker.table.payload(after.user_id, after.request_id, after.fingerprint).await?;
    let Some((call, digest_key)) =
        payload.as_ref().and_then(|payload| Some((payload.calls.get(after.cursor)?, &payload.digest_key)))
    else {
        return without_payload(worker, &after).await;
    };
    let trace = after.trace.as_deref().or(bell.traceparent.as_deref()).and_then(TraceParent::parse);
    let sent_at = after.step().and_then(|step| step.intent.as_ref()).map(|intent| intent.recorded_at);
    let cursor = AtCursor { job: after, call, digest_key, trace, deadline, sent_at };
    match worker.take_on(cursor).await? {
        None => Ok(Rung::LeaseLost),
        Some((cursor, verdict)) => carry_out(worker, &cursor, verdict).await,
    }
}

/// Nobody answered the question in time.
async fn lapse(worker: &Worker, job: &Job) -> Result<Rung, RunError> {
    let lapsed = worker.table.lapse_approval(&worker.world, job, Actor::Worker, worker.policy.version()).await?;
    // Somebody was quicker: a yes, a no or a cancel.
    let Some(took) = lapsed else { return Ok(Rung::NothingToDo) };
    metrics::finished(&worker.world, worker.policy.catalogue(), &took.before, &took.after, None);
    Ok(Rung::Over(took.after.state))
}

/// Commits a verdict, and rings for whatever it is due for.
async fn carry_out(worker: &Worker, cursor: &AtCursor<'_>, verdict: Verdict) -> Result<Rung, RunError> {
    let now = worker.world.now();
    let (event, wait) = match verdict {
        Verdict::End(ending) => return over(end(worker, cursor, ending).await?),
        Verdict::Park { wait, running } => {
            let intent = cursor.job.step().and_then(|step| step.intent.clone());
            (JobEvent::Parked { check_at: now.plus(wait), intent, running }, wait)
        }
        Verdict::PutBack(wait, attempt) => (JobEvent::PutBack { check_at: now.plus(wait), attempt }, wait),
    };
    if worker.commit(&cursor.job, event, None).await?.is_none() {
        return Ok(Rung::LeaseLost);
    }
    // Who sets a time rings once, before the old message is acknowledged.
    let bell = Bell::new(cursor.job.user_id, cursor.job.request_id, cursor.trace.as_ref());
    worker.queue.ring(&bell, wait).await.inspect_err(|_| worker.world.count(Metric::RingFailures))?;
    Ok(Rung::Later)
}

pub(crate) fn over(committed: Committed) -> Result<Rung, RunError> {
    Ok(committed.map_or(Rung::LeaseLost, |job| Rung::Over(job.state)))
}

/// Ends the step at the cursor: result first, then its record, then the job.
async fn end(worker: &Worker, cursor: &AtCursor<'_>, ending: Ending) -> Result<Committed, RunError> {
    let job = &cursor.job;
    let (result, result_digest) = match &ending.result {
        None => (None, None),
        Some(None) => (Some(ResultRef::Omitted), None),
        Some(Some(value)) => {
            let kept = worker.table.keep_result(job, cursor.digest_key, value, worker.world.now()).await?;
            (Some(kept.0), Some(kept.1))
        }
    };
    let called = job.step().is_some_and(|step| step.intent.is_some()) || ending.outcome == StepOutcome::Succeeded;
    let ended = AuditEvent::Ended {
        outcome: ending.outcome.name().to_owned(),
        status: String::new(),
        code: ending.code.map(str::to_owned),
        key: called.then(|| cursor.key().to_string()),
        arguments_digest: Some(cursor.digest_key.digest_bytes(&canonical::canonical(&cursor.call.arguments))),
        result_digest,
    };
    let audit = match ending.code {
        Some(code) if ending.ends_as == JobState::Explained => AuditEvent::Explained { code: code.to_owned() },
        Some(_) | None => ended,
    };
    let error = ending.code.map(str::to_owned);
    let event = JobEvent::StepEnded { outcome: ending.outcome, error, result, ends_as: ending.ends_as };
    let committed = match worker.commit(job, event.clone(), Some(audit)).await {
        Err(RunError::Unaudited(error)) if worker.may_end_unaudited(cursor).await => {
            tracing::error!(function = "worker", code = "unaudited", error = %error, "a read ends without its record");
            worker.commit(job, event, None).await?
        }
        committed => committed?,
    };
    if let Some(after) = &committed {
        metrics::finished(&worker.world, worker.policy.catalogue(), job, after, cursor.sent_at);
    }
    Ok(committed)
}

/// A job whose payload has gone: nothing can be sent, and what was sent cannot be asked for without its arguments.
async fn without_payload(worker: &Worker, job: &Job) -> Result<Rung, RunError> {
    let sent = job.step().is_some_and(|step| step.intent.is_some());
    let ending = if sent { Ending::unknown() } else { Ending::failed_unsent("payload_missing") };
    let event = JobEvent::StepEnded {
        outcome: ending.outcome,
        error: ending.code.map(str::to_owned),
        result: None,
        ends_as: ending.ends_as,
    };
    let audit = AuditEvent::Ended {
        outcome: ending.outcome.name().to_owned(),
        status: String::new(),
        code: ending.code.map(str::to_owned),
        key: None,
        arguments_digest: None,
        result_digest: None,
    };
    let committed = worker.commit(job, event, Some(audit)).await?;
    if let Some(after) = &committed {
        let sent_at = job.step().and_then(|step| step.intent.as_ref()).map(|intent| intent.recorded_at);
        metrics::finished(&worker.world, worker.policy.catalogue(), job, after, sent_at);
    }
    over(committed)
}
