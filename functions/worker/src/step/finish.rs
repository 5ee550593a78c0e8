//! Commits the outcome of a step, and sends the wake-up message for what is due next.

use std::time::Duration;

use domain::{
    audit::AuditEvent,
    ids::{Digest, Timestamp, TraceParent},
    job::{Attempt, Job, JobEvent, JobState, ResultRef, Step, StepKind, StepOutcome},
};
use service::job_metrics;

use super::{Ending, RunError, RunOutcome, StepContext, commit::Committed};
use crate::Worker;

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

/// Reschedules a step of which nothing was sent: it comes back after `wait`.
pub(crate) async fn reschedule(
    worker: &Worker,
    context: &StepContext<'_>,
    wait: Duration,
    attempt: Attempt,
) -> Result<RunOutcome, RunError> {
    let check_at = next_try(&context.job, worker.runtime.now(), wait);
    come_back(worker, context, JobEvent::Rescheduled { check_at, attempt }, check_at).await
}

/// Commits an event that leaves the job due again at `check_at`, and sends the wake-up message.
pub(crate) async fn come_back(
    worker: &Worker,
    context: &StepContext<'_>,
    event: JobEvent,
    check_at: Timestamp,
) -> Result<RunOutcome, RunError> {
    let Some(after) = worker.commit(&context.job, event, &[]).await? else { return Ok(RunOutcome::LeaseLost) };
    wake_when_due(worker, context, &after, check_at).await
}

/// Sends the wake-up message of a committed job that is due again at `check_at`.
pub(crate) async fn wake_when_due(
    worker: &Worker,
    context: &StepContext<'_>,
    after: &Job,
    check_at: Timestamp,
) -> Result<RunOutcome, RunError> {
    let mut wait = check_at.since(worker.runtime.now());
    // The user has cancelled, or an operator has decided about its reply, since the job was read. That sends no wake-up
    // message to a running job, so the job is made due here. If that conditional write is lost, the other writer makes
    // it due.
    let acted = |job: &Job| (job.cancel_requested, job.step().is_some_and(Step::text_is_decided));
    if acted(after) != acted(&context.job) {
        worker.commit(after, JobEvent::Woken, &[]).await?;
        wait = Duration::ZERO;
    }
    worker.jobs().try_wake(after, context.trace.as_ref(), wait).await?;
    Ok(RunOutcome::Later)
}

/// A result as the job and its audit record refer to it.
#[derive(Debug, Default)]
pub(crate) struct KeptResult {
    pub(crate) reference: Option<ResultRef>,
    pub(crate) digest: Option<Digest>,
}

/// Stores the result of a step.
pub(crate) async fn keep_result(
    worker: &Worker,
    context: &StepContext<'_>,
    ending: &Ending,
) -> Result<KeptResult, RunError> {
    Ok(match &ending.result {
        None => KeptResult::default(),
        Some(Err(why)) => KeptResult { reference: Some(ResultRef::omitted(*why)), digest: None },
        Some(Ok(value)) => {
            let kept = worker.table.keep_result(&context.job, context.digest_key, value, worker.runtime.now()).await?;
            KeptResult { reference: Some(kept.0), digest: Some(kept.1) }
        }
    })
}

/// Ends a step: first the result is stored, then the audit record, then the job.
pub(crate) async fn end(worker: &Worker, context: &StepContext<'_>, ending: &Ending) -> Result<RunOutcome, RunError> {
    let EndOfStep { event, record } = ended(worker, context, ending).await?;
    let committed = worker.commit(&context.job, event, &[record]).await?;
    after_the_end(worker, context, committed).await
}

/// The event that ends a step, and its audit record. The result is stored already: neither may name one that is
/// missing.
pub(crate) struct EndOfStep {
    pub(crate) event: JobEvent,
    pub(crate) record: AuditEvent,
}

/// The audit record of a step that ended before anything was sent, because the user cancelled the job.
pub(crate) fn called_off(after: &Job, work_digest: Digest) -> AuditEvent {
    AuditEvent::Ended {
        outcome: StepOutcome::NotRun.name().to_owned(),
        status: String::new(),
        code: after.error.clone(),
        key: None,
        arguments_digest: Some(work_digest),
        result_digest: None,
        content: None,
    }
}

pub(crate) async fn ended(worker: &Worker, context: &StepContext<'_>, ending: &Ending) -> Result<EndOfStep, RunError> {
    let result = keep_result(worker, context, ending).await?;
    // A read has no intent before its job is suspended, so `sent_at` tells whether it was sent.
    let called = context.intent().is_some() || context.sent_at.is_some() || ending.outcome == StepOutcome::Succeeded;
    let record = match ending.code {
        Some(code) if ending.ends_as == JobState::Explained => AuditEvent::Explained { code: code.to_owned() },
        Some(_) | None => AuditEvent::Ended {
            outcome: ending.outcome.name().to_owned(),
            status: String::new(),
            code: ending.code.map(str::to_owned),
            key: called.then(|| context.key().to_string()),
            arguments_digest: Some(context.work_digest),
            result_digest: result.digest,
            content: ending.content,
        },
    };
    Ok(EndOfStep { event: ending.event(result.reference), record })
}

/// Measures a step that has ended. Wakes the job for its next step at once, or, if the job is over, removes it from its
/// conversation queue.
pub(crate) async fn after_the_end(
    worker: &Worker,
    context: &StepContext<'_>,
    committed: Committed,
) -> Result<RunOutcome, RunError> {
    let Some(after) = committed else { return Ok(RunOutcome::LeaseLost) };
    measure_and_wake(worker, &context.job, &after, context.sent_at, context.trace.as_ref()).await
}

async fn measure_and_wake(
    worker: &Worker,
    before: &Job,
    after: &Job,
    sent_at: Option<Timestamp>,
    trace: Option<&TraceParent>,
) -> Result<RunOutcome, RunError> {
    job_metrics::finished(&worker.runtime, worker.policy.catalogue(), before, after, sent_at);
    if !after.state.is_over() {
        worker.jobs().try_wake(after, trace, Duration::ZERO).await?;
        return Ok(RunOutcome::Later);
    }
    worker.jobs().leave_queue(after).await;
    worker.jobs().wake_to_notify(after).await;
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
    let turn = job.step().is_some_and(|step| step.kind != StepKind::Call);
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
        content: None,
    };
    let committed = worker.commit(job, ending.event(None), &[record]).await?;
    let Some(after) = committed else { return Ok(RunOutcome::LeaseLost) };
    measure_and_wake(worker, job, &after, intent.map(|intent| intent.recorded_at), trace).await
}
