//! Wake-up messages that a worker enqueues: for its own job, and for the next job of the conversation.

use std::time::Duration;

use domain::{ids::TraceParent, job::Job};
use platform::{metrics::Metric, queue::WakeUpMessage};

use super::RunError;
use crate::Worker;

/// Enqueues the next wake-up message. Must happen before this message is acknowledged: otherwise a crash in between
/// would leave the job without one until the reconciler finds it.
pub(crate) async fn wake(
    worker: &Worker,
    job: &Job,
    trace: Option<&TraceParent>,
    wait: Duration,
) -> Result<(), RunError> {
    let wake_up = WakeUpMessage::new(job.user_id, job.request_id, trace);
    Ok(worker.queue.wake(&wake_up, wait).await.inspect_err(|_| worker.runtime.count(Metric::WakeUpFailures))?)
}

/// Removes a finished job from its conversation queue, and wakes the next one. A failure only delays: a waiting job
/// checks the queue again by itself.
pub(crate) async fn leave_queue(worker: &Worker, job: &Job) {
    let next = match worker.table.wake_next(&worker.runtime, job).await {
        Ok(next) => next,
        Err(error) => {
            tracing::warn!(
                function = "worker", code = "not_handed_on", request_id = %job.request_id, error = %error,
                "the job is over, and still in line"
            );
            return;
        }
    };
    let Some(next) = next else { return };
    let trace = next.trace.as_deref().and_then(TraceParent::parse);
    let wake_up = WakeUpMessage::new(next.user_id, next.request_id, trace.as_ref());
    if let Err(error) = worker.queue.wake(&wake_up, Duration::ZERO).await {
        worker.runtime.count(Metric::WakeUpFailures);
        tracing::warn!(
            function = "worker", code = "not_rung", request_id = %next.request_id, error = %error,
            "who is next in line was not rung"
        );
    }
}
