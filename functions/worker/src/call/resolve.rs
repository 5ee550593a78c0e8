//! Asks the journal once more about an `unknown` job. The status is final; a late answer goes into the job's
//! `resolution`.

use std::time::Duration;

use domain::{
    audit::AuditEvent,
    job::{Job, JobEvent, Resolution, ResolvedBy, Via},
};
use platform::openclaw::{CallAnswer, journal::Expected};

use crate::{
    Worker,
    step::{RunError, RunOutcome},
};

const TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) async fn run(worker: &Worker, job: &Job) -> Result<RunOutcome, RunError> {
    let Some(step) = job.step() else { return Ok(RunOutcome::NothingToDo) };
    let Some(Via::Journal(id)) = step.intent.as_ref().map(|intent| &intent.via) else {
        return Ok(RunOutcome::NothingToDo);
    };
    let tokens = &worker.tokens().await?;
    let known = step.intent.as_ref().map_or(0, |intent| intent.sequence);
    let sequence = worker.sequence_of(tokens, &id.journal).await?.max(known);
    let expected = Expected { journal: &id.journal, sequence };
    let key = job.call_key();
    // Revoking either proves that the key never ran and never will, or returns its outcome.
    let answer = worker.gateway.revoke(tokens, expected, &key.to_string(), TIMEOUT).await;
    worker.observe_call(&answer);
    let happened = match answer.noted() {
        CallAnswer::Ended(_) => true,
        // A key that was seen running and is free now proves only that the journal has lost its data. And a last
        // repetition (`n` > 0) that did not run proves nothing about the ones before it.
        CallAnswer::Revoked | CallAnswer::Refused(_) if step.running_since.is_some() || step.n > 0 => {
            return Ok(RunOutcome::NothingToDo);
        }
        CallAnswer::Revoked | CallAnswer::Refused(_) => false,
        // No proof: the call may have run, or the journal cannot answer now. `sweep` wakes the job again later.
        CallAnswer::StillRunning
        | CallAnswer::Interrupted
        | CallAnswer::NoSuchKey
        | CallAnswer::NotStarted(_)
        | CallAnswer::Released
        | CallAnswer::Unavailable(_)
        | CallAnswer::OtherJournal
        | CallAnswer::KeyReused
        | CallAnswer::JournalAbsent
        | CallAnswer::Unauthorized
        | CallAnswer::Unreadable
        | CallAnswer::Lost => return Ok(RunOutcome::NothingToDo),
    };
    let resolution = Resolution { by: ResolvedBy::Journal, happened, at: worker.runtime.now(), note: None };
    let committed = worker
        .commit(
            job,
            JobEvent::Resolved(resolution),
            &[AuditEvent::Resolved { happened, by: None, operator: None, note_digest: None }],
        )
        .await?;
    Ok(committed.map_or(RunOutcome::LeaseLost, |job| RunOutcome::Over(job.state)))
}
