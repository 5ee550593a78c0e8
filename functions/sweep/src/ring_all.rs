//! Rings every open job of the index, whatever its time.

use std::time::Duration;

use shared::{
    job::Job,
    queue::Bell,
    request_id::RequestId,
    table::{Stored, keys},
    timestamp::Timestamp,
    user_id::UserId,
};

use crate::{Fault, Sweep, SweepError};

/// Later than any time that a job may carry.
const END_OF_TIME: Timestamp = Timestamp::from_millis(4_102_444_800_000);
/// Between two bells: one gateway takes about 50 calls a second.
const PAUSE: Duration = Duration::from_millis(20);

/// How many were rung. A job that cannot be does not stop the others.
pub(crate) async fn run(sweep: &Sweep) -> Result<usize, SweepError> {
    let (mut rung, mut failed, mut fault) = (0, 0, None);
    for shard in 0..keys::OPEN_SHARDS {
        let open = match sweep.table.overdue(shard, END_OF_TIME, usize::MAX).await {
            Ok(open) => open,
            Err(error) => {
                failed += 1;
                fault.get_or_insert(Fault::from(error));
                continue;
            }
        };
        for (user, id) in open {
            match ring(sweep, user, id).await {
                Ok(false) => continue,
                Ok(true) => rung += 1,
                Err(error) => {
                    failed += 1;
                    fault.get_or_insert(error);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    match fault {
        Some(fault) => Err(SweepError::Incomplete { failed, fault }),
        None => Ok(rung),
    }
}

/// Whether there was anything to ring.
async fn ring(sweep: &Sweep, user: UserId, id: RequestId) -> Result<bool, Fault> {
    let mut bell = Bell::new(user, id, None);
    let after = match sweep.table.job(user, id).await? {
        None => return Ok(false),
        // One that ended as unknown waits for the next sweep.
        Some(Stored::Job(job)) if job.state.is_over() => return Ok(false),
        Some(Stored::Job(job)) => {
            bell.traceparent.clone_from(&job.trace);
            due_in(&job, sweep.world.now())
        }
        Some(Stored::Newer) => Duration::ZERO,
    };
    sweep.queue.ring(&bell, after).await?;
    Ok(true)
}

/// How long until a worker can do something about it: a bell that comes sooner is acknowledged and gone.
fn due_in(job: &Job, now: Timestamp) -> Duration {
    let lease_over = job.lease.as_ref().map(|lease| lease.expires_at);
    lease_over.or(job.check_at).map_or(Duration::ZERO, |due| due.since(now))
}
