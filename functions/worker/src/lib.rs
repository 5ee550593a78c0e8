//! worker: runs jobs. A wake-up message carries no work; it makes the worker read the job from the table.
//!
//! For each message: read the job, claim it under a lease, and advance the step at the cursor by one answer of the
//! gateway ([`run_job`]). No function waits for a slow call: the call is sent, the job is suspended, and a delayed
//! wake-up message is sent.

use std::{sync::Arc, time::Duration};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::{
    ids::Timestamp,
    policy::{Policy, PolicyFault},
};
use platform::{
    config::WorkerConfig,
    non_empty::NonEmpty,
    openclaw::{Gateway, GatewayClientError, GatewayTokens},
    queue::Queue,
    runtime::Runtime,
    secrets::{Secrets, SecretsError, WorkerSecrets},
    wechat::{BadWechatClient, WechatClient},
};
use secrecy::SecretString;
use service::{access_token::AccessTokens, controls::ControlsCache, jobs::Jobs};
use store::Table;

mod batch;
mod call;
mod content_safety;
mod conversation;
mod erasure;
mod journal;
mod notify;
mod run_job;
mod step;
mod turn;

pub use call::WAIT_AT_MOST;
pub use journal::AT_ONCE;

/// Invariant 5, *lease outlives work*: HTTP timeout < function deadline < lease expiry. The lease exceeds the deadline
/// by this, for differences between clocks.
pub const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// Work stops this long before the deadline.
pub const STOP_BEFORE: Duration = Duration::from_secs(2);
/// With less time left than this, nothing new is begun.
pub const LEAST_TIME: Duration = Duration::from_secs(12);

/// The function with its clients and caches.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    runtime: Runtime,
    table: Table,
    queue: Queue,
    gateway: Gateway,
    policy: Arc<Policy>,
    controls: ControlsCache,
    secrets: Secrets<WorkerKeys>,
    wechat: WechatClient,
    view: journal::view::Cache,
}

/// The secrets, taken apart once per refresh.
#[derive(Debug)]
struct WorkerKeys {
    tokens: Arc<GatewayTokens>,
    /// Without them no notification is sent, and no text can be checked.
    app_secrets: Option<NonEmpty<SecretString>>,
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The catalogue or the policies are invalid.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
    /// The HTTP client of the gateway could not be built.
    #[error(transparent)]
    Client(#[from] GatewayClientError),
    /// The HTTP client of WeChat could not be built.
    #[error(transparent)]
    Wechat(#[from] BadWechatClient),
}

impl Worker {
    /// The use cases of a job that other functions have, too.
    fn jobs(&self) -> Jobs<'_> {
        let Self { table, queue, runtime, policy, .. } = self;
        Jobs { table, queue, runtime, policy, function: "worker" }
    }

    /// WeChat's access token, which all functions share.
    fn access_tokens(&self) -> AccessTokens<'_> {
        let Self { table, runtime, wechat, config, .. } = self;
        AccessTokens { function: "worker", runtime, table, wechat, app_id: &config.wechat_app_id }
    }

    /// Builds the function and every client once, with the policy that is compiled in.
    pub fn new(config: WorkerConfig, runtime: Runtime) -> Result<Self, StartError> {
        let policy = Policy::built_in()?;
        Self::with_policy(config, runtime, policy)
    }

    /// Builds the function with another policy than the one compiled in, as a newer deployment would have.
    pub fn with_policy(config: WorkerConfig, runtime: Runtime, policy: Arc<Policy>) -> Result<Self, StartError> {
        let table = &config.table;
        Ok(Self {
            table: Table::new(table.aws.dynamodb(), table.table.clone(), table.retention),
            queue: Queue::new(table.aws.sqs(), config.queue.url.clone(), config.queue.fair),
            gateway: Gateway::new(&config.openclaw_base_url, runtime.clone())?,
            secrets: Secrets::new("worker", config.secrets.clone(), &table.aws),
            wechat: WechatClient::new("worker", &config.wechat_base_url, runtime.clone())?,
            controls: ControlsCache::new("worker", config.checkpoint_max_age),
            view: journal::view::Cache::default(),
            policy,
            config,
            runtime,
        })
    }

    /// Handles one batch, and finishes all work before `deadline`. A message that failed is reported, and SQS delivers
    /// it again after the visibility timeout.
    pub async fn handle_batch(&self, event: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
        batch::handle(self, event, deadline).await
    }

    /// Reads the secrets at start, so that a function whose secrets are missing or invalid does not start.
    pub async fn load_secrets(&self) -> Result<(), SecretsError> {
        self.read_keys().await.map(drop)
    }

    async fn read_keys(&self) -> Result<Arc<WorkerKeys>, SecretsError> {
        let make = |secrets: WorkerSecrets| {
            Ok(WorkerKeys {
                tokens: Arc::new(secrets.openclaw.tokens()),
                app_secrets: secrets.wechat.map(|wechat| wechat.app_secrets),
            })
        };
        self.secrets.get(&self.runtime, make).await
    }

    /// The table, for tests that count its requests.
    pub fn table(&self) -> &Table {
        &self.table
    }
}
