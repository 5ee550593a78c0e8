//! The service under test: one that is given, or one that is started for the suite.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, OnceLock, Weak},
};

use integration_tests::{
    MiniGateway,
    app::lines_of,
    mini_gateway::{self, checkout},
};
use serde_json::{Value, json};
use tokio::{
    runtime::Runtime,
    sync::{Mutex, Semaphore},
};
use uuid::Uuid;

use crate::caller::Caller;

/// Where the service is.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) base_url: String,
    pub(crate) http: reqwest::Client,
    /// Requests that may be under way at once. An emulator of Lambda starts a process for each that finds none idle,
    /// and takes all of them down when one cannot start.
    pub(crate) at_once: Semaphore,
    /// Whether a platform, such as API Gateway, may answer in place of the service.
    pub(crate) deployed: bool,
    ledger: Option<PathBuf>,
    // Stopped in this order.
    _service: Option<Service>,
    _gateway: Option<MiniGateway>,
}

/// More requests than any test sends at once.
const EVERYBODY: usize = 1000;

/// A variable that says where the service is.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration of its own")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Outlives every test: connections and pipes belong to it.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap())
}

/// Runs one test against the service, which goes when the last test that uses it is over.
pub(crate) fn flow<F: AsyncFnOnce(&Arc<Target>)>(test: F) {
    static SHARED: Mutex<Weak<Target>> = Mutex::const_new(Weak::new());
    runtime().block_on(async {
        let mut shared = SHARED.lock().await;
        let target = match shared.upgrade() {
            Some(target) => target,
            None => Arc::new(Target::find().await),
        };
        *shared = Arc::downgrade(&target);
        drop(shared);
        test(&target).await;
    });
}

impl Target {
    async fn find() -> Self {
        match setting("FLOWS_URL") {
            Some(url) => Self {
                http: http_client(&url),
                at_once: Semaphore::new(setting("FLOWS_AT_ONCE").map_or(EVERYBODY, |n| n.parse().expect("a number"))),
                deployed: true,
                base_url: url.trim_end_matches('/').to_owned(),
                // Tests run in their package's directory; the setting is relative to the checkout.
                ledger: setting("FLOWS_LEDGER").map(|file| checkout().join(file)),
                _service: None,
                _gateway: None,
            },
            None => Self::start().await,
        }
    }

    async fn start() -> Self {
        let dir = checkout().join(".local/tmp/black-box").join(Uuid::now_v7().to_string());
        std::fs::create_dir_all(&dir).unwrap();
        let gateway = MiniGateway::start(&dir, true, None).await;
        let service = Service::start(&dir, &gateway.base_url());
        Self {
            base_url: service.base_url.clone(),
            http: http_client(&service.base_url),
            at_once: Semaphore::new(EVERYBODY),
            deployed: false,
            ledger: Some(dir.join("ledger.jsonl")),
            _service: Some(service),
            _gateway: Some(gateway),
        }
    }

    /// The entries of the ledger, or its newest ones where the file is not accessible.
    pub(crate) async fn ledger(self: &Arc<Self>) -> Ledger {
        static READER: Mutex<Option<Caller>> = Mutex::const_new(None);
        if let Some(file) = &self.ledger {
            return Ledger(mini_gateway::ledger(file));
        }
        // One reader for all, one job at a time: it must not meet a limit.
        let mut reader = READER.lock().await;
        if reader.is_none() {
            *reader = Some(Caller::log_in(self, "reader").await);
        }
        // More would not fit into a result.
        let job = reader.as_ref().unwrap().run("ledger_read", json!({"limit": 100})).await;
        Ledger(job["result"]["details"]["lines"].as_array().unwrap_or_else(|| panic!("{job}")).clone())
    }

    /// Every effect of a job.
    pub(crate) async fn effects(self: &Arc<Self>, id: &str) -> Vec<String> {
        self.ledger().await.of(id)
    }
}

/// Lines that the demo tools wrote.
#[derive(Debug)]
pub(crate) struct Ledger(Vec<Value>);

impl Ledger {
    /// Every effect of a job, by what the tool did.
    pub(crate) fn of(&self, id: &str) -> Vec<String> {
        lines_of(&self.0, id).map(|line| line["op"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// A client that goes to the service itself. Names below `.localhost` are this machine, which not every resolver knows.
fn http_client(url: &str) -> reqwest::Client {
    let url = reqwest::Url::parse(url).unwrap_or_else(|fault| panic!("FLOWS_URL is no address: {fault}"));
    let mut client = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(35));
    if let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default())
        && host.ends_with(".localhost")
    {
        client = client.resolve(host, ([127, 0, 0, 1], port).into());
    }
    client.build().unwrap()
}

/// `local run --dev` as a process. It stops when this is dropped, and when the test process dies in any way.
#[derive(Debug)]
struct Service {
    base_url: String,
    process: Child,
    stdin: Option<ChildStdin>,
    dir: PathBuf,
}

/// Starts a program, and stops it once standard input is closed.
const STOP_WITH_INPUT: &str = r#""$0" "$@" </dev/null & exec >/dev/null; cat; kill $!; wait $!"#;

impl Service {
    fn start(dir: &Path, gateway: &str) -> Self {
        let token = dir.join("gateway.token");
        std::fs::write(&token, mini_gateway::TOKEN).unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", STOP_WITH_INPUT]).arg(built()).args(["run", "--dev", "--port", "0", "--data"]);
        command.arg(dir.join("data")).args(["--gateway-url", gateway, "--gateway-token-file"]).arg(token);
        let mut process = command
            .current_dir(checkout())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("a shell");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let ready = lines.find_map(|line| Some(line.strip_prefix("Ready on ")?.split(',').next()?.to_owned()));
        let base_url = ready.expect("the service comes up");
        let stdin = process.stdin.take();
        Self { base_url, process, stdin, dir: dir.to_owned() }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _gone = self.process.wait();
        let _best_effort = std::fs::remove_dir_all(&self.dir);
    }
}

/// The binary, as the sources are now: a test of one package does not build the binaries of another.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let build = ["build", "--workspace", "--bin", "local", "--locked", "--quiet"];
        let done = Command::new(env!("CARGO")).args(build).current_dir(checkout()).status().expect("cargo");
        assert!(done.success(), "`local` cannot be built");
        // target/debug/deps/flows-… and target/debug/local
        let test = std::env::current_exe().unwrap();
        let binary = test.ancestors().nth(2).unwrap().join("local");
        assert!(binary.is_file(), "{} is not there", binary.display());
        binary
    })
}
