//! Options of an app, and how it is put together.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use domain::{access::service_mode::Mode, limits::Rate};
use dynoxide::Database;
use edge_auth::EdgeAuth;
use local::{
    data::TABLE_FILE,
    disk::DiskGuard,
    emulation::{
        api_gateway::{self, Functions},
        backend::Backend,
        connector::InProcess,
        listener,
        loopback_guard::Hosts,
        wechat_stub::WechatStub,
    },
    host::{configs::Deployment, settings::Settings},
};
use operator::Operator;
use platform::{
    aws::AwsSettings,
    config::{EdgeAuthConfig, WorkerConfig},
    metrics::{Meter, history::History},
    runtime::{Runtime, System},
};
use status::Status;
use store::Table;
use sweep::Sweep;
use tokio::sync::watch;
use uuid::Uuid;
use worker::Worker;

use super::{App, ScratchDir};
use crate::{Capture, Client, Faults, MiniGateway, clock::ManualClock, delays::Delays, mini_gateway};

const APP_ID: &str = "wx-test";

/// Options of an app.
#[derive(Debug)]
pub struct Setup {
    /// Whether the gateway has its journal.
    pub journal: bool,
    /// Whether writes may be sent without a journal.
    pub unjournaled_writes: bool,
    /// Changes to edge-auth's configuration.
    pub edge: fn(&mut EdgeAuthConfig),
    /// Changes to the worker's configuration.
    pub worker: fn(&mut WorkerConfig),
    /// Another gateway than a mini one: its address and its token.
    pub gateway: Option<(String, String)>,
    /// Whether the gateway plugin reports progress by webhook.
    pub webhook: bool,
    /// The service mode; none is set when absent.
    pub mode: Option<Mode>,
    /// A directory that has, or gets, the table as a file, the secrets, the journal and the ledger. Without one the
    /// table is in memory.
    pub data: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            journal: true,
            unjournaled_writes: false,
            edge: |_| {},
            worker: |_| {},
            gateway: None,
            webhook: false,
            mode: Some(Mode::Full),
            data: None,
        }
    }
}

impl Setup {
    /// High limits of open jobs and rate.
    #[must_use]
    pub fn roomy() -> Self {
        let edge = |edge: &mut EdgeAuthConfig| {
            edge.limits.submissions = Rate::new(Duration::from_millis(1), 100_000);
            edge.limits.in_flight = 1000;
            edge.limits.in_flight_long = 1000;
        };
        Self { edge, ..Self::default() }
    }
}

impl App {
    /// With journal and mini gateway.
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// The same, and a user who has logged in.
    pub async fn start_with(user: &str) -> (Self, Client) {
        let app = Self::start().await;
        let client = app.login(user).await;
        (app, client)
    }

    /// As set up.
    pub async fn with(setup: Setup) -> Self {
        let clock = ManualClock::default();
        let metrics = Capture::new(clock.clone());
        let history = History::default();
        let runtime = Runtime::new(Arc::new(clock.clone()), Arc::new(System));
        let runtime = runtime.metered(Meter::into_sink((metrics.clone(), history.clone())));
        let dir = setup.data.clone().unwrap_or_else(new_dir);
        std::fs::create_dir_all(&dir).expect("the checkout is writable");
        let wake_up = match setup.webhook {
            true => Some(listener::bind((Ipv4Addr::LOCALHOST, 0).into(), "").await.expect("a free port")),
            false => None,
        };
        let webhook_url = wake_up.as_ref().map(|wake_up| format!("http://{}/v1/rings", listener::address(wake_up)));
        let (gateway, base_url, token) = gateway(&setup, &dir, webhook_url).await;
        let secrets_file = dir.join("secrets.json");
        let given = local::secrets::Given { wechat_app_secret: None, gateway_token: token };
        let app_secret = local::secrets::install(&secrets_file, &Runtime::system(), &given).expect("secrets are made");
        // After the secrets: a table without secrets is one that lost them.
        let engines = match (second_engine().await, &setup.data) {
            (_, Some(dir)) => on_disk(dir).settings(),
            (Some(settings), None) => settings,
            (None, None) => InProcess::memory().settings(),
        };
        let backend = Backend::create(engines).await.expect("the engines take a table and two queues");
        let wechat = WechatStub::start(APP_ID, &app_secret, 0, runtime.clone()).await.expect("a free port");

        let faults = Faults::default();
        let delays = Delays::new(clock.clone());
        let aws = backend.aws.clone();
        let deployment = Deployment {
            backend: disturbed(&backend, &faults, &delays),
            secrets_file: secrets_file.clone(),
            wechat_base_url: wechat.base_url(),
            wechat_app_id: APP_ID.to_owned(),
            gateway_base_url: base_url,
            settings: Settings::default(),
        };
        let functions = functions(&setup, &deployment, &runtime, history);
        let app = Self {
            webhook: wake_up
                .map(|wake_up| api_gateway::serve(wake_up, watch::channel(functions.clone()).1, Hosts::Any)),
            functions,
            worker: Arc::new(worker(&setup, &deployment, &runtime)),
            sweep: Sweep::new(deployment.sweep(), runtime).expect("the sweeper starts"),
            table: Table::new(aws.dynamodb(), backend.table.clone(), Duration::from_secs(30 * 86_400)),
            clock,
            metrics,
            faults,
            delays,
            gateway,
            secrets_file,
            deployment,
            aws,
            edge: setup.edge,
            wechat,
            undone: Vec::new(),
            _dir: ScratchDir(dir),
        };
        if let Some(mode) = setup.mode {
            app.mode(mode).await;
        }
        app
    }
}

/// The place of an app's directory.
pub fn new_dir() -> PathBuf {
    mini_gateway::checkout().join(".local/tmp/flows").join(Uuid::now_v7().to_string())
}

/// The engines with a table as a file, as one host has it.
fn on_disk(dir: &Path) -> InProcess {
    let file = dir.join(TABLE_FILE);
    InProcess::new(Database::new(&file.to_string_lossy()).expect("SQLite opens the file"))
}

/// Starts the mini gateway unless the setup gives another gateway. Returns it with the URL and token of the gateway in
/// use.
async fn gateway(setup: &Setup, dir: &Path, webhook_url: Option<String>) -> (Option<MiniGateway>, String, String) {
    match &setup.gateway {
        Some((base_url, token)) => (None, base_url.clone(), token.clone()),
        None => {
            let gateway = MiniGateway::start(dir, setup.journal, webhook_url).await;
            let base_url = gateway.base_url();
            (Some(gateway), base_url, mini_gateway::TOKEN.to_owned())
        }
    }
}

/// The engines as the functions reach them: with injected faults and delays.
fn disturbed(backend: &Backend, faults: &Faults, delays: &Delays) -> Backend {
    let mut faulty = backend.clone();
    let inner = faulty.aws.http_client.take().expect("the engines have their own client");
    faulty.aws.http_client = Some(faults.client(delays.client(inner)));
    faulty
}

fn functions(setup: &Setup, deployment: &Deployment, runtime: &Runtime, history: History) -> Functions {
    let mut edge = deployment.edge_auth();
    (setup.edge)(&mut edge);
    Functions {
        console: None,
        edge_auth: Arc::new(EdgeAuth::new(edge, runtime.clone()).expect("edge-auth starts")),
        status: Arc::new(Status::new(deployment.status(), runtime.clone()).expect("status starts")),
        operator: Arc::new(operator(deployment, runtime, history)),
        runtime: runtime.clone(),
        disk: DiskGuard::default(),
    }
}

fn worker(setup: &Setup, deployment: &Deployment, runtime: &Runtime) -> Worker {
    let mut worker = deployment.worker();
    worker.unjournaled_writes = setup.unjournaled_writes;
    (setup.worker)(&mut worker);
    Worker::new(worker, runtime.clone()).expect("the worker starts")
}

fn operator(deployment: &Deployment, runtime: &Runtime, history: History) -> Operator {
    deployment.operator_key().keep(runtime).expect("the directory is writable");
    Operator::remembering(deployment.operator(), runtime.clone(), history).expect("operator starts")
}

/// Another engine than the embedded ones, emptied: the one at `SECOND_ENGINE_URL`, where `make test` runs the same
/// flows a second time, one by one.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration of its own")]
async fn second_engine() -> Option<AwsSettings> {
    let url = std::env::var("SECOND_ENGINE_URL").ok()?;
    let reset = reqwest::Client::new().post(format!("{url}/_ministack/reset")).send().await;
    reset.expect("the second engine answers").error_for_status().expect("it takes a reset");
    let mut settings = AwsSettings::loopback(&url, &url);
    settings.http_client = Some(aws_smithy_http_client::Builder::new().build_http());
    Some(settings)
}
