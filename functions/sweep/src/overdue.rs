//! One run: the overdue of each shard, each read again, moved forward and rung; then the heartbeat.

use std::time::Duration;

use domain::{
    ids::{RequestId, Timestamp, UserId},
    job::{Job, JobEvent, JobState},
    limits::Backoff,
};
use platform::{
    metrics::Metric,
    queue::{Bell, QueueError},
};
use store::{Commit, Heartbeat, Stored, TableError, keys};

use crate::{
    Fault, Sweep, SweepReport,
    open_jobs::{self, Overdue, Seen},
};

/// A run stops this long before its deadline.
const STOP_BEFORE: Duration = Duration::from_secs(2);
/// How long the gateway may take to show that it is there.
const GATEWAY_PATIENCE: Duration = Duration::from_secs(2);
/// How often the outcome of an unknown job is asked for again: at first after minutes, then hourly, for two days.
const UNKNOWN_SWEEPS: u32 = 48;

/// What a run has done so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) report: SweepReport,
    /// Jobs and shards that were left undone.
    pub(crate) failed: usize,
    /// Why the first of them was.
    pub(crate) fault: Option<Fault>,
    /// Entries that the index gave.
    found: usize,
    /// Open jobs that were overdue, and for how long.
    pub(crate) overdue: Overdue,
}

impl Tally {
    fn fail(&mut self, fault: impl Into<Fault>) {
        self.failed += 1;
        self.fault.get_or_insert(fault.into());
    }
}

/// What is to be done about an entry of the index.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// Nothing: the index lags behind, or a worker is at it.
    Nothing,
    /// To be moved to this time, or out of the index, and rung.
    Ring(Option<Timestamp>),
    /// To be taken out of the index.
    Drop,
}

/// Sweeps, and writes the heartbeat whatever came of it: it says that the sweeper runs.
pub(crate) async fn run(sweep: &Sweep, deadline: Timestamp) -> (Tally, Seen, Result<(), TableError>) {
    // Both at once: the gateway's patience is not taken from the time that is left at the end.
    let (mut tally, gateway_reachable) =
        tokio::join!(ring_overdue(sweep, deadline), sweep.gateway.reachable(GATEWAY_PATIENCE));
    let overdue = tally.found as u64;
    let beat = Heartbeat { at: sweep.world.now(), gateway_reachable, overdue };
    let beaten = sweep.table.beat(beat).await;
    // What is only to be measured comes last.
    let open = open_jobs::look(sweep, deadline, &mut tally.overdue).await;
    (tally, Seen { gateway_reachable, open }, beaten)
}

async fn ring_overdue(sweep: &Sweep, deadline: Timestamp) -> Tally {
    let mut tally = Tally::default();
    let most = sweep.config.rings_per_run;
    // Another shard comes first each time, so that a crowded one does not use up every run.
    let first = (sweep.world.number() % u64::from(keys::OPEN_SHARDS)) as u8;
    for shard in (0..keys::OPEN_SHARDS).map(|place| (first + place) % keys::OPEN_SHARDS) {
        if tally.report.rung >= most || is_late(sweep, deadline) {
            break;
        }
        let overdue = match sweep.table.overdue(shard, sweep.world.now(), most).await {
            Ok(overdue) => overdue,
            Err(error) => {
                tally.fail(error);
                continue;
            }
        };
        tally.found += overdue.len();
        for (user, id) in overdue {
            if tally.report.rung >= most || is_late(sweep, deadline) {
                break;
            }
            match sweep_one(sweep, user, id, &mut tally).await {
                Ok(true) => tally.report.rung += 1,
                Ok(false) => tally.report.skipped += 1,
                Err(fault) => {
                    tracing::warn!(
                        function = "sweep", request_id = %id, user_id = %user, error = %fault,
                        "a job could not be swept"
                    );
                    tally.fail(fault);
                }
            }
        }
    }
    tally
}

pub(crate) fn is_late(sweep: &Sweep, deadline: Timestamp) -> bool {
    deadline.since(sweep.world.now()) <= STOP_BEFORE
}

/// Whether the job was rung.
async fn sweep_one(sweep: &Sweep, user: UserId, id: RequestId, tally: &mut Tally) -> Result<bool, Fault> {
    let now = sweep.world.now();
    let mut bell = Bell::new(user, id, None);
    let job = match sweep.table.job(user, id).await? {
        None => return Ok(false),
        // A newer worker knows what to do with it; what may be written to it, only a newer sweeper knows.
        Some(Stored::Newer) => {
            ring(sweep, &bell).await?;
            return Ok(true);
        }
        Some(Stored::Job(job)) => job,
    };
    let (sweep_at, rings) = match due(&job, now) {
        Due::Nothing => return Ok(false),
        Due::Ring(sweep_at) => (sweep_at, true),
        Due::Drop => (None, false),
    };
    if rings && !job.state.is_over() {
        tally.overdue.insert((user, id), now.since(job.due_at()));
    }
    // `due` asks for nothing that does not fit the state.
    let Ok(swept) = job.apply(JobEvent::Swept { sweep_at }, now) else { return Ok(false) };
    // Before the bell: a sweep that dies between the two is late by one backoff, one that cannot write does not ring each
    // minute. Whoever was quicker has moved the job on.
    if let Commit::Lost(_) = sweep.table.commit(&job, &swept, &sweep.world.nonce()).await? {
        return Ok(false);
    }
    if rings {
        bell.traceparent.clone_from(&job.trace);
        ring(sweep, &bell).await?;
    }
    Ok(rings)
}

async fn ring(sweep: &Sweep, bell: &Bell) -> Result<(), QueueError> {
    let rung = sweep.queue.ring(bell, Duration::ZERO).await;
    rung.inspect_err(|_| sweep.world.count(Metric::RingFailures))
}

/// Judges a job as the table has it, not the index.
fn due(job: &Job, now: Timestamp) -> Due {
    if job.sweep_at.is_none_or(|at| at > now) {
        return Due::Nothing;
    }
    let sweeps = job.sweeps.unwrap_or(0);
    let next = Some(now.plus(Backoff::SWEEP.ceiling(sweeps)));
    match job.state {
        // Invariant 3: a new `rev` would fence a live worker off from its own job.
        JobState::Running if !job.claimable(now) => Due::Nothing,
        JobState::Queued | JobState::Running | JobState::Waiting | JobState::Retrying | JobState::AwaitingApproval => {
            Due::Ring(next)
        }
        JobState::Unknown if job.resolution.is_some() => Due::Drop,
        JobState::Unknown => Due::Ring(next.filter(|_| sweeps < UNKNOWN_SWEEPS)),
        JobState::Succeeded
        | JobState::Failed
        | JobState::Refused
        | JobState::Explained
        | JobState::Cancelled
        | JobState::Expired => Due::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        audit::AuditHead,
        catalogue::ToolEffect,
        ids::Digest,
        job::{Lease, NewJob, Resolution, ResolvedBy, Start, Step},
    };

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn job(state: JobState) -> Job {
        let new = NewJob {
            user_id: UserId::from_random([1; 16]),
            request_id: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap(),
            steps: vec![Step::new("t".into(), ToolEffect::Write)],
            fingerprint: Digest::ZERO,
            audit: AuditHead::EMPTY,
            not_after: NOW,
            deadline: None,
            trace: None,
            start: Start::Queued,
        };
        Job { state, rev: 3, sweep_at: Some(NOW), ..Job::accepted(new, NOW) }
    }

    fn in_seconds(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn an_open_job_is_rung_and_moved_forward_by_a_growing_backoff() {
        for state in [JobState::Queued, JobState::Running, JobState::Waiting, JobState::Retrying] {
            for (sweeps, seconds) in
                [(None, 60), (Some(1), 120), (Some(5), 1920), (Some(6), 3600), (Some(u32::MAX - 1), 3600)]
            {
                let job = Job { sweeps, ..job(state) };
                assert_eq!(due(&job, NOW), Due::Ring(Some(in_seconds(seconds))), "{state:?} {sweeps:?}");
            }
        }
    }

    #[test]
    fn a_live_worker_is_not_fenced_off() {
        let leased =
            |expires_at| Job { lease: Some(Lease { owner: "o".into(), expires_at }), ..job(JobState::Running) };
        assert_eq!(due(&leased(in_seconds(1)), NOW), Due::Nothing);
        assert_eq!(due(&leased(NOW), NOW), Due::Ring(Some(in_seconds(60))));
    }

    #[test]
    fn an_index_that_lags_is_not_believed() {
        for state in JobState::ALL {
            assert_eq!(due(&Job { sweep_at: None, ..job(state) }, NOW), Due::Nothing, "{state:?}");
            assert_eq!(due(&Job { sweep_at: Some(in_seconds(1)), ..job(state) }, NOW), Due::Nothing, "{state:?}");
            if state.is_over() && state != JobState::Unknown {
                assert_eq!(due(&job(state), NOW), Due::Nothing, "{state:?}");
            }
        }
    }

    #[test]
    fn an_unknown_job_is_asked_about_until_it_is_resolved_or_two_days_have_passed() {
        let unknown = |sweeps| Job { sweeps: Some(sweeps), ..job(JobState::Unknown) };
        assert_eq!(due(&unknown(47), NOW), Due::Ring(Some(in_seconds(3600))));
        assert_eq!(due(&unknown(48), NOW), Due::Ring(None));
        let resolution = Some(Resolution { by: ResolvedBy::Journal, happened: true, at: NOW, note: None });
        assert_eq!(due(&Job { resolution, ..unknown(1) }, NOW), Due::Drop);
    }

    #[test]
    fn whatever_is_due_fits_its_state() {
        for state in JobState::ALL {
            if let Due::Ring(sweep_at) = due(&job(state), NOW) {
                let swept = job(state).apply(JobEvent::Swept { sweep_at }, NOW).unwrap();
                assert_eq!((swept.state, swept.rev, swept.sweep_at), (state, 4, sweep_at));
            }
        }
    }
}
