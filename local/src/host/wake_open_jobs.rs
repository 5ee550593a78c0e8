//! Wakes every open job once when the process starts, because the embedded queue loses its messages with the process.

use std::time::Duration;

use domain::{ids::Timestamp, job::Job};
use platform::{
    metrics::Metric,
    queue::{Queue, WakeUpMessage},
    runtime::Runtime,
};
use store::{Stored, Table, TableError, keys};

/// How many jobs of one shard are woken. The reconciler wakes the others when they are overdue.
const JOBS_PER_SHARD: usize = 5000;
/// Sends a wake-up message for every open job, delayed until the job is due, and returns how many there were. A message
/// that the queue does not take is left to the reconciler.
pub async fn wake_open_jobs(table: &Table, queue: &Queue, runtime: &Runtime) -> Result<usize, TableError> {
    let mut woken = 0;
    for shard in 0..keys::OPEN_SHARDS {
        for (user, id) in table.overdue(shard, Timestamp::END, JOBS_PER_SHARD).await? {
            let Some(Stored::Job(job)) = table.job(user, id).await? else { continue };
            if job.state.is_over() {
                continue;
            }
            let mut wake_up = WakeUpMessage::new(user, id, None);
            wake_up.traceparent.clone_from(&job.trace);
            match queue.wake(&wake_up, due_in(&job, runtime.now())).await {
                Ok(()) => woken += 1,
                Err(error) => {
                    runtime.count(Metric::WakeUpFailures);
                    tracing::warn!(function = "local", %error, "an open job could not be woken; the sweep will wake it");
                }
            }
        }
    }
    Ok(woken)
}

/// The time until a worker can claim the job.
fn due_in(job: &Job, now: Timestamp) -> Duration {
    let lease_over = job.lease.as_ref().map(|lease| lease.expires_at);
    lease_over.or(job.check_at).map_or(Duration::ZERO, |due| due.since(now))
}
