//! Commits the outcome of a step, and sends the wake-up message for what is due next.

use std::time::Duration;

use domain::{
    audit::AuditEvent,
    ids::{Approver, Digest, Timestamp, TraceParent},
    job::{
        Job, JobEvent, JobState, ResultRef, StepOutcome,
        approval::{self, Approval, Bound},
    },
};
use platform::{metrics::Metric, queue::WakeUpMessage};
use service::job_metrics;

use crate::{
    Worker,
    at_cursor::AtCursor,
    commit::RunError,
    conversation_queue,
    run_job::RunOutcome,
    verdict::{Ending, Verdict},
};

/// Applies a verdict about a call: commits it, and sends the wake-up message for the time when the job is due.
pub(crate) async fn apply_verdict(
    worker: &Worker,
    cursor: &AtCursor<'_>,
    verdict: Verdict,
) -> Result<RunOutcome, RunError> {
    match verdict {
        Verdict::End(ending) => end_call(worker, cursor, ending).await,
        Verdict::Ask(approver, within) => ask(worker, cursor, approver, within).await,
        Verdict::Suspend { wait, running } => {
            let check_at = next_look(&cursor.job, worker.runtime.now(), wait);
            let event = JobEvent::Suspended { check_at, intent: cursor.intent().cloned(), running, seen: None };
            come_back(worker, cursor, event, check_at).await
        }
        Verdict::Reschedule(wait, attempt) => {
            let check_at = next_try(&cursor.job, worker.runtime.now(), wait);
            come_back(worker, cursor, JobEvent::Rescheduled { check_at, attempt }, check_at).await
        }
    }
}

/// When a job whose call is or may be running is polled again: not later than its deadline.
pub(crate) fn next_look(job: &Job, now: Timestamp, wait: Duration) -> Timestamp {
    let at = now.plus(wait);
    job.deadline_at().filter(|deadline| *deadline > now).map_or(at, |deadline| at.min(deadline))
}

/// When a job of which nothing is running is tried again: not later than its deadline or `not_after`. After those it
/// could only end, so it is woken then to end.
pub(crate) fn next_try(job: &Job, now: Timestamp, wait: Duration) -> Timestamp {
    let ends_at = job.deadline_at().map_or(job.not_after, |deadline| deadline.min(job.not_after));
    now.plus(wait).min(ends_at.max(now))
}

/// Commits an event that leaves the job due again at `check_at`, and sends the wake-up message.
pub(crate) async fn come_back<W>(
    worker: &Worker,
    cursor: &AtCursor<'_, W>,
    event: JobEvent,
    check_at: Timestamp,
) -> Result<RunOutcome, RunError> {
    let Some(after) = worker.commit(&cursor.job, event, &[]).await? else { return Ok(RunOutcome::LeaseLost) };
    let mut wait = check_at.since(worker.runtime.now());
    // The user has cancelled since the job was read. Cancelling a running job sends no wake-up message, so the job is
    // made due here. If that conditional write is lost, the other writer makes it due.
    if after.cancel_requested && !cursor.job.cancel_requested {
        worker.commit(&after, JobEvent::Woken, &[]).await?;
        wait = Duration::ZERO;
    }
    wake(worker, &after, cursor.trace.as_ref(), wait).await?;
    Ok(RunOutcome::Later)
}

/// Enqueues the next wake-up message. Must happen before this message is acknowledged: otherwise a crash in between
/// would leave the job without one until the reconciler finds it.
async fn wake(worker: &Worker, job: &Job, trace: Option<&TraceParent>, wait: Duration) -> Result<(), RunError> {
    let wake_up = WakeUpMessage::new(job.user_id, job.request_id, trace);
    Ok(worker.queue.wake(&wake_up, wait).await.inspect_err(|_| worker.runtime.count(Metric::WakeUpFailures))?)
}

/// Asks for the approval that the step at the cursor needs, now that its arguments are known.
async fn ask(
    worker: &Worker,
    cursor: &AtCursor<'_>,
    approver: Approver,
    within: Duration,
) -> Result<RunOutcome, RunError> {
    let (job, now) = (&cursor.job, worker.runtime.now());
    let digest = approval::digest(cursor.digest_key, &Bound::at_cursor(job, cursor.work));
    let expires_at = next_try(job, now, within);
    let question = Approval::requested(approver, digest, now, expires_at);
    let mut derivation = None;
    let mut input = None;
    if let Some(derived) = &cursor.derived {
        input = Some(worker.put_derived(cursor, derived).await?);
        derivation = Some(derived.record(cursor.work_digest));
    }
    let asked = AuditEvent::ApprovalAsked { approver, digest, expires_at: expires_at.to_string() };
    // A cancel since the claim ends the job instead: then no approval request exists, and none may be recorded.
    let records = |after: &Job| {
        let last = if after.state.is_over() { called_off(after, cursor.work_digest) } else { asked.clone() };
        derivation.iter().cloned().chain([last]).collect()
    };
    let event = JobEvent::Prepared { input, approval: Some(question) };
    let Some(after) = worker.commit_recording(job, event, records).await? else { return Ok(RunOutcome::LeaseLost) };
    if after.state.is_over() {
        return after_the_end(worker, job, Some(after), cursor.sent_at, cursor.trace.as_ref()).await;
    }
    wake(worker, &after, cursor.trace.as_ref(), expires_at.since(now)).await?;
    Ok(RunOutcome::AwaitingApproval)
}

/// The audit record of a step that ended before anything was sent, because the user cancelled the job.
fn called_off(after: &Job, work_digest: Digest) -> AuditEvent {
    AuditEvent::Ended {
        outcome: StepOutcome::NotRun.name().to_owned(),
        status: String::new(),
        code: after.error.clone(),
        key: None,
        arguments_digest: Some(work_digest),
        result_digest: None,
    }
}

/// Stores the result, and returns its reference and digest.
pub(crate) async fn keep_result<W>(
    worker: &Worker,
    cursor: &AtCursor<'_, W>,
    ending: &Ending,
) -> Result<(Option<ResultRef>, Option<Digest>), RunError> {
    Ok(match &ending.result {
        None => (None, None),
        Some(Err(why)) => (Some(ResultRef::omitted(*why)), None),
        Some(Ok(value)) => {
            let kept = worker.table.keep_result(&cursor.job, cursor.digest_key, value, worker.runtime.now()).await?;
            (Some(kept.0), Some(kept.1))
        }
    })
}

/// Ends a call: first the result is stored, then the audit record, then the job.
pub(crate) async fn end_call(worker: &Worker, cursor: &AtCursor<'_>, ending: Ending) -> Result<RunOutcome, RunError> {
    let (event, record) = ended(worker, cursor, &ending).await?;
    let committed = match worker.commit(&cursor.job, event.clone(), &[record]).await {
        Err(RunError::Unaudited(error)) if worker.may_end_unaudited(cursor).await => {
            tracing::error!(function = "worker", code = "unaudited", error = %error, "a read ends without its record");
            worker.commit(&cursor.job, event, &[]).await?
        }
        committed => committed?,
    };
    after_the_end(worker, &cursor.job, committed, cursor.sent_at, cursor.trace.as_ref()).await
}

/// Ends a step of any kind.
pub(crate) async fn end<W>(worker: &Worker, cursor: &AtCursor<'_, W>, ending: Ending) -> Result<RunOutcome, RunError> {
    let (event, record) = ended(worker, cursor, &ending).await?;
    let committed = worker.commit(&cursor.job, event, &[record]).await?;
    after_the_end(worker, &cursor.job, committed, cursor.sent_at, cursor.trace.as_ref()).await
}

async fn ended<W>(
    worker: &Worker,
    cursor: &AtCursor<'_, W>,
    ending: &Ending,
) -> Result<(JobEvent, AuditEvent), RunError> {
    let (result, result_digest) = keep_result(worker, cursor, ending).await?;
    // A read has no intent before its job is suspended, so `sent_at` tells whether it was sent.
    let called = cursor.intent().is_some() || cursor.sent_at.is_some() || ending.outcome == StepOutcome::Succeeded;
    let record = match ending.code {
        Some(code) if ending.ends_as == JobState::Explained => AuditEvent::Explained { code: code.to_owned() },
        Some(_) | None => AuditEvent::Ended {
            outcome: ending.outcome.name().to_owned(),
            status: String::new(),
            code: ending.code.map(str::to_owned),
            key: called.then(|| cursor.key().to_string()),
            arguments_digest: Some(cursor.work_digest),
            result_digest,
        },
    };
    Ok((ending.event(result), record))
}

/// Measures a step that has ended. Wakes the job for its next step at once, or, if the job is over, removes it from its
/// conversation queue.
pub(crate) async fn after_the_end(
    worker: &Worker,
    before: &Job,
    committed: Option<Job>,
    sent_at: Option<Timestamp>,
    trace: Option<&TraceParent>,
) -> Result<RunOutcome, RunError> {
    let Some(after) = committed else { return Ok(RunOutcome::LeaseLost) };
    job_metrics::finished(&worker.runtime, worker.policy.catalogue(), before, &after, sent_at);
    if !after.state.is_over() {
        wake(worker, &after, trace, Duration::ZERO).await?;
        return Ok(RunOutcome::Later);
    }
    conversation_queue::leave(worker, &after).await;
    Ok(RunOutcome::Over(after.state))
}

/// Ends a job whose payload is missing or unreadable (`code`): nothing can be sent, and the outcome of what was sent
/// cannot be asked for without its arguments.
pub(crate) async fn without_payload(
    worker: &Worker,
    job: &Job,
    code: &'static str,
    trace: Option<&TraceParent>,
) -> Result<RunOutcome, RunError> {
    let intent = job.step().and_then(|step| step.intent.as_ref());
    let turn = job.step().is_some_and(|step| step.kind != domain::job::StepKind::Call);
    let ending = match intent {
        Some(_) if turn => Ending::failed(code, None),
        Some(_) => Ending::unknown(),
        None => Ending::failed_unsent(code),
    };
    let record = AuditEvent::Ended {
        outcome: ending.outcome.name().to_owned(),
        status: String::new(),
        code: ending.code.map(str::to_owned),
        key: intent.map(|_| job.call_key().to_string()),
        arguments_digest: None,
        result_digest: None,
    };
    let committed = worker.commit(job, ending.event(None), &[record]).await?;
    after_the_end(worker, job, committed, intent.map(|intent| intent.recorded_at), trace).await
}

impl Ending {
    /// The event that ends the step, with the reference of its result.
    pub(crate) fn event(&self, result: Option<ResultRef>) -> JobEvent {
        let error = self.code.map(str::to_owned);
        JobEvent::StepEnded { outcome: self.outcome, error, result, ends_as: self.ends_as }
    }
}
