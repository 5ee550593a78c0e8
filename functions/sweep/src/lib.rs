//! sweep: wakes overdue jobs, so that a lost wake-up message delays a job and never loses it. It decides nothing about
//! a job: a worker does that under a claim. Also handles the messages of alarms, which lower the service mode.

use std::time::{Duration, Instant};

use domain::{
    access::{alarm, service_mode::Mode},
    ids::Timestamp,
};
use platform::{
    config::SweepConfig,
    metrics::{self, Metric},
    openclaw::{Gateway, GatewayClientError},
    queue::{Queue, QueueError},
    runtime::Runtime,
    secrets::Secrets,
};
use serde_json::Value;
use service::controls::ControlsCache;
use store::{Table, TableError};

mod alarms;
mod budget;
mod checkpoints;
mod export;
mod open_jobs;
mod overdue;

use budget::{Budget, CutOff};
use checkpoints::Checkpoints;
use export::Export;
use overdue::Tally;

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

/// What one run did.
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
    /// An alarm's message could not be handled. It is delivered again.
    #[error("the mode could not be lowered: {0}")]
    Alarm(TableError),
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
        })
    }

    /// The entry point of Lambda: an event of SNS carries messages of alarms; every other event starts a run.
    pub async fn handle(&self, event: &Value, deadline: Timestamp) -> Result<(), SweepError> {
        match alarm::texts(event) {
            Some(texts) => alarms::take(self, &texts).await.map_err(SweepError::Alarm),
            None => self.run(deadline).await.map(drop),
        }
    }

    /// One run; it ends before `deadline`. Its metrics are written even if its duties failed.
    pub async fn run(&self, deadline: Timestamp) -> Result<SweepReport, SweepError> {
        let began = Instant::now();
        let budget = Budget::new(&self.runtime, deadline);
        let (tally, seen, beaten) = overdue::run(self, &budget).await;
        let mut measured = seen.values(&tally.overdue);
        measured.extend(checkpoints::run(self, &budget).await);
        measured.push((Metric::Mode, f64::from(self.mode(&budget).await.level())));
        let Tally { report, failed, fault, .. } = tally;
        let ended = match (fault, beaten) {
            (Some(fault), _) => Err(SweepError::Incomplete { failed, fault }),
            (None, Err(fault)) => Err(SweepError::Heartbeat(fault)),
            (None, Ok(())) => Ok(report),
        };
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let SweepReport { woken, skipped } = report;
        match &ended {
            Ok(_) => tracing::info!(function = "sweep", woken, skipped, duration_ms, "swept"),
            Err(error) => {
                tracing::error!(function = "sweep", woken, skipped, failed, duration_ms, error = %error, "swept in part");
            }
        }
        let runs = [(Metric::SweepRuns, 1.0), (Metric::SweepFailures, metrics::one_if(ended.is_err()))];
        self.runtime.measure(&[&runs[..], &measured[..]].concat(), &[]);
        ended
    }

    /// The service mode, for its gauge. An unreadable mode acts as `read_only`.
    async fn mode(&self, budget: &Budget<'_>) -> Mode {
        let read = budget.share(100).limit("reading the mode", self.controls.read(&self.table, &self.runtime)).await;
        read.ok().flatten().map_or(Mode::ReadOnly, |controls| controls.service.mode)
    }

    /// The table, for tests that count its requests.
    pub fn table(&self) -> &Table {
        &self.table
    }
}
