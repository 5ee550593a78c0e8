//! The whole service in one process.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use domain::{
    access::{operator_token::OperatorAudience, service_mode::Controls},
    alarms::AlarmTableError,
    limits::RetentionClock,
    policy::PolicyFiles,
};
use platform::{
    jwks::JwksSource,
    metrics::{Dimension, Meter, Metric, history::History},
    queue::Queue,
    runtime::Runtime,
};
use store::TableError;
use tokio::net::TcpListener;

use crate::{
    data::{DataDir, DataError},
    disk::DiskGuard,
    emulation::{
        api_gateway,
        console::{Console, ConsoleFault, ConsoleOptions},
        engines::{EngineError, EngineOptions, Engines},
        expiry::{ExpiredItems, Expiry, ExpiryError},
        listener::{self, BindError, Running, Server},
        loopback_guard::Hosts,
        poller::Pollers,
        schedule::Schedule,
        wechat_stub::{DEV_APP_ID, WechatStub},
    },
    host::{
        alerts::{self, AlertOptions, Alerts, RecentSamples},
        configs::Deployment,
        functions::{CurrentFunctions, Surroundings},
        initial_mode::{self, BeginFault},
        operators::OperatorKeyFault,
        prometheus::Exporter,
        settings::Settings,
        wake_open_jobs,
    },
    secrets::{self, Given, SecretsFault},
};

/// The login service.
#[derive(Clone)]
pub enum Login {
    /// The WeChat stub, with `dev-*` codes. Loopback only.
    Dev,
    /// WeChat.
    Wechat {
        /// URL of its API.
        base_url: String,
        /// The Mini Program's app id.
        app_id: String,
        /// The Mini Program's app secret.
        app_secret: String,
    },
}

/// An issuer of operators' tokens outside this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorIssuer {
    /// Issuer, audience and roles claim of accepted tokens.
    pub audience: OperatorAudience,
    /// Where its keys are read from.
    pub jwks: JwksSource,
}

/// Options of the service.
#[derive(Clone)]
pub struct Options {
    /// The address to listen on; port 0 takes a free port.
    pub bind: SocketAddr,
    /// The data directory, with table and secrets.
    pub data: PathBuf,
    /// The login service.
    pub login: Login,
    /// The gateway's URL.
    pub gateway_base_url: String,
    /// The gateway's token.
    pub gateway_token: String,
    /// How many batches run concurrently.
    pub workers: usize,
    /// The interval of `sweep`.
    pub sweep_every: Duration,
    /// The port of Prometheus metrics on loopback; 0 takes a free port. Without it no metrics are served.
    pub metrics_port: Option<u16>,
    /// The issuer of the operators' tokens; without one, this host's own key.
    pub operators: Option<OperatorIssuer>,
    /// The operator's console.
    pub console: Option<ConsoleOptions>,
    /// Limits, lifetimes and retention.
    pub settings: Settings,
    /// The catalogue and the policies.
    pub policy: PolicyFiles,
    /// The unix socket on which a reverse proxy passes clients' requests on.
    pub socket: Option<PathBuf>,
    /// Free space in MiB below which new jobs are refused; 0 never refuses.
    pub min_free_mb: u64,
    /// Evaluates the alarms of one host, and sends them. Without it no alarm is evaluated.
    pub alerts: Option<AlertOptions>,
    /// Whether a new table begins in `full`. Otherwise it reads only until an operator opens it.
    pub opens_new_table: bool,
    /// Clock and randomness.
    pub runtime: Runtime,
}

impl Options {
    /// For development and tests: the WeChat stub, a free port on loopback, the system's clock.
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
            settings: Settings::default(),
            policy: PolicyFiles::built_in(),
            socket: None,
            min_free_mb: 0,
            alerts: None,
            opens_new_table: true,
            runtime: Runtime::system(),
        }
    }
}

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

/// Port and data directory, claimed before anything slow is started, so that a conflict is reported at once.
#[derive(Debug)]
pub struct Claim {
    listener: TcpListener,
    /// The data directory.
    pub data: DataDir,
}

impl Claim {
    /// Binds the port and locks the data directory. Refuses `--dev` on an address that other hosts can reach.
    pub async fn take(bind: SocketAddr, data: &Path, login: &Login) -> Result<Self, ServiceError> {
        Self::take_from("--port", bind, data, login).await
    }

    /// The same, where `setting` changes the port.
    pub async fn take_from(
        setting: &'static str,
        bind: SocketAddr,
        data: &Path,
        login: &Login,
    ) -> Result<Self, ServiceError> {
        match login {
            Login::Dev if !bind.ip().is_loopback() => return Err(ServiceError::DevBeyondLoopback),
            Login::Dev | Login::Wechat { .. } => {}
        }
        let data = DataDir::take(data)?;
        Ok(Self { listener: listener::bind(bind, setting).await?, data })
    }

    /// The webhook URL for a gateway on this host. `None` when the service does not listen on loopback: a wake-up token
    /// must not be sent over the network without TLS.
    pub fn webhook_url(&self) -> Option<String> {
        let address = listener::address(&self.listener);
        let is_here = address.ip().is_loopback() || address.ip().is_unspecified();
        is_here.then(|| format!("http://127.0.0.1:{}/v1/rings", address.port()))
    }
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
    /// Starts everything, and wakes every open job.
    pub async fn start(options: Options) -> Result<Self, ServiceError> {
        let claim = Claim::take(options.bind, &options.data, &options.login).await?;
        Self::start_with(claim, options).await
    }

    /// Starts everything on the claimed resources, and wakes every open job.
    pub async fn start_with(claim: Claim, options: Options) -> Result<Self, ServiceError> {
        let Claim { listener, data } = claim;
        let Options { login, gateway_base_url, gateway_token, runtime, metrics_port, settings, .. } = options;
        let proxied = options.socket.as_deref().map(listener::bind_socket).transpose()?;
        let samples = match &options.alerts {
            Some(_) => Some(RecentSamples::of(&alerts::rows()?)),
            None => None,
        };
        let (runtime, metrics, history) = metered(runtime, metrics_port, samples.clone()).await?;
        runtime.measure(&[(Metric::ColdStarts, 1.0)], &[(Dimension::Function, "local")]);
        let given_secret = match &login {
            Login::Dev => None,
            Login::Wechat { app_secret, .. } => Some(app_secret.clone()),
        };
        let given = Given { wechat_app_secret: given_secret, gateway_token };
        let is_new = data.is_new();
        let app_secret = secrets::install(&data.secrets_file(), &runtime, &given)?;
        let (stub, wechat_base_url, wechat_app_id, hosts) = match login {
            // A reverse proxy passes on the public name. A foreign page has no session token, and no response lets it
            // read one.
            Login::Wechat { base_url, app_id, .. } => {
                // With a socket the proxy connects there, and no public name is used here.
                let hosts = if proxied.is_some() { Hosts::Loopback } else { Hosts::Any };
                (None, base_url, app_id, hosts)
            }
            // A foreign page that reached this port could log in as any user.
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
        let deployment =
            Deployment { backend, secrets_file, wechat_base_url, wechat_app_id, gateway_base_url, settings };

        let controls =
            initial_mode::begin(&deployment.open_table(), &runtime, is_new && options.opens_new_table).await?;
        let expired = ExpiredItems::new(&deployment.backend, deployment.open_table(), runtime.clone());
        // Before `sweep` writes its first heartbeat: a table of an earlier version has a heartbeat, and no retention
        // clock.
        let retention_clock = expired.read_clock().await?;
        let woken = wake_open_jobs(&deployment, &runtime).await?;
        let console = options.console.as_ref().map(Console::read).transpose()?.map(Arc::new);
        let has_console = console.is_some();
        let disk = DiskGuard::new(&data.path, options.min_free_mb);
        let surroundings = Surroundings {
            runtime: runtime.clone(),
            history,
            operators: options.operators,
            console,
            disk: disk.clone(),
        };
        let functions = CurrentFunctions::build(&deployment, &options.policy, surroundings).await?;
        let pollers = Pollers::start(&deployment.backend, &functions.worker(), &runtime, options.workers);
        let schedule = Schedule::start(functions.sweep(), runtime.clone(), options.sweep_every);
        let alerts = match (options.alerts, samples) {
            (Some(alerts), Some(samples)) => {
                let (table, backend) = (deployment.open_table(), deployment.backend.clone());
                let sources = alerts::Sources { runtime, samples, table, backend, disk, data: data.path.clone() };
                Some(Alerts::start(alerts, sources)?)
            }
            _ => None,
        };
        let expiry = Expiry::start(expired);
        let proxied = proxied.map(|socket| api_gateway::serve_proxy(socket, functions.front()));
        let front = api_gateway::serve(listener, functions.front(), hosts);
        let base_url = front.base_url();
        Ok(Self {
            base_url,
            deployment,
            woken,
            controls,
            retention_clock,
            has_console,
            functions,
            front,
            proxied,
            metrics,
            pollers,
            schedule,
            expiry,
            alerts,
            stub,
            engines,
            data,
        })
    }

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

/// The same runtime, with metrics for the operator's charts, for the alarms, and for Prometheus if a port is given.
async fn metered(
    runtime: Runtime,
    port: Option<u16>,
    samples: Option<RecentSamples>,
) -> Result<(Runtime, Option<Server>, History), ServiceError> {
    let history = History::default();
    let (mut exporter, mut server) = (None, None);
    if let Some(port) = port {
        let listener = listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), "--metrics-port").await?;
        server = Some(exporter.insert(Exporter::new()?).serve(listener));
    }
    let meter = Meter::into_sink((exporter, (samples, history.clone())));
    Ok((runtime.metered(meter), server, history))
}

async fn wake_open_jobs(deployment: &Deployment, runtime: &Runtime) -> Result<usize, TableError> {
    let config = deployment.sweep();
    let table = deployment.open_table();
    let queue = Queue::new(config.table.aws.sqs(), config.queue.url, config.queue.fair);
    wake_open_jobs::wake_open_jobs(&table, &queue, runtime).await
}
