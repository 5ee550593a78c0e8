//! One run of one job: claim it, advance the step at the cursor by one answer, commit the outcome.

use domain::{
    ids::{Actor, Timestamp, TraceParent},
    job::{APPROVED_WITHIN, Job, JobEvent, JobState, Lease, StepKind, submission::Work},
};
use platform::{
    metrics::{self, Metric},
    queue::WakeUpMessage,
};
use store::{Commit, Payload, PayloadAndUser, Stored, TableError};

use crate::{
    LEASE_MARGIN, Worker, call, erasure, notify,
    step::{
        Ending, RunError, RunOutcome, StepContext, finish,
        policy_context::KnownUser,
        prepare::{self, Prepared},
    },
};

/// The payload of the step is no longer stored.
const PAYLOAD_MISSING: &str = "payload_missing";
/// The payload of the step is stored, and cannot be parsed.
const PAYLOAD_UNREADABLE: &str = "payload_unreadable";

/// A job that this worker has claimed, with its payload and the time limit.
struct Claimed<'a> {
    job: Job,
    payload: &'a Payload,
    user: KnownUser,
    trace: Option<TraceParent>,
    deadline: Timestamp,
}

pub(crate) async fn run(worker: &Worker, wake_up: &WakeUpMessage, deadline: Timestamp) -> Result<RunOutcome, RunError> {
    if wake_up.erasure {
        return Box::pin(erasure::run(worker, wake_up.user_id, deadline)).await;
    }
    let now = worker.runtime.now();
    let job = match worker.table.job(wake_up.user_id, wake_up.request_id).await? {
        None => return Ok(RunOutcome::NoJob),
        Some(Stored::Newer) => return Ok(RunOutcome::NothingToDo),
        Some(Stored::Job(job)) => job,
    };
    // Once a notice is handled, a further message of the job is for what follows.
    if job.state.is_over()
        && let Some(state) = notify::send_due(worker, &job).await
    {
        return Ok(RunOutcome::Notified(state));
    }
    if job.state == JobState::Unknown && job.resolution.is_none() {
        return call::resolve::run(worker, &job).await;
    }
    if job.lapses_at().is_some_and(|at| at.has_come(now, APPROVED_WITHIN)) {
        return lapse(worker, &job).await;
    }
    if !job.claimable(now) {
        // The worker that ended the deletion may have died before it left the queue, which would block the
        // conversation.
        if job.state.is_over() && job.steps.iter().any(|step| step.kind == StepKind::End) {
            worker.jobs().leave_queue(&job).await;
        }
        // It waits for an approval, or another worker has it.
        let notified = if job.state.is_over() { None } else { notify::send_due(worker, &job).await };
        return Ok(notified.map_or(RunOutcome::NothingToDo, RunOutcome::Notified));
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
    let (payload, user) = match read_inputs(worker, &after).await {
        Ok((Some(payload), user)) => (payload, user),
        Ok((None, _)) => return finish::without_payload(worker, &after, PAYLOAD_MISSING, trace.as_ref()).await,
        // A malformed payload stays malformed. Returned as an error, the message would become a dead letter, and the
        // reconciler would send another.
        Err(TableError::Malformed("payload")) => {
            return finish::without_payload(worker, &after, PAYLOAD_UNREADABLE, trace.as_ref()).await;
        }
        Err(error) => return Err(error.into()),
    };
    // Boxed: the futures below are large, and Cedar refuses to evaluate with little stack left.
    Box::pin(go_on(worker, Claimed { job: after, payload: &payload, user, trace, deadline })).await
}

/// Reads the payload; and the user with it, by the same request, if policy has to be asked about the step.
async fn read_inputs(worker: &Worker, job: &Job) -> Result<(Option<Payload>, KnownUser), TableError> {
    // A step with an intent was decided before, and the deletion of a conversation needs no decision.
    if job.step().is_some_and(|step| step.intent.is_none() && step.kind != StepKind::End) {
        let PayloadAndUser { payload, user } = worker.table.payload_and_user(job).await?;
        return Ok((payload, KnownUser::Read(user)));
    }
    Ok((worker.table.payload(job.user_id, job.request_id, job.fingerprint).await?, KnownUser::NotRead))
}

/// Advances the step at the cursor, by its kind. Each kind goes the same way: decide, dispatch, verdict, apply.
async fn go_on(worker: &Worker, claimed: Claimed<'_>) -> Result<RunOutcome, RunError> {
    let Claimed { job, payload, user, trace, deadline } = claimed;
    let prepared = match worker.prepare(&job, payload).await {
        Err(RunError::Table(TableError::Malformed(_))) => {
            return finish::without_payload(worker, &job, PAYLOAD_UNREADABLE, trace.as_ref()).await;
        }
        prepared => prepared?,
    };
    let submitted = || payload.steps.get(job.step().map_or(0, |step| step.of)).map(|wanted| wanted.work.clone());
    let (work, derived, unfit) = match prepared {
        Prepared::Ready(work) => (Some(work), None, None),
        Prepared::Derived(derived) => (Some(derived.work.clone()), Some(derived), None),
        // Nothing is sent; the submitted work is used for the audit record.
        Prepared::Ends(ending) => (submitted(), None, Some(ending)),
        Prepared::Missing => (None, None, None),
    };
    let fits = |work: &Work| unfit.is_some() || job.step().is_some_and(|step| prepare::fits(step, work));
    let Some(work) = work.filter(fits) else {
        return finish::without_payload(worker, &job, PAYLOAD_MISSING, trace.as_ref()).await;
    };
    let digest_key = &payload.digest_key;
    let work_digest = prepare::digest_of(digest_key, &work);
    let sent_at = job.step().and_then(|step| step.intent.as_ref()).map(|intent| intent.recorded_at);
    let context = StepContext { job, work_digest, derived, digest_key, user, trace, deadline, sent_at };
    if let Some(unfit) = unfit {
        // A cancel or an expiry comes before the reason why the work could not be derived.
        let ending = Ending::before_it_began(&context.job, worker.runtime.now()).unwrap_or(unfit);
        return match &work {
            Work::Call(call) => worker.end_call(&context, call, &ending).await,
            Work::Turn(_) | Work::End(_) => finish::end(worker, &context, &ending).await,
        };
    }
    match &work {
        Work::Call(call) => Box::pin(worker.run_call(context, call)).await,
        Work::Turn(turn) => Box::pin(worker.run_turn(context, turn)).await,
        Work::End(end) => Box::pin(worker.run_deletion(&context, end)).await,
    }
}

/// Ends a job whose approval request has expired, or refuses the held text that no operator has decided about in time.
async fn lapse(worker: &Worker, job: &Job) -> Result<RunOutcome, RunError> {
    let lapsed = if job.pending_text().is_some() {
        worker.jobs().lapse_held_text(job).await?
    } else {
        worker.jobs().lapse_approval(job, Actor::Worker).await?
    };
    // Lost the conditional write to a decision or a cancel.
    let Some(after) = lapsed else { return Ok(RunOutcome::NothingToDo) };
    worker.jobs().wake_if_due(&after).await;
    // After a refused proposal the job goes on.
    Ok(if after.state.is_over() { RunOutcome::Over(after.state) } else { RunOutcome::Later })
}
