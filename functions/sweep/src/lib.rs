//! sweep: rings overdue jobs, so that a lost bell delays a job and never loses it. Decides nothing about a job: whatever
//! is to become of it, a worker finds out under a claim. Also takes the messages of alarms, which lower the service's mode.

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

/// The function, wired.
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
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] GatewayClientError),
    /// No HTTP client for what is exported.
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

/// A run that could not be finished. Whatever it left undone, the next one finds.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Some jobs, or shards of the index, were left. The others were not.
    #[error("{failed} jobs or shards could not be swept, one of them because {fault}")]
    Incomplete {
        /// How many.
        failed: usize,
        /// What the first of them met.
        fault: Fault,
    },
    /// The heartbeat could not be written.
    #[error("the heartbeat could not be written: {0}")]
    Heartbeat(Fault),
    /// An alarm's message could not be acted upon. It comes again.
    #[error("the mode could not be lowered: {0}")]
    Alarm(TableError),
}

/// What one job or shard met.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Its part of the run was over.
    #[error("{0}")]
    CutOff(String),
}

impl From<CutOff> for Fault {
    fn from(cut_off: CutOff) -> Self {
        Self::CutOff(cut_off.to_string())
    }
}

impl Sweep {
    /// Wires it; builds every client once.
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

    /// What Lambda does: an event of SNS brings messages of alarms; any other only says that it is time.
    pub async fn handle(&self, event: &Value, deadline: Timestamp) -> Result<(), SweepError> {
        match alarm::texts(event) {
            Some(texts) => alarms::take(self, &texts).await.map_err(SweepError::Alarm),
            None => self.run(deadline).await.map(drop),
        }
    }

    /// One run; is over before `deadline`. Its metrics are written whatever became of its duties.
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
            Ok(_) => tracing::info!(function = "sweep", rung = woken, skipped, duration_ms, "swept"),
            Err(error) => {
                tracing::error!(function = "sweep", rung = woken, skipped, failed, duration_ms, error = %error, "swept in part");
            }
        }
        let runs = [(Metric::SweepRuns, 1.0), (Metric::SweepFailures, metrics::one_if(ended.is_err()))];
        self.runtime.measure(&[&runs[..], &measured[..]].concat(), &[]);
        ended
    }

    /// The service's mode, for its gauge. What cannot be read acts as `read_only`.
    async fn mode(&self, budget: &Budget<'_>) -> Mode {
        let read = budget.share(100).limit("reading the mode", self.controls.read(&self.table, &self.runtime)).await;
        read.ok().flatten().map_or(Mode::ReadOnly, |controls| controls.service.mode)
    }

    /// The table, for whoever counts what it costs.
    pub fn table(&self) -> &Table {
        &self.table
    }
}
