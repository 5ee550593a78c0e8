//! The whole service in one process.

use std::{path::PathBuf, sync::Arc, time::Duration};

use domain::policy::Policy;
use edge_auth::EdgeAuth;
use local::{
    emulation::{
        api_gateway::Functions, backend::Backend, expiry::ExpiredItems, listener::Server, wechat_stub::WechatStub,
    },
    host::configs::Deployment,
};
use platform::{
    aws::AwsSettings,
    config::EdgeAuthConfig,
    runtime::{Runtime, System},
};
use store::Table;
use sweep::Sweep;
use worker::Worker;

use crate::{Capture, Faults, MiniGateway, clock::ManualClock, delays::Delays};

mod controls;
mod delivery;
mod erasure;
mod inspect;
mod ledger;
mod people;
mod setup;

pub use inspect::Inspect;
pub use ledger::{effects_in, lines_of, notes_in};
pub use setup::{Setup, new_dir};

/// The service. Dropping it closes its listeners, kills its gateway and removes its files.
#[derive(Debug)]
pub struct App {
    /// The clock of the service.
    pub clock: ManualClock,
    /// The metrics that were measured.
    pub metrics: Capture,
    /// Injects faults between the functions and table and queue.
    pub faults: Faults,
    /// Messages that are delayed and not due yet.
    pub delays: Delays,
    /// The mini gateway, unless the setup gives another gateway.
    pub gateway: Option<MiniGateway>,
    /// The functions behind HTTP.
    pub functions: Functions,
    /// The worker.
    pub worker: Arc<Worker>,
    /// The scheduled function.
    pub sweep: Sweep,
    table: Table,
    /// Its secrets document.
    pub secrets_file: PathBuf,
    /// Settings of the functions.
    pub deployment: Deployment,
    /// AWS without faults.
    pub aws: AwsSettings,
    edge: fn(&mut EdgeAuthConfig),
    wechat: WechatStub,
    webhook: Option<Server>,
    undone: Vec<String>,
    _dir: ScratchDir,
}

/// A directory of one app, removed when the app is dropped.
#[derive(Debug)]
struct ScratchDir(PathBuf);

impl Drop for ScratchDir {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// A lease and the visibility timeout are both over after this long.
pub const AFTER_A_CRASH: Duration = Duration::from_secs(61);

impl App {
    /// Stops the webhook's listener: from now on the gateway plugin cannot report progress.
    pub async fn hang_up(&mut self) {
        self.webhook.take().expect("this app has a webhook").stop().await;
    }

    /// The mini gateway.
    pub fn gateway(&mut self) -> &mut MiniGateway {
        self.gateway.as_mut().expect("this app has a mini gateway")
    }

    /// Starts a new worker with empty caches, and with another policy if given.
    pub fn new_worker(&mut self, policy: Option<Policy>) {
        let runtime = self.metrics.metered(Runtime::new(Arc::new(self.clock.clone()), Arc::new(System)));
        let config = self.deployment.worker();
        let worker = match policy {
            Some(policy) => Worker::with_policy(config, runtime, Arc::new(policy)),
            None => Worker::new(config, runtime),
        };
        self.worker = Arc::new(worker.expect("the worker starts"));
    }

    /// Starts a new edge-auth with empty caches, and with another policy if given.
    pub fn new_edge(&mut self, policy: Option<Policy>) {
        let runtime = self.metrics.metered(Runtime::new(Arc::new(self.clock.clone()), Arc::new(System)));
        let mut config = self.deployment.edge_auth();
        (self.edge)(&mut config);
        let edge = match policy {
            Some(policy) => EdgeAuth::with_policy(config, runtime, Arc::new(policy)),
            None => EdgeAuth::new(config, runtime),
        };
        self.functions.edge_auth = Arc::new(edge.expect("edge-auth starts"));
    }

    /// The items of this app's table, and the clock by which a host deletes expired ones. Without faults.
    pub fn expired_items(&self) -> ExpiredItems {
        let backend = Backend { aws: self.aws.clone(), ..self.deployment.backend.clone() };
        ExpiredItems::new(&backend, self.table.clone(), self.functions.runtime.clone())
    }

    /// Stops the app before the end of its scope, and waits for the requests that its listeners still answer.
    pub async fn stop(self) {
        self.wechat.stop().await;
        if let Some(webhook) = self.webhook {
            webhook.stop().await;
        }
    }
}
