//! The reconciler: reads each overdue job of each shard, postpones its next sweep and wakes it; then writes the
//! heartbeat.

use std::time::Duration;

use domain::{
    ids::{RequestId, Timestamp, UserId},
    job::{Job, JobEvent, JobState, SWEPT_WITHIN},
    limits::Backoff,
};
use futures_util::{StreamExt, stream};
use platform::{
    metrics::{self, Metric},
    queue::WakeUpMessage,
};
use store::{Commit, Heartbeat, Stored, TableError, keys};

use crate::{
    Fault, Sweep, SweepReport,
    budget::{Budget, Share},
    open_jobs::{self, Overdue, Seen},
};

/// Timeout of the request that checks whether the gateway is reachable.
const GATEWAY_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the outcome of an unknown job is asked for: first after minutes, then hourly, for two days.
const UNKNOWN_SWEEPS: u32 = 48;
/// How many jobs are read and postponed concurrently: enough to hide the table's latency, few enough for the
/// connections and the memory of a small function.
const AT_ONCE: usize = 32;
/// How many jobs are postponed before those that are due are woken. If a run dies in between, at most this many jobs
/// wait for their next backoff.
const WAVE: usize = 100;
/// How many failed jobs of a run are named in the log; the others are only counted.
const NAMED_AT_MOST: usize = 50;

/// The progress of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) report: SweepReport,
    /// Jobs and shards that failed.
    pub(crate) failed: usize,
    /// The first fault.
    pub(crate) fault: Option<Fault>,
    /// Entries that the index returned.
    found: usize,
    /// Open jobs that were overdue, and for how long.
    pub(crate) overdue: Overdue,
}

impl Tally {
    fn fail(&mut self, fault: impl Into<Fault>) {
        self.failed += 1;
        self.fault.get_or_insert(fault.into());
    }

    fn fail_job(&mut self, (user, id): (UserId, RequestId), fault: impl Into<Fault>) {
        let fault = fault.into();
        if self.failed < NAMED_AT_MOST {
            tracing::warn!(
                function = "sweep", request_id = %id, user_id = %user, error = %fault, "a job could not be swept"
            );
        }
        self.fail(fault);
    }
}

/// What to do about an entry of the index.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// Nothing: the index lags behind, or a worker holds the job.
    Nothing,
    /// Wake the job, and set its next sweep to this time; `None` takes it out of the index.
    Wake(Option<Timestamp>),
    /// Take it out of the index.
    Drop,
}

/// The outcome for one entry of the index.
struct Looked {
    job: (UserId, RequestId),
    /// How long the job has been overdue, if it is open and due.
    late: Option<Duration>,
    /// The wake-up message to send for it, if any.
    outcome: Result<Option<WakeUpMessage>, Fault>,
}

/// Sweeps, and writes the heartbeat also after a failure: it shows that `sweep` runs.
pub(crate) async fn run(sweep: &Sweep, budget: &Budget<'_>) -> (Tally, Seen, Result<(), Fault>) {
    let mut tally = Tally::default();
    let share = budget.share(60);
    // Concurrently, so that an unreachable gateway does not use up the time that is left at the end.
    let (woken, reachable) = tokio::join!(
        share.limit("waking overdue jobs", wake_overdue(sweep, &share, &mut tally)),
        share.limit("asking the gateway", sweep.gateway.reachable(GATEWAY_TIMEOUT)),
    );
    if let Err(cut_off) = woken {
        tally.fail(cut_off);
    }
    let gateway_reachable = reachable.ok();
    let overdue = tally.found as u64;
    let beat = Heartbeat { at: sweep.runtime.now(), gateway_reachable: gateway_reachable == Some(true), overdue };
    let beaten = match budget.share(25).limit("writing the heartbeat", sweep.table.beat(beat)).await {
        Ok(beaten) => beaten.map_err(Fault::from),
        Err(cut_off) => Err(cut_off.into()),
    };
    // Measuring comes last, because waking jobs is more important.
    let share = budget.share(25);
    let looked = share.limit("counting open jobs", open_jobs::look(sweep, &share, &mut tally.overdue)).await;
    (tally, Seen { gateway_reachable, open: looked.ok().flatten() }, beaten)
}

async fn wake_overdue(sweep: &Sweep, share: &Share<'_>, tally: &mut Tally) {
    let most = sweep.config.wakes_per_run;
    // Each run starts at a random shard, so that a crowded one cannot use up every run.
    let first = (sweep.runtime.number() % u64::from(keys::OPEN_SHARDS)) as u8;
    for shard in (0..keys::OPEN_SHARDS).map(|place| (first + place) % keys::OPEN_SHARDS) {
        if tally.report.woken >= most || share.is_used_up() {
            break;
        }
        let overdue = match sweep.table.overdue(shard, sweep.runtime.now(), most).await {
            Ok(overdue) => overdue,
            Err(error) => {
                tally.fail(error);
                continue;
            }
        };
        tally.found += overdue.len();
        // Not counted: most of them wait for an approval, and only reading a job shows whether it is due.
        let far = far_ahead(sweep, shard, most).await.unwrap_or_else(|error| {
            tally.fail(error);
            Vec::new()
        });
        let mut entries = overdue.into_iter().chain(far);
        while tally.report.woken < most && !share.is_used_up() {
            let wave: Vec<_> = entries.by_ref().take(WAVE.min(most - tally.report.woken)).collect();
            if wave.is_empty() {
                break;
            }
            let messages = move_forward(sweep, wave, tally).await;
            send(sweep, messages, tally).await;
        }
    }
}

/// Jobs whose next sweep lies so far in the future that they wait for an approval, or that a clock that ran ahead has
/// set it. The index has keys only, so it does not tell which.
async fn far_ahead(sweep: &Sweep, shard: u8, most: usize) -> Result<Vec<(UserId, RequestId)>, TableError> {
    let from = Timestamp::furthest(sweep.runtime.now(), SWEPT_WITHIN);
    sweep.table.planned_after(shard, from, most).await
}

/// Postpones the due jobs of a wave concurrently. Returns the wake-up messages to send for them.
async fn move_forward(sweep: &Sweep, wave: Vec<(UserId, RequestId)>, tally: &mut Tally) -> Vec<WakeUpMessage> {
    let mut looked = stream::iter(wave).map(|job| look_at(sweep, job)).buffer_unordered(AT_ONCE);
    let mut messages = Vec::new();
    while let Some(Looked { job, late, outcome }) = looked.next().await {
        tally.overdue.extend(late.map(|late| (job, late)));
        match outcome {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => tally.report.skipped += 1,
            Err(fault) => tally.fail_job(job, fault),
        }
    }
    messages
}

/// Sends wake-up messages in batches. A message that SQS refuses fails its own job only.
async fn send(sweep: &Sweep, messages: Vec<WakeUpMessage>, tally: &mut Tally) {
    let wanted = messages.len();
    let not_taken = sweep.queue.wake_many(messages).await;
    tally.report.woken += wanted - not_taken.len();
    if !not_taken.is_empty() {
        sweep.runtime.measure(&[(Metric::WakeUpFailures, metrics::number(not_taken.len()))], &[]);
    }
    for (message, error) in not_taken {
        tally.fail_job((message.user_id, message.request_id), error);
    }
}

async fn look_at(sweep: &Sweep, (user, id): (UserId, RequestId)) -> Looked {
    let now = sweep.runtime.now();
    let looked = |late, outcome| Looked { job: (user, id), late, outcome };
    let message = WakeUpMessage::new(user, id, None);
    let job = match sweep.table.job(user, id).await {
        Ok(None) => return looked(None, Ok(None)),
        // A newer worker can run it. This version must not write to it, so it is only woken.
        Ok(Some(Stored::Newer)) => return looked(None, Ok(Some(message))),
        Ok(Some(Stored::Job(job))) => job,
        Err(error) => return looked(None, Err(error.into())),
    };
    let (sweep_at, wakes) = match due(&job, now) {
        Due::Nothing => return looked(None, Ok(None)),
        Due::Wake(sweep_at) => (sweep_at, true),
        Due::Drop => (None, false),
    };
    let late = (wakes && !job.state.is_over()).then(|| now.since(job.due_at()));
    // `due` returns only what fits the state.
    let Ok(swept) = job.apply(JobEvent::Swept { sweep_at }, now) else { return looked(late, Ok(None)) };
    // The job is postponed before its message is sent. If the run dies in between, the job is late by one backoff; in
    // the other order, a table that refuses writes would get a message every minute. Lost the conditional write:
    // another writer has changed the job, so it needs no message.
    let outcome = match sweep.table.commit(&job, &swept, &sweep.runtime.nonce()).await {
        Ok(Commit::Done) => Ok(wakes.then(|| WakeUpMessage { traceparent: job.trace.clone(), ..message })),
        Ok(Commit::Lost(_)) => Ok(None),
        Err(error) => Err(error.into()),
    };
    looked(late, outcome)
}

/// Decides by the job's item, since the index may lag behind.
fn due(job: &Job, now: Timestamp) -> Due {
    if !job.sweep_is_due(now) {
        return Due::Nothing;
    }
    let sweeps = job.sweeps.unwrap_or(0);
    let next = Some(now.plus(Backoff::SWEEP.ceiling(sweeps)));
    match job.state {
        // Invariant 3, *fence*: a new `rev` would make a live worker's commit fail.
        JobState::Running if !job.claimable(now) => Due::Nothing,
        JobState::Queued | JobState::Running | JobState::Waiting | JobState::Retrying | JobState::AwaitingApproval => {
            Due::Wake(next)
        }
        JobState::Unknown if job.resolution.is_some() => Due::Drop,
        JobState::Unknown => Due::Wake(next.filter(|_| sweeps < UNKNOWN_SWEEPS)),
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
    fn an_open_job_is_woken_and_moved_forward_by_a_growing_backoff() {
        for state in [JobState::Queued, JobState::Running, JobState::Waiting, JobState::Retrying] {
            for (sweeps, seconds) in
                [(None, 60), (Some(1), 120), (Some(5), 1920), (Some(6), 3600), (Some(u32::MAX - 1), 3600)]
            {
                let job = Job { sweeps, ..job(state) };
                assert_eq!(due(&job, NOW), Due::Wake(Some(in_seconds(seconds))), "{state:?} {sweeps:?}");
            }
        }
    }

    #[test]
    fn a_live_worker_is_not_fenced_off() {
        let leased =
            |expires_at| Job { lease: Some(Lease { owner: "o".into(), expires_at }), ..job(JobState::Running) };
        assert_eq!(due(&leased(in_seconds(1)), NOW), Due::Nothing);
        assert_eq!(due(&leased(NOW), NOW), Due::Wake(Some(in_seconds(60))));
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
        assert_eq!(due(&unknown(47), NOW), Due::Wake(Some(in_seconds(3600))));
        assert_eq!(due(&unknown(48), NOW), Due::Wake(None));
        let resolution = Some(Resolution { by: ResolvedBy::Journal, happened: true, at: NOW, note: None });
        assert_eq!(due(&Job { resolution, ..unknown(1) }, NOW), Due::Drop);
    }

    #[test]
    fn whatever_is_due_fits_its_state() {
        for state in JobState::ALL {
            if let Due::Wake(sweep_at) = due(&job(state), NOW) {
                let swept = job(state).apply(JobEvent::Swept { sweep_at }, NOW).unwrap();
                assert_eq!((swept.state, swept.rev, swept.sweep_at), (state, 4, sweep_at));
            }
        }
    }
}
