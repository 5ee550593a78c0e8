//! worker: runs jobs. A message only rings; what is to be done stands in the table.
//!
//! For each message: read the job, claim it under a lease, and take the step at the cursor on by one answer of the gateway
//! ([`run_job`]). No function sits out a slow call: it is sent, the job is parked, and a bell is rung for later.

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::{
    ids::Timestamp,
    policy::{Policy, PolicyFault},
};
use platform::{
    config::WorkerConfig,
    openclaw::{Gateway, GatewayClientError, GatewayTokens},
    queue::Queue,
    runtime::Runtime,
    secrets::{Secrets, SecretsError},
};
use service::controls::ControlsCache;
use store::Table;

mod at_cursor;
mod batch;
mod call;
mod commit;
mod conversation_queue;
mod end_conversation;
mod finish_step;
mod gate;
mod journal_view;
mod message;
mod prepare;
mod progress_view;
mod resolve;
mod rounds;
mod run_job;
mod turn;
mod turn_verdict;
mod verdict;

pub use call::{AT_ONCE, WAIT_AT_MOST};

/// Invariant 5, *lease outlives work*: HTTP timeout < function deadline < lease expiry. The lease is longer than the
/// deadline by this, for clocks that differ.
pub const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// Work stops this long before the deadline.
pub const STOP_BEFORE: Duration = Duration::from_secs(2);
/// With less time left than this, nothing new is begun.
pub const LEAST_TIME: Duration = Duration::from_secs(12);

/// The function, wired.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    runtime: Runtime,
    table: Table,
    queue: Queue,
    gateway: Gateway,
    policy: Policy,
    controls: ControlsCache,
    secrets: Secrets<GatewayTokens>,
    view: journal_view::Cache,
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Catalogue or policies cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] GatewayClientError),
}

impl Worker {
    /// Wires it; builds every client once.
    pub fn new(config: WorkerConfig, runtime: Runtime) -> Result<Self, StartError> {
        let policy = Policy::built_in()?;
        Self::with_policy(config, runtime, policy)
    }

    /// Wires it with another policy than the one built in: what a newer deployment would have.
    pub fn with_policy(config: WorkerConfig, runtime: Runtime, policy: Policy) -> Result<Self, StartError> {
        let table = &config.table;
        Ok(Self {
            table: Table::new(table.aws.dynamodb(), table.table.clone(), table.retention),
            queue: Queue::new(table.aws.sqs(), config.queue.url.clone(), config.queue.fair),
            gateway: Gateway::new(&config.openclaw_base_url, runtime.clone())?,
            secrets: Secrets::new("worker", config.secrets.clone(), &table.aws),
            controls: ControlsCache::new("worker", config.checkpoint_max_age),
            view: journal_view::Cache::default(),
            policy,
            config,
            runtime,
        })
    }

    /// Handles one batch; done with all that it starts before `deadline`. What could not be decided is reported as failed
    /// and comes back after the visibility timeout.
    pub async fn handle_batch(&self, event: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
        batch::handle(self, event, deadline).await
    }

    /// Reads the secrets, so that a function without them does not start.
    pub async fn load_secrets(&self) -> Result<(), SecretsError> {
        self.read_tokens().await.map(drop)
    }

    /// The table, for whoever counts what it costs.
    pub fn table(&self) -> &Table {
        &self.table
    }
}
