//! Rings every open job once, when the process starts: the embedded queue forgets its messages.

use std::time::Duration;

use domain::{ids::Timestamp, job::Job};
use platform::{
    metrics::Metric,
    queue::{Queue, WakeUpMessage},
    runtime::Runtime,
};
use store::{Stored, Table, TableError, keys};

/// How many jobs of one shard are rung. Whatever is beyond, the sweep rings when it is overdue.
const JOBS_PER_SHARD: usize = 5000;
/// Later than any time that a job may carry.
const END_OF_TIME: Timestamp = Timestamp::from_millis(4_102_444_800_000);

/// Rings every open job for the time at which it is due, and says how many there were. A bell that the queue does not take
/// is left to the sweep.
pub async fn wake_open_jobs(table: &Table, queue: &Queue, runtime: &Runtime) -> Result<usize, TableError> {
    let mut woken = 0;
    for shard in 0..keys::OPEN_SHARDS {
        for (user, id) in table.overdue(shard, END_OF_TIME, JOBS_PER_SHARD).await? {
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
                    tracing::warn!(function = "local", %error, "an open job could not be rung; the sweep will");
                }
            }
        }
    }
    Ok(woken)
}

/// How long until a worker can do something about it.
fn due_in(job: &Job, now: Timestamp) -> Duration {
    let lease_over = job.lease.as_ref().map(|lease| lease.expires_at);
    lease_over.or(job.check_at).map_or(Duration::ZERO, |due| due.since(now))
}
