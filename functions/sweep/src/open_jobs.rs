//! Measures how many jobs are open, and which of them are overdue. Changes nothing.
//!
//! The reconciler wakes an overdue job at growing intervals, so the jobs that it wakes in one run are not all that are
//! overdue. Therefore every run also reads the oldest open jobs.

use std::{collections::BTreeMap, time::Duration};

use domain::{
    ids::{RequestId, Timestamp, UserId},
    job::Job,
};
use platform::metrics::{self, Metric};
use store::{Stored, TableError, keys};

use crate::{Sweep, budget::Share};

/// How many entries of a shard are counted at most.
const COUNTED_PER_SHARD: usize = 2500;
/// How many of the oldest open jobs are read: one read unit each.
const LOOKED_AT: usize = 32;
/// How late a wake-up message may be before its job counts as overdue.
const GRACE: Duration = Duration::from_secs(60);
/// Overdue jobs, and for how long they have been.
pub(crate) type Overdue = BTreeMap<(UserId, RequestId), Duration>;

/// What a run measured, besides the overdue jobs.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Outcome of the health check; `None` when the run had no time for it.
    pub(crate) gateway_reachable: Option<bool>,
    /// Entries of the index; `None` when they could not be counted.
    pub(crate) open: Option<usize>,
}

impl Seen {
    /// The metrics of the run.
    pub(crate) fn values(&self, overdue: &Overdue) -> Vec<(Metric, f64)> {
        let oldest = overdue.values().max().copied().unwrap_or_default();
        let mut values = vec![
            (Metric::GatewayReady, metrics::one_if(self.gateway_reachable == Some(true))),
            (Metric::OverdueJobs, metrics::number(overdue.len())),
            (Metric::OverdueAge, oldest.as_secs_f64()),
        ];
        values.extend(self.open.map(|open| (Metric::OpenJobs, metrics::number(open))));
        values
    }
}

/// Counts open jobs, and adds the overdue ones among the oldest. A failure here does not fail the run.
pub(crate) async fn look(sweep: &Sweep, share: &Share<'_>, overdue: &mut Overdue) -> Option<usize> {
    match count(sweep, share, overdue).await {
        Ok(open) => open,
        Err(error) => {
            tracing::warn!(function = "sweep", error = %error, "the open jobs could not be counted");
            None
        }
    }
}

async fn count(sweep: &Sweep, share: &Share<'_>, overdue: &mut Overdue) -> Result<Option<usize>, TableError> {
    let mut open = Vec::new();
    for shard in 0..keys::OPEN_SHARDS {
        if share.is_used_up() {
            return Ok(None);
        }
        open.extend(sweep.table.overdue(shard, Timestamp::END, COUNTED_PER_SHARD).await?);
    }
    // Request ids sort by the time that they contain.
    open.sort_unstable_by_key(|(_, id)| *id);
    for (user, id) in open.iter().take(LOOKED_AT).filter(|key| !overdue.contains_key(key)).copied().collect::<Vec<_>>()
    {
        if share.is_used_up() {
            break;
        }
        if let Some(Stored::Job(job)) = sweep.table.job(user, id).await?
            && let Some(late) = late(&job, sweep.runtime.now())
        {
            overdue.insert((user, id), late);
        }
    }
    Ok(Some(open.len()))
}

/// How long a job has been overdue, if it is.
fn late(job: &Job, now: Timestamp) -> Option<Duration> {
    let late = now.since(job.due_at());
    (!job.state.is_over() && late >= GRACE).then_some(late)
}
