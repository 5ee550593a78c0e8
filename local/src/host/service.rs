//! The whole service in one process.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use domain::{
    access::{operator_token::OperatorAudience, service_mode::Controls},
    limits::RetentionClock,
};
use edge_auth::EdgeAuth;
use operator::Operator;
use platform::{
    config::OperatorConfig,
    jwks::JwksSource,
    metrics::{Dimension, Meter, Metric, history::History},
    queue::Queue,
    runtime::Runtime,
};
use status::Status;
use store::TableError;
use sweep::Sweep;
use tokio::net::TcpListener;
use worker::Worker;

use crate::{
    data::{DataDir, DataError},
    emulation::{
        api_gateway::{self, Functions},
        console::{Console, ConsoleFault, ConsoleOptions},
        engines::{EngineError, EngineOptions, Engines},
        expiry::{ExpiredItems, Expiry, ExpiryError},
        listener::{self, BindError, Server},
        loopback_guard::Hosts,
        poller::Pollers,
        schedule::Schedule,
        wechat_stub::{DEV_APP_ID, WechatStub},
    },
    host::{
        configs::Deployment,
        initial_mode::{self, BeginFault},
        operators::OperatorKeyFault,
        prometheus::Exporter,
        wake_open_jobs,
    },
    secrets::{self, Given, SecretsFault},
};

/// Who logs people in.
#[derive(Clone)]
pub enum Login {
    /// The stub, with `dev-*` codes. Loopback only.
    Dev,
    /// WeChat.
    Wechat {
        /// Its API.
        base_url: String,
        /// The Mini Program's id.
        app_id: String,
        /// The Mini Program's secret.
        app_secret: String,
    },
}

/// An issuer of operators' tokens beyond this host.
#[derive(Debug, Clone)]
pub struct OperatorIssuer {
    /// Whose tokens count.
    pub audience: OperatorAudience,
    /// Where its keys are.
    pub jwks: JwksSource,
}

/// How to start the service.
#[derive(Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Where table and secrets are kept.
    pub data: PathBuf,
    /// Who logs people in.
    pub login: Login,
    /// The gateway's address.
    pub gateway_base_url: String,
    /// The gateway's token.
    pub gateway_token: String,
    /// How many batches run at once.
    pub workers: usize,
    /// How often the sweep runs.
    pub sweep_every: Duration,
    /// Where Prometheus reads what is measured, on loopback; port 0 takes a free one. Without it, nothing is measured.
    pub metrics_port: Option<u16>,
    /// The issuer of the operators' tokens; without one, this host's own key.
    pub operators: Option<OperatorIssuer>,
    /// The operator's page.
    pub console: Option<ConsoleOptions>,
    /// Clock and randomness.
    pub runtime: Runtime,
}

impl Options {
    /// For development and tests: the stub, a free port on loopback, the system's clock.
    pub fn dev(data: PathBuf, gateway_base_url: String, gateway_token: String) -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            data,
            login: Login::Dev,
            gateway_base_url,
            gateway_token,
            workers: 4,
            sweep_every: Duration::from_secs(10),
            metrics_port: None,
            operators: None,
            console: None,
            runtime: Runtime::system(),
        }
    }
}

/// A service that cannot start. Each is one sentence for whoever started it.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// `--dev` where others could reach it.
    #[error("--dev lets anybody log in as anybody, so it binds loopback only; leave --bind out, or leave --dev out")]
    DevBeyondLoopback,
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The secrets document.
    #[error(transparent)]
    Secrets(#[from] SecretsFault),
    /// Table or queue.
    #[error(transparent)]
    Engines(#[from] EngineError),
    /// The port.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Two metrics of one name.
    #[error("the metrics cannot be exported")]
    Metrics(#[from] ::prometheus::Error),
    /// A function that refuses its configuration.
    #[error("{function} cannot start")]
    Function {
        /// Which.
        function: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The operators' key.
    #[error(transparent)]
    Operators(#[from] OperatorKeyFault),
    /// The operator's page.
    #[error(transparent)]
    Console(#[from] ConsoleFault),
    /// Reading open jobs.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Its mode.
    #[error(transparent)]
    Begin(#[from] BeginFault),
    /// The clock by which it deletes.
    #[error(transparent)]
    Expiry(#[from] ExpiryError),
}

/// What can be refused at once: taken before anything slow is started.
#[derive(Debug)]
pub struct Claim {
    listener: TcpListener,
    /// The data directory.
    pub data: DataDir,
}

impl Claim {
    /// Takes port and data directory, and refuses development login where others could reach it.
    pub async fn take(bind: SocketAddr, data: &Path, login: &Login) -> Result<Self, ServiceError> {
        match login {
            Login::Dev if !bind.ip().is_loopback() => return Err(ServiceError::DevBeyondLoopback),
            Login::Dev | Login::Wechat { .. } => {}
        }
        let data = DataDir::take(data)?;
        Ok(Self { listener: listener::bind(bind, "--port").await?, data })
    }

    /// Where a gateway on this machine rings. `None` where only others can reach the service: they would have to listen in.
    pub fn webhook_url(&self) -> Option<String> {
        let address = listener::address(&self.listener);
        let is_here = address.ip().is_loopback() || address.ip().is_unspecified();
        is_here.then(|| format!("http://127.0.0.1:{}/v1/rings", address.port()))
    }
}

/// The running service.
#[derive(Debug)]
pub struct Service {
    /// Where it answers.
    pub base_url: String,
    /// How it was wired, for tests that look behind it.
    pub deployment: Deployment,
    /// How many open jobs were rung at the start.
    pub woken: usize,
    /// What was set at the start.
    pub controls: Controls,
    /// The clock by which expired items are deleted, as it was at the start.
    pub retention_clock: RetentionClock,
    /// Whether there is an operator's page under `/console/`.
    pub has_console: bool,
    front: Server,
    metrics: Option<Server>,
    pollers: Pollers,
    schedule: Schedule,
    expiry: Expiry,
    stub: Option<WechatStub>,
    engines: Engines,
    // Last: the directory is free when everything above has stopped.
    _data: DataDir,
}

impl Service {
    /// Starts everything, and rings every open job.
    pub async fn start(options: Options) -> Result<Self, ServiceError> {
        let claim = Claim::take(options.bind, &options.data, &options.login).await?;
        Self::start_with(claim, options).await
    }

    /// Starts everything on what was claimed before, and rings every open job.
    pub async fn start_with(claim: Claim, options: Options) -> Result<Self, ServiceError> {
        let Claim { listener, data } = claim;
        let Options { login, gateway_base_url, gateway_token, runtime, metrics_port, .. } = options;
        let (runtime, metrics, history) = metered(runtime, metrics_port).await?;
        runtime.measure(&[(Metric::ColdStarts, 1.0)], &[(Dimension::Function, "local")]);
        let given_secret = match &login {
            Login::Dev => None,
            Login::Wechat { app_secret, .. } => Some(app_secret.clone()),
        };
        let given = Given { wechat_app_secret: given_secret, gateway_token };
        let is_new = data.is_new();
        let app_secret = secrets::install(&data.secrets_file(), &runtime, &given)?;
        let (stub, wechat_base_url, wechat_app_id, hosts) = match login {
            // A reverse proxy passes on the public name. A foreign page has no token, and no answer lets it read one.
            Login::Wechat { base_url, app_id, .. } => (None, base_url, app_id, Hosts::Any),
            // A page that reaches this port could log in as anybody.
            Login::Dev => {
                let stub = WechatStub::start(DEV_APP_ID, &app_secret, 0, runtime.clone()).await?;
                let base_url = stub.base_url();
                (Some(stub), base_url, DEV_APP_ID.to_owned(), Hosts::Loopback)
            }
        };
        let table_file = Some(data.table_file());
        let engines = Engines::start(EngineOptions { table_file, ..EngineOptions::default() }).await?;
        let secrets_file = data.secrets_file();
        let backend = engines.backend.clone();
        let deployment = Deployment { backend, secrets_file, wechat_base_url, wechat_app_id, gateway_base_url };

        let controls = initial_mode::begin(&deployment.open_table(), &runtime, is_new).await?;
        let expired = ExpiredItems::new(&deployment.backend, deployment.open_table(), runtime.clone());
        // Before the sweeper's first heartbeat, which a table of an earlier version has instead of a retention clock.
        let retention_clock = expired.read_clock().await?;
        let woken = wake_open_jobs(&deployment, &runtime).await?;
        let worker = Arc::new(Worker::new(deployment.worker(), runtime.clone()).map_err(refused("worker"))?);
        let pollers = Pollers::start(&deployment.backend, &worker, &runtime, options.workers);
        let sweep = Arc::new(Sweep::new(deployment.sweep(), runtime.clone()).map_err(refused("sweep"))?);
        let schedule = Schedule::start(sweep, runtime.clone(), options.sweep_every);
        let expiry = Expiry::start(expired);
        let operator = operator_config(&deployment, &runtime, options.operators)?;
        let operator = Operator::remembering(operator, runtime.clone(), history).map_err(refused("operator"))?;
        let console = options.console.as_ref().map(Console::read).transpose()?.map(Arc::new);
        let functions = Functions {
            console,
            edge_auth: Arc::new(EdgeAuth::new(deployment.edge_auth(), runtime.clone()).map_err(refused("edge-auth"))?),
            status: Arc::new(Status::new(deployment.status(), runtime.clone()).map_err(refused("status"))?),
            operator: Arc::new(operator),
            runtime,
        };
        let has_console = functions.console.is_some();
        let front = api_gateway::serve(listener, functions, hosts);
        let base_url = front.base_url();
        Ok(Self {
            base_url,
            deployment,
            woken,
            controls,
            retention_clock,
            has_console,
            front,
            metrics,
            pollers,
            schedule,
            expiry,
            stub,
            engines,
            _data: data,
        })
    }

    /// Where Prometheus reads what is measured.
    pub fn metrics_url(&self) -> Option<String> {
        self.metrics.as_ref().map(|server| format!("{}/metrics", server.base_url()))
    }

    /// Takes no more requests, finishes what runs, and stops.
    pub async fn stop(self) {
        self.front.stop().await;
        if let Some(metrics) = self.metrics {
            metrics.stop().await;
        }
        self.schedule.stop();
        self.expiry.stop();
        self.pollers.stop().await;
        if let Some(stub) = self.stub {
            stub.stop().await;
        }
        self.engines.stop().await;
    }
}

/// The same world, measuring for the operator's charts, and for Prometheus if a port is given.
async fn metered(runtime: Runtime, port: Option<u16>) -> Result<(Runtime, Option<Server>, History), ServiceError> {
    let history = History::default();
    let Some(port) = port else { return Ok((runtime.metered(Meter::into_sink(history.clone())), None, history)) };
    let listener = listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), "--metrics-port").await?;
    let exporter = Exporter::new()?;
    let server = exporter.serve(listener);
    Ok((runtime.metered(Meter::into_sink((exporter, history.clone()))), Some(server), history))
}

/// Whose tokens count: the given issuer's, or those of this host's own key, which is made if it is missing.
fn operator_config(
    deployment: &Deployment,
    runtime: &Runtime,
    issuer: Option<OperatorIssuer>,
) -> Result<OperatorConfig, OperatorKeyFault> {
    match issuer {
        Some(OperatorIssuer { audience, jwks }) => Ok(OperatorConfig { audience, jwks, ..deployment.operator() }),
        None => {
            deployment.operator_key().keep(runtime)?;
            Ok(deployment.operator())
        }
    }
}

fn refused<E: std::error::Error + Send + Sync + 'static>(function: &'static str) -> impl FnOnce(E) -> ServiceError {
    move |error| ServiceError::Function { function, source: error.into() }
}

async fn wake_open_jobs(deployment: &Deployment, runtime: &Runtime) -> Result<usize, TableError> {
    let config = deployment.sweep();
    let table = deployment.open_table();
    let queue = Queue::new(config.table.aws.sqs(), config.queue.url, config.queue.fair);
    wake_open_jobs::wake_open_jobs(&table, &queue, runtime).await
}
