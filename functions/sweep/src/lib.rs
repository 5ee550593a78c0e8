//! sweep: rings overdue jobs, so that a lost bell delays a job and never loses it. Decides nothing about a job: whatever
//! is to become of it, a worker finds out under a claim.

use std::time::Instant;

use shared::{
    clock::World,
    config::SweepConfig,
    metrics::{self, Metric},
    openclaw::{Gateway, GatewayClientError},
    queue::{Queue, QueueError},
    table::{Table, TableError},
    timestamp::Timestamp,
};

mod open_jobs;
mod overdue;

use overdue::Tally;

/// The function, wired.
#[derive(Debug)]
pub struct Sweep {
    config: SweepConfig,
    world: World,
    table: Table,
    queue: Queue,
    gateway: Gateway,
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] GatewayClientError),
}

/// What one run did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SweepReport {
    /// Overdue jobs that were rung.
    pub rung: usize,
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
    Heartbeat(TableError),
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
}

impl Sweep {
    /// Wires it; builds every client once.
    pub fn new(config: SweepConfig, world: World) -> Result<Self, StartError> {
        let table = &config.table;
        Ok(Self {
            table: Table::new(table.aws.dynamodb(), table.table.clone(), table.retention),
            queue: Queue::new(table.aws.sqs(), config.queue.url.clone(), config.queue.fair),
            gateway: Gateway::new(&config.openclaw_base_url, world.clone())?,
            config,
            world,
        })
    }

    /// One run; stops before `deadline`.
    pub async fn run(&self, deadline: Timestamp) -> Result<SweepReport, SweepError> {
        let began = Instant::now();
        let (tally, seen, beaten) = overdue::run(self, deadline).await;
        let measured = seen.values(&tally.overdue);
        let Tally { report, failed, fault, .. } = tally;
        let ended = match (fault, beaten) {
            (Some(fault), _) => Err(SweepError::Incomplete { failed, fault }),
            (None, Err(error)) => Err(SweepError::Heartbeat(error)),
            (None, Ok(())) => Ok(report),
        };
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let SweepReport { rung, skipped } = report;
        match &ended {
            Ok(_) => tracing::info!(function = "sweep", rung, skipped, duration_ms, "swept"),
            Err(error) => {
                tracing::error!(function = "sweep", rung, skipped, failed, duration_ms, error = %error, "swept in part");
            }
        }
        let runs = [(Metric::SweepRuns, 1.0), (Metric::SweepFailures, metrics::one_if(ended.is_err()))];
        self.world.measure(&[&runs[..], &measured[..]].concat(), &[]);
        ended
    }

    /// The table, for whoever counts what it costs.
    pub fn table(&self) -> &Table {
        &self.table
    }
}
