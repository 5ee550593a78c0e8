//! One run of one job: claim it, advance the step at the cursor by one answer, commit the outcome.

use domain::{
    ids::{Actor, Timestamp, TraceParent},
    job::{APPROVED_WITHIN, Job, JobEvent, JobState, Lease, StepKind, submission::Work},
};
use platform::{
    metrics::{self, Metric},
    queue::WakeUpMessage,
};
use service::job_metrics;
use store::{Commit, Payload, Stored, TableError};

use crate::{
    LEASE_MARGIN, Worker,
    at_cursor::AtCursor,
    commit::RunError,
    conversation_queue, finish_step,
    prepare::{self, Prepared},
    resolve,
    verdict::Ending,
};

/// The payload of the step is no longer stored.
const PAYLOAD_MISSING: &str = "payload_missing";
/// The payload of the step is stored, and cannot be parsed.
const PAYLOAD_UNREADABLE: &str = "payload_unreadable";

/// Outcome of one SQS message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunOutcome {
    /// There is no such job.
    NoJob,
    /// It is over, not due, held by another worker, or written by a newer version.
    NothingToDo,
    /// Another writer won the conditional write; nothing was changed.
    LeaseLost,
    /// It is due again: later, or at once for its next step.
    Later,
    /// It waits for an approval.
    AwaitingApproval,
    /// It is over now, in this state.
    Over(JobState),
}

impl RunOutcome {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoJob => "no_job",
            Self::NothingToDo => "nothing_to_do",
            Self::LeaseLost => "lease_lost",
            Self::Later => "later",
            Self::AwaitingApproval => "asked",
            Self::Over(_) => "over",
        }
    }

    /// The final state of a job that is over.
    pub(crate) const fn state(self) -> Option<&'static str> {
        match self {
            Self::Over(state) => Some(state.name()),
            Self::NoJob | Self::NothingToDo | Self::LeaseLost | Self::Later | Self::AwaitingApproval => None,
        }
    }
}

/// A job that this worker has claimed, with its payload and the time limit.
struct Claimed<'a> {
    job: Job,
    payload: &'a Payload,
    trace: Option<TraceParent>,
    deadline: Timestamp,
}

pub(crate) async fn run(worker: &Worker, wake_up: &WakeUpMessage, deadline: Timestamp) -> Result<RunOutcome, RunError> {
    let now = worker.runtime.now();
    let job = match worker.table.job(wake_up.user_id, wake_up.request_id).await? {
        None => return Ok(RunOutcome::NoJob),
        Some(Stored::Newer) => return Ok(RunOutcome::NothingToDo),
        Some(Stored::Job(job)) => job,
    };
    if job.state == JobState::Unknown && job.resolution.is_none() {
        return resolve::run(worker, &job).await;
    }
    if job.lapses_at().is_some_and(|at| at.has_come(now, APPROVED_WITHIN)) {
        return lapse(worker, &job).await;
    }
    if !job.claimable(now) {
        // The worker that ended the deletion may have died before it left the queue, which would block the
        // conversation.
        if job.state.is_over() && job.steps.iter().any(|step| step.kind == StepKind::End) {
            conversation_queue::leave(worker, &job).await;
        }
        return Ok(RunOutcome::NothingToDo);
    }
    let lease = Lease { owner: worker.runtime.nonce(), expires_at: deadline.plus(LEASE_MARGIN) };
    let after = job.apply(JobEvent::Claimed { lease }, now)?;
    match worker.table.commit(&job, &after, &worker.runtime.nonce()).await? {
        Commit::Done => worker.runtime.measure(&[(Metric::ClaimDelay, metrics::millis(now.since(job.due_at())))], &[]),
        Commit::Lost(_) => {
            worker.runtime.count(Metric::LeaseLost);
            return Ok(RunOutcome::LeaseLost);
        }
    }
    let trace = after.trace.as_deref().or(wake_up.traceparent.as_deref()).and_then(TraceParent::parse);
    let payload = match worker.table.payload(after.user_id, after.request_id, after.fingerprint).await {
        Ok(Some(payload)) => payload,
        Ok(None) => return finish_step::without_payload(worker, &after, PAYLOAD_MISSING, trace.as_ref()).await,
        // A malformed payload stays malformed. Returned as an error, the message would become a dead letter, and the
        // reconciler would send another.
        Err(TableError::Malformed(_)) => {
            return finish_step::without_payload(worker, &after, PAYLOAD_UNREADABLE, trace.as_ref()).await;
        }
        Err(error) => return Err(error.into()),
    };
    // Boxed: the futures below are large, and Cedar refuses to evaluate with little stack left.
    Box::pin(go_on(worker, Claimed { job: after, payload: &payload, trace, deadline })).await
}

/// Advances the step at the cursor, by its kind.
async fn go_on(worker: &Worker, claimed: Claimed<'_>) -> Result<RunOutcome, RunError> {
    let Claimed { job, payload, trace, deadline } = claimed;
    let prepared = match worker.prepare(&job, payload).await {
        Err(RunError::Table(TableError::Malformed(_))) => {
            return finish_step::without_payload(worker, &job, PAYLOAD_UNREADABLE, trace.as_ref()).await;
        }
        prepared => prepared?,
    };
    let fits = |work: &Work| job.step().is_some_and(|step| prepare::fits(step, work));
    let (Prepared { work, derived }, unfit) = match prepared {
        Some(Ok(prepared)) if fits(&prepared.work) => (prepared, None),
        Some(Ok(_)) | None => return finish_step::without_payload(worker, &job, PAYLOAD_MISSING, trace.as_ref()).await,
        // Nothing is sent; the submitted work is used for the audit record.
        Some(Err(ending)) => match payload.steps.get(job.step().map_or(0, |step| step.of)) {
            Some(wanted) => (Prepared { work: wanted.work.clone(), derived: None }, Some(ending)),
            None => return finish_step::without_payload(worker, &job, PAYLOAD_MISSING, trace.as_ref()).await,
        },
    };
    let digest_key = &payload.digest_key;
    let work_digest = prepare::digest_of(digest_key, &work);
    let sent_at = job.step().and_then(|step| step.intent.as_ref()).map(|intent| intent.recorded_at);
    macro_rules! at_cursor {
        ($work:expr) => {
            AtCursor { job, work: $work, work_digest, derived, digest_key, trace, deadline, sent_at }
        };
    }
    match &work {
        Work::Call(call) => {
            let cursor = at_cursor!(call);
            if let Some(ending) = first_reason(worker, &cursor.job, unfit) {
                return finish_step::end_call(worker, &cursor, ending).await;
            }
            match Box::pin(worker.take_on(cursor)).await? {
                None => Ok(RunOutcome::LeaseLost),
                Some((cursor, verdict)) => Box::pin(finish_step::apply_verdict(worker, &cursor, verdict)).await,
            }
        }
        Work::Turn(turn) => {
            let cursor = at_cursor!(turn);
            match first_reason(worker, &cursor.job, unfit) {
                Some(ending) => finish_step::end(worker, &cursor, ending).await,
                None => Box::pin(worker.take_turn_on(cursor)).await,
            }
        }
        Work::End(end) => {
            let cursor = at_cursor!(end);
            match first_reason(worker, &cursor.job, unfit) {
                Some(ending) => finish_step::end(worker, &cursor, ending).await,
                None => Box::pin(worker.end_conversation(cursor)).await,
            }
        }
    }
}

/// Why a step ends whose work could not be derived: a cancel or an expiry comes first.
fn first_reason(worker: &Worker, job: &Job, unfit: Option<Ending>) -> Option<Ending> {
    let unfit = unfit?;
    Some(Ending::before_it_began(job, worker.runtime.now()).unwrap_or(unfit))
}

/// Ends a job whose approval request has expired.
async fn lapse(worker: &Worker, job: &Job) -> Result<RunOutcome, RunError> {
    let lapsed = worker.table.lapse_approval(&worker.runtime, job, Actor::Worker, worker.policy.version()).await?;
    // Lost the conditional write to an approval, a rejection or a cancel.
    let Some(took) = lapsed else { return Ok(RunOutcome::NothingToDo) };
    job_metrics::finished(&worker.runtime, worker.policy.catalogue(), &took.before, &took.after, None);
    conversation_queue::leave(worker, &took.after).await;
    Ok(RunOutcome::Over(took.after.state))
}
