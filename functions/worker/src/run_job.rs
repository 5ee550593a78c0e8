//! One ring of one job: claim it, take the step at the cursor on by one answer, commit what came of it.

use serde_json::Value;
use shared::{
    audit::AuditEvent,
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

/// The largest item for which a result is kept inside: one write unit is 1,024 bytes.
const INLINE_ITEM_BYTES: usize = 1000;
/// No larger result is kept. The journal's own cap is the same.
const RESULT_CAP_BYTES: usize = 64 * 1024;

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
    let canonical_result = ending.result.map(|result| result.map(|value| text_of(&value)));
    let (result, result_digest) = match canonical_result {
        None => (None, None),
        Some(None) => (Some(ResultRef::Omitted), None),
        Some(Some(text)) => {
            let digest = cursor.digest_key.digest_bytes(text.as_bytes());
            (Some(keep(worker, job, text, digest).await?), Some(digest))
        }
    };
    let called = job.step().is_some_and(|step| step.intent.is_some()) || ending.outcome == StepOutcome::Succeeded;
    let audit = AuditEvent::Ended {
        outcome: ending.outcome.name().to_owned(),
        status: String::new(),
        code: ending.code.map(str::to_owned),
        key: called.then(|| cursor.key().to_string()),
        arguments_digest: Some(cursor.digest_key.digest_bytes(&canonical::canonical(&cursor.call.arguments))),
        result_digest,
    };
    let error = ending.code.map(str::to_owned);
    let event = JobEvent::StepEnded { outcome: ending.outcome, error, result, ends_as: ending.ends_as };
    let committed = worker.commit(job, event, Some(audit)).await?;
    if let Some(after) = &committed {
        metrics::finished(&worker.world, worker.policy.catalogue(), job, after, cursor.sent_at);
    }
    Ok(committed)
}

fn text_of(value: &Value) -> String {
    String::from_utf8_lossy(&canonical::canonical(value)).into_owned()
}

async fn keep(worker: &Worker, job: &Job, text: String, digest: shared::digest::Digest) -> Result<ResultRef, RunError> {
    if text.len() > RESULT_CAP_BYTES {
        return Ok(ResultRef::Omitted);
    }
    if worker.table.size_of(job) + text.len() <= INLINE_ITEM_BYTES {
        return Ok(ResultRef::Inline(text));
    }
    worker.table.put_result(job.user_id, job.request_id, digest, text, worker.world.now()).await?;
    Ok(ResultRef::Stored(digest))
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
