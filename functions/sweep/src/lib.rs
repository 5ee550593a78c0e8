//! sweep: wakes overdue jobs, so that a lost wake-up message delays a job and never loses it. It decides nothing about
//! a job: a worker does that under a claim. Also lowers the service mode for the faults that it observes.

use std::time::{Duration, Instant};

use domain::{
    access::service_mode::{Controls, Mode},
    ids::Timestamp,
    policy::PolicyFiles,
};
use platform::{
    config::SweepConfig,
    metrics::{self, Metric},
    openclaw::{Gateway, GatewayClientError},
    queue::{Queue, QueueError},
    runtime::Runtime,
    secrets::Secrets,
};
use service::controls::ControlsCache;
use store::{Table, TableError};

mod budget;
mod checkpoints;
mod erasures;
mod export;
mod fault_watch;
mod held_texts;
mod open_jobs;
mod overdue;

use budget::{Budget, CutOff};
use checkpoints::Checkpoints;
use export::Export;
use overdue::Tally;

/// Not measured before a mode is set for the first time: until then secrets are empty and the gateway may be missing,
/// and alarms on them would report the first day and nothing else.
const IN_SERVICE_ONLY: [Metric; 3] = [Metric::GatewayReady, Metric::CheckpointAge, Metric::CheckpointFailures];

/// The function with its clients and caches.
#[derive(Debug)]
pub struct Sweep {
    config: SweepConfig,
    runtime: Runtime,
    table: Table,
    queue: Queue,
    gateway: Gateway,
    controls: ControlsCache,
    checkpoints: Checkpoints,
    /// Of the policy in force, for the records of changes of the mode.
    policy_version: String,
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The HTTP client for the gateway could not be built.
    #[error(transparent)]
    Client(#[from] GatewayClientError),
    /// The HTTP client for exports could not be built.
    #[error("no client for the bucket can be made")]
    Export(#[source] reqwest::Error),
}

/// Result of one run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SweepReport {
    /// Overdue jobs that were woken.
    pub woken: usize,
    /// Entries of the index that needed nothing.
    pub skipped: usize,
}

/// A run that did not finish. The next run does what is left.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Some jobs, or shards of the index, failed. The others were swept.
    #[error("{failed} jobs or shards could not be swept, one of them because {fault}")]
    Incomplete {
        /// How many.
        failed: usize,
        /// The first fault.
        fault: Fault,
    },
    /// The heartbeat could not be written.
    #[error("the heartbeat could not be written: {0}")]
    Heartbeat(Fault),
    /// The faults that lower the service mode could not be counted, or the mode not be changed.
    #[error("the service mode could not be watched: {0}")]
    FaultWatch(Fault),
}

/// Why one job or shard failed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A request to the table failed.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The queue did not take the message.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The duty has used up its share of the run.
    #[error("{0}")]
    CutOff(String),
}

impl From<CutOff> for Fault {
    fn from(cut_off: CutOff) -> Self {
        Self::CutOff(cut_off.to_string())
    }
}

impl Sweep {
    /// Builds the function and every client once.
    pub fn new(config: SweepConfig, runtime: Runtime) -> Result<Self, StartError> {
        let table = &config.table;
        let checkpoints = Checkpoints {
            secrets: Secrets::new("sweep", config.secrets.clone(), &table.aws),
            export: Export::new(&config.checkpoints_to, table).map_err(StartError::Export)?,
            every: config.checkpoint_every,
        };
        Ok(Self {
            table: Table::new(table.aws.dynamodb(), table.table.clone(), table.retention),
            queue: Queue::new(table.aws.sqs(), config.queue.url.clone(), config.queue.fair),
            gateway: Gateway::new(&config.openclaw_base_url, runtime.clone())?,
            controls: ControlsCache::new("sweep", Duration::ZERO),
            checkpoints,
            config,
            runtime,
            policy_version: PolicyFiles::built_in().version(),
        })
    }

    /// The same for another policy than the one that is compiled in.
    #[must_use]
    pub fn with_policy_version(self, policy_version: String) -> Self {
        Self { policy_version, ..self }
    }

    /// One run; it ends before `deadline`. Its metrics are written even if its duties failed.
    pub async fn run(&self, deadline: Timestamp) -> Result<SweepReport, SweepError> {
        let began = Instant::now();
        let budget = Budget::new(&self.runtime, deadline);
        let (tally, seen, beaten) = overdue::run(self, &budget).await;
        let mut measured = seen.values(&tally.overdue);
        measured.extend(erasures::wake(self, &budget).await);
        measured.extend(held_texts::look(self, &budget).await);
        measured.extend(checkpoints::run(self, &budget).await);
        let (mode, watched) = Box::pin(self.watch_faults(seen.gateway_reachable, &budget)).await;
        match mode {
            Some(mode) => measured.push((Metric::Mode, f64::from(mode.level()))),
            None => measured.retain(|(metric, _)| !IN_SERVICE_ONLY.contains(metric)),
        }
        let Tally { report, failed, fault, .. } = tally;
        let ended = match (fault, beaten, watched) {
            (Some(fault), _, _) => Err(SweepError::Incomplete { failed, fault }),
            (None, Err(fault), _) => Err(SweepError::Heartbeat(fault)),
            (None, Ok(()), Err(fault)) => Err(SweepError::FaultWatch(fault)),
            (None, Ok(()), Ok(())) => Ok(report),
        };
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let SweepReport { woken, skipped } = report;
        match &ended {
            Ok(_) => tracing::info!(function = "sweep", woken, skipped, duration_ms, "swept"),
            Err(error) => {
                tracing::error!(function = "sweep", woken, skipped, failed, duration_ms, error = %error, "the run could not be finished");
            }
        }
        let runs = [(Metric::SweepRuns, 1.0), (Metric::SweepFailures, metrics::one_if(ended.is_err()))];
        self.runtime.measure(&[&runs[..], &measured[..]].concat(), &[]);
        ended
    }

    /// Changes the service mode for what was observed, and returns it for its gauge: `None` if none was ever set.
    async fn watch_faults(&self, reachable: Option<bool>, budget: &Budget<'_>) -> (Option<Mode>, Result<(), Fault>) {
        let controls = self.read_controls(budget).await;
        let work = fault_watch::run(self, reachable, controls.as_ref());
        let (changed, watched) = match budget.share(50).limit("watching for faults", work).await {
            Ok(Ok(changed)) => (changed, Ok(())),
            Ok(Err(error)) => (true, Err(error.into())),
            Err(cut_off) => (true, Err(cut_off.into())),
        };
        let controls = if changed { self.read_controls(budget).await } else { controls };
        let mode = match controls {
            Some(controls) => controls.is_set().then_some(controls.service.mode),
            // An unreadable mode acts as `read_only`.
            None => Some(Mode::ReadOnly),
        };
        (mode, watched)
    }

    async fn read_controls(&self, budget: &Budget<'_>) -> Option<Controls> {
        let read = budget.share(50).limit("reading the mode", self.controls.read(&self.table, &self.runtime)).await;
        read.ok().flatten()
    }

    /// The table, for tests that count its requests.
    pub fn table(&self) -> &Table {
        &self.table
    }
}
