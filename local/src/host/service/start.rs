//! Starts every part of the service, in the order in which they depend on each other.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use platform::{
    metrics::{Dimension, Meter, Metric, history::History},
    queue::Queue,
    runtime::Runtime,
};
use store::TableError;

use super::{Claim, Login, Options, Service, ServiceError};
use crate::{
    disk::DiskGuard,
    emulation::{
        api_gateway,
        console::Console,
        engines::{EngineOptions, Engines},
        expiry::{ExpiredItems, Expiry},
        listener::{self, Server},
        loopback_guard::Hosts,
        poller::Pollers,
        schedule::Schedule,
        wechat_stub::{DEV_APP_ID, WechatStub},
    },
    host::{
        alerts::{self, Alerts, RecentSamples},
        configs::Deployment,
        functions::{CurrentFunctions, Surroundings},
        initial_mode,
        prometheus::Exporter,
        wake_open_jobs,
    },
    secrets::{self, Given},
};

impl Service {
    /// Starts everything, and wakes every open job.
    pub async fn start(options: Options) -> Result<Self, ServiceError> {
        let claim = Claim::take("--port", options.bind, &options.data, &options.login).await?;
        Self::start_with(claim, options).await
    }

    /// Starts everything on the claimed resources, and wakes every open job.
    pub async fn start_with(claim: Claim, options: Options) -> Result<Self, ServiceError> {
        let Claim { listener, data } = claim;
        let proxied = options.socket.as_deref().map(listener::bind_socket).transpose()?;
        let samples = match &options.alerts {
            Some(_) => Some(RecentSamples::of(&alerts::rows()?)),
            None => None,
        };
        let (runtime, metrics, history) = metered(options.runtime, options.metrics_port, samples.clone()).await?;
        runtime.measure(&[(Metric::ColdStarts, 1.0)], &[(Dimension::Function, "local")]);
        let is_new = data.is_new();
        let given = Given { wechat_app_secret: options.login.app_secret(), gateway_token: options.gateway_token };
        let app_secret = secrets::install(&data.secrets_file(), &runtime, &given)?;
        let logins = Logins::of(options.login, proxied.is_some(), &app_secret, &runtime).await?;
        let table_file = Some(data.table_file());
        let engines = Engines::start(EngineOptions { table_file, ..EngineOptions::default() }).await?;
        let deployment = Deployment {
            backend: engines.backend.clone(),
            secrets_file: data.secrets_file(),
            wechat_base_url: logins.base_url,
            wechat_app_id: logins.app_id,
            gateway_base_url: options.gateway_base_url,
            settings: options.settings,
        };
        let opens = is_new && options.opens_new_table;
        let controls = initial_mode::begin(&deployment.open_table(), &runtime, opens).await?;
        let expired = ExpiredItems::new(&deployment.backend, deployment.open_table(), runtime.clone());
        // Before `sweep` writes its first heartbeat: a table of an earlier version has a heartbeat, and no retention
        // clock.
        let retention_clock = expired.read_clock().await?;
        let woken = wake_open_jobs(&deployment, &runtime).await?;
        let console = options.console.as_ref().map(Console::read).transpose()?.map(Arc::new);
        let has_console = console.is_some();
        let disk = DiskGuard::new(&data.path, options.min_free_mb);
        let (operators, clock, guard) = (options.operators, runtime.clone(), disk.clone());
        let surroundings = Surroundings { runtime: clock, history, operators, console, disk: guard };
        let functions = CurrentFunctions::build(&deployment, &options.policy, surroundings).await?;
        let pollers = Pollers::start(&deployment.backend, &functions.worker.subscribe(), &runtime, options.workers);
        let schedule = Schedule::start(functions.sweep.subscribe(), runtime.clone(), options.sweep_every);
        let alerts = match (options.alerts, samples) {
            (Some(alerts), Some(samples)) => {
                let (table, backend) = (deployment.open_table(), deployment.backend.clone());
                let sources = alerts::Sources { runtime, samples, table, backend, disk, data: data.path.clone() };
                Some(Alerts::start(alerts, sources)?)
            }
            _ => None,
        };
        let proxied = proxied.map(|socket| api_gateway::serve_proxy(socket, functions.front.subscribe()));
        let front = api_gateway::serve(listener, functions.front.subscribe(), logins.hosts);
        Ok(Self {
            base_url: front.base_url(),
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
            expiry: Expiry::start(expired),
            alerts,
            stub: logins.stub,
            engines,
            data,
        })
    }
}

/// Where users log in, and which hosts' pages may reach the public listener.
struct Logins {
    stub: Option<WechatStub>,
    base_url: String,
    app_id: String,
    hosts: Hosts,
}

impl Logins {
    async fn of(login: Login, is_proxied: bool, app_secret: &str, runtime: &Runtime) -> Result<Self, ServiceError> {
        Ok(match login {
            // A reverse proxy passes on the public name. A foreign page has no session token, and no response lets it
            // read one. With a socket the proxy connects there, and no public name is used here.
            Login::Wechat { base_url, app_id, .. } => {
                Self { stub: None, base_url, app_id, hosts: if is_proxied { Hosts::Loopback } else { Hosts::Any } }
            }
            // A foreign page that reached this port could log in as any user.
            Login::Dev => {
                let stub = WechatStub::start(DEV_APP_ID, app_secret, 0, runtime.clone()).await?;
                let base_url = stub.base_url();
                Self { stub: Some(stub), base_url, app_id: DEV_APP_ID.to_owned(), hosts: Hosts::Loopback }
            }
        })
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
