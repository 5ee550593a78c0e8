//! The whole service in one process.

mod claim;
mod options;
mod start;

use domain::{access::service_mode::Controls, alarms::AlarmTableError, limits::RetentionClock, policy::PolicyFiles};
use store::TableError;

pub use self::{
    claim::Claim,
    options::{Login, OperatorIssuer, Options},
};
use crate::{
    data::{DataDir, DataError},
    emulation::{
        console::ConsoleFault,
        engines::{EngineError, Engines},
        expiry::{Expiry, ExpiryError},
        listener::{BindError, Running, Server},
        poller::Pollers,
        schedule::Schedule,
        wechat_stub::WechatStub,
    },
    host::{
        alerts::Alerts, configs::Deployment, functions::CurrentFunctions, initial_mode::BeginFault,
        operators::OperatorKeyFault, settings::Settings,
    },
    secrets::SecretsFault,
};

/// The service cannot start. Each error is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// `--dev` on an address that other hosts can reach.
    #[error(
        "--dev lets every client log in as any user, so it binds loopback only; leave --bind out, or leave --dev out"
    )]
    DevBeyondLoopback,
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The secrets document cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretsFault),
    /// Table or queue cannot start.
    #[error(transparent)]
    Engines(#[from] EngineError),
    /// A port cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Two metrics have the same name.
    #[error("the metrics cannot be exported")]
    Metrics(#[from] ::prometheus::Error),
    /// The tables of alarms that are compiled in have a fault.
    #[error(transparent)]
    Alarms(#[from] AlarmTableError),
    /// A function refuses its configuration.
    #[error("{function} cannot start")]
    Function {
        /// The function.
        function: &'static str,
        /// Its error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The operators' key cannot be used.
    #[error(transparent)]
    Operators(#[from] OperatorKeyFault),
    /// The console cannot be served.
    #[error(transparent)]
    Console(#[from] ConsoleFault),
    /// Open jobs cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The service mode cannot be read or set.
    #[error(transparent)]
    Begin(#[from] BeginFault),
    /// The retention clock cannot be read.
    #[error(transparent)]
    Expiry(#[from] ExpiryError),
}

/// The running service.
#[derive(Debug)]
pub struct Service {
    /// Its URL.
    pub base_url: String,
    /// Its wiring, for tests that read the table or queue.
    pub deployment: Deployment,
    /// How many open jobs were woken at the start.
    pub woken: usize,
    /// The service modes at the start.
    pub controls: Controls,
    /// The clock by which expired items are deleted, as it was at the start.
    pub retention_clock: RetentionClock,
    /// Whether a console is served under `/console/`.
    pub has_console: bool,
    functions: CurrentFunctions,
    front: Server,
    proxied: Option<Running>,
    metrics: Option<Server>,
    pollers: Pollers,
    schedule: Schedule,
    expiry: Expiry,
    alerts: Option<Alerts>,
    stub: Option<WechatStub>,
    engines: Engines,
    // The last field: the directory is unlocked after everything above has stopped.
    data: DataDir,
}

impl Service {
    /// The WeChat stub, with `--dev`.
    pub fn wechat_stub(&self) -> Option<&WechatStub> {
        self.stub.as_ref()
    }

    /// Lets `reload` find this process, which has to read its files again on SIGHUP from now on.
    pub fn accept_reloads(&self) -> Result<(), DataError> {
        self.data.accept_reloads(&self.base_url)
    }

    /// Replaces policy, limits and lifetimes for the requests and batches that begin from now on. After an error
    /// everything goes on as before.
    pub async fn reload(&mut self, settings: Settings, policy: &PolicyFiles) -> Result<(), ServiceError> {
        let deployment = Deployment { settings, ..self.deployment.clone() };
        self.functions.replace(&deployment, policy).await?;
        self.deployment = deployment;
        Ok(())
    }

    /// The URL of the Prometheus metrics.
    pub fn metrics_url(&self) -> Option<String> {
        self.metrics.as_ref().map(|server| format!("{}/metrics", server.base_url()))
    }

    /// Accepts no more requests, finishes running ones, and stops.
    pub async fn stop(self) {
        if let Some(proxied) = self.proxied {
            proxied.stop().await;
        }
        self.front.stop().await;
        if let Some(metrics) = self.metrics {
            metrics.stop().await;
        }
        self.schedule.stop();
        self.expiry.stop();
        self.alerts.into_iter().for_each(Alerts::stop);
        self.pollers.stop().await;
        if let Some(stub) = self.stub {
            stub.stop().await;
        }
        self.engines.stop().await;
    }
}
