//! Starts, watches and stops the real OpenClaw gateway, through `scripts/openclaw/gateway.mjs`.
//!
//! The script's standard input is a pipe from this process: when this process ends, for any reason, the pipe closes and
//! the script stops the gateway.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{
    catalogue::ToolEffect,
    json,
    policy::{Policy, PolicyFault},
};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, ChildStdin, Command},
    sync::watch,
};

use crate::host::{
    agent_model::{AgentModel, ModelInUse},
    stale_gateway,
};

/// The script's own limit is shorter.
const START_LIMIT: Duration = Duration::from_secs(240);
/// The script kills the gateway earlier.
const STOP_LIMIT: Duration = Duration::from_secs(25);
/// The prefix of the script's own messages.
const PREFIX: &str = "openclaw-gateway: ";

/// Options of a gateway.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// The checkout.
    pub checkout: PathBuf,
    /// The directory of the gateway's state, log and token.
    pub dir: PathBuf,
    /// The port; a free one when `None`.
    pub port: Option<u16>,
    /// The file in which the demo tools write one line per effect.
    pub ledger: PathBuf,
    /// The journal's SQLite file; without one the gateway has no journal.
    pub journal: Option<PathBuf>,
    /// Agents in addition to those of the catalogue.
    pub more_agents: Vec<String>,
    /// The model of its agents.
    pub model: AgentModel,
    /// The webhook to which the journal reports the progress of turns.
    pub webhook_url: Option<String>,
    /// Whether the script's progress is passed on to standard error.
    pub progress: bool,
}

impl GatewayOptions {
    /// A gateway with a journal and the stand-in model, with every file below one directory.
    pub fn within(checkout: PathBuf, dir: PathBuf) -> Self {
        let (ledger, journal) = (dir.join("ledger.jsonl"), Some(dir.join("journal.db")));
        Self {
            checkout,
            dir,
            port: None,
            ledger,
            journal,
            more_agents: Vec::new(),
            model: AgentModel::StandIn,
            webhook_url: None,
            progress: false,
        }
    }
}

/// The gateway is not running.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// OpenClaw is not installed.
    #[error("OpenClaw is not installed; run `make openclaw` first")]
    NotInstalled,
    /// The catalogue, which says what tools the journal guards, is invalid.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
    /// The script could not be started, or its files could not be read.
    #[error("the gateway cannot be started: {0}")]
    Io(#[from] std::io::Error),
    /// The gateway ended before it was ready.
    #[error("the gateway did not come up: {0}")]
    NotReady(String),
}

/// The state of the gateway's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayState {
    /// The script is running.
    Starting,
    /// The gateway's process exists; its process id.
    Started(u32),
    /// The gateway answers; its process id.
    Ready(u32),
    /// The process has ended.
    Exited,
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Starting { pid: u32, model: String, stand_in: Option<String> },
    Ready {},
    Exited {},
}

/// A gateway that is or was ready.
#[derive(Debug)]
pub struct Gateway {
    options: GatewayOptions,
    port: u16,
    token: String,
    process: Process,
}

/// The script, and the pipe that keeps it alive.
#[derive(Debug)]
struct Process {
    script: Child,
    _stdin: Option<ChildStdin>,
    state: watch::Receiver<GatewayState>,
    model: Arc<Mutex<ModelInUse>>,
    sentence: Arc<Mutex<String>>,
}

impl Gateway {
    /// Starts the gateway, and waits until it answers.
    pub async fn start(options: GatewayOptions) -> Result<Self, GatewayError> {
        let port = match options.port {
            Some(port) => port,
            None => TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?.local_addr()?.port(),
        };
        let process = Process::start(&options, port).await?;
        let token = std::fs::read_to_string(options.dir.join("gateway.token"))?.trim().to_owned();
        Ok(Self { options, port, token, process })
    }

    /// Its URL.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The token for full operator access to it.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The model of its agents. A stand-in has another address after each start.
    pub fn model(&self) -> ModelInUse {
        self.process.model.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The file in which the demo tools write one line per effect.
    pub fn ledger(&self) -> &std::path::Path {
        &self.options.ledger
    }

    /// The state of its process, and changes of it.
    pub fn state(&self) -> watch::Receiver<GatewayState> {
        self.process.state.clone()
    }

    /// Kills the gateway's process with `SIGKILL` at once, and waits until it has ended.
    pub async fn kill(&mut self) -> Result<(), GatewayError> {
        let state = *self.process.state.borrow();
        if let GatewayState::Started(pid) | GatewayState::Ready(pid) = state {
            stale_gateway::kill(pid).await?;
        }
        let gone = self.process.state.wait_for(|state| *state == GatewayState::Exited);
        let _ = tokio::time::timeout(STOP_LIMIT, gone).await;
        self.process.script.wait().await?;
        Ok(())
    }

    /// Starts it again on the same port and state. If it is running, it is stopped first.
    pub async fn restart(&mut self) -> Result<(), GatewayError> {
        self.process.stop().await?;
        self.process = Process::start(&self.options, self.port).await?;
        Ok(())
    }

    /// Whether it was started with its journal.
    pub fn has_journal(&self) -> bool {
        self.options.journal.is_some()
    }

    /// Starts it again, with or without its journal.
    pub async fn restart_with_journal(&mut self, journal: bool) -> Result<(), GatewayError> {
        self.options.journal = journal.then(|| self.journal_file());
        self.restart().await
    }

    /// Deletes the journal's files, as if the disk were lost. Only while the gateway is stopped.
    pub fn wipe_journal(&self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut file = self.journal_file().into_os_string();
            file.push(suffix);
            let _may_be_absent = std::fs::remove_file(file);
        }
    }

    fn journal_file(&self) -> PathBuf {
        self.options.journal.clone().unwrap_or_else(|| self.options.dir.join("journal.db"))
    }

    /// Stops it, and waits until it has ended.
    pub async fn stop(mut self) -> Result<(), GatewayError> {
        self.process.stop().await
    }
}

impl Process {
    async fn start(options: &GatewayOptions, port: u16) -> Result<Self, GatewayError> {
        let node = options.checkout.join(".local/openclaw/bin/node");
        if !node.is_file() {
            return Err(GatewayError::NotInstalled);
        }
        for file in [Some(&options.ledger), options.journal.as_ref()].into_iter().flatten() {
            file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        }
        stale_gateway::wait_until_gone(&options.dir).await?;
        let policy = Policy::built_in()?;
        let (reads, guarded) = tools(&policy);
        let agents = policy.catalogue().agents().map(|agent| &agent.name).chain(&options.more_agents);
        let agents = agents.map(String::as_str).collect::<Vec<_>>().join(",");
        let mut command = Command::new(node);
        command.arg(options.checkout.join("scripts/openclaw/gateway.mjs"));
        command.arg("--dir").arg(&options.dir).arg("--port").arg(port.to_string()).arg("--ledger").arg(&options.ledger);
        if let Some(url) = &options.webhook_url {
            command.args(["--ring-url", url]);
        }
        command.args(["--guard", &guarded, "--reads", &reads, "--agents", &agents, "--model", options.model.option()]);
        match &options.journal {
            Some(db) => command.arg("--db").arg(db),
            None => command.arg("--no-journal"),
        };
        // A process group of its own, so that Ctrl-C reaches only this process, which then stops everything in order.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut script = command.spawn()?;
        let (told, state) = watch::channel(GatewayState::Starting);
        let model = Arc::new(Mutex::new(ModelInUse::default()));
        let sentence = Arc::new(Mutex::new("the script ended without a word".to_owned()));
        if let Some(errors) = script.stderr.take() {
            tokio::spawn(follow_errors(errors, sentence.clone(), options.progress));
        }
        if let Some(events) = script.stdout.take() {
            tokio::spawn(follow_events(events, told, model.clone(), options.dir.clone()));
        }
        let mut process = Self { _stdin: script.stdin.take(), script, state, model, sentence };
        process.until_ready().await?;
        Ok(process)
    }

    async fn until_ready(&mut self) -> Result<(), GatewayError> {
        let known = |state: &GatewayState| matches!(state, GatewayState::Ready(_) | GatewayState::Exited);
        let reached =
            tokio::time::timeout(START_LIMIT, self.state.wait_for(known)).await.is_ok_and(|told| told.is_ok());
        if reached && matches!(*self.state.borrow(), GatewayState::Ready(_)) {
            return Ok(());
        }
        self.stop().await?;
        Err(GatewayError::NotReady(self.sentence.lock().unwrap_or_else(PoisonError::into_inner).clone()))
    }

    async fn stop(&mut self) -> Result<(), GatewayError> {
        drop(self._stdin.take());
        if tokio::time::timeout(STOP_LIMIT, self.script.wait()).await.is_err() {
            self.script.kill().await?;
        }
        Ok(())
    }
}

/// The tools of the catalogue, comma-separated: those that only read, and the others.
fn tools(policy: &Policy) -> (String, String) {
    let names = |reads: bool| {
        let wanted = policy.catalogue().tools().filter(|tool| (tool.entry.effect == ToolEffect::Read) == reads);
        wanted.map(|tool| tool.entry.name.as_str()).collect::<Vec<_>>().join(",")
    };
    (names(true), names(false))
}

async fn follow_events(
    events: impl AsyncRead + Unpin,
    told: watch::Sender<GatewayState>,
    asks: Arc<Mutex<ModelInUse>>,
    directory: PathBuf,
) {
    let mut lines = BufReader::new(events).lines();
    let mut pid = 0;
    while let Ok(Some(line)) = lines.next_line().await {
        match json::kept(&line) {
            Ok(Event::Starting { pid: started, model, stand_in }) => {
                pid = started;
                *asks.lock().unwrap_or_else(PoisonError::into_inner) = ModelInUse { name: model, stand_in };
                stale_gateway::remember(&directory, pid);
                told.send_replace(GatewayState::Started(pid));
            }
            Ok(Event::Ready {}) => {
                told.send_replace(GatewayState::Ready(pid));
            }
            // The end of the pipe, below, reports this, too.
            Ok(Event::Exited {}) | Err(_) => {}
        }
    }
    told.send_replace(GatewayState::Exited);
}

async fn follow_errors(errors: impl AsyncRead + Unpin, sentence: Arc<Mutex<String>>, progress: bool) {
    let mut lines = BufReader::new(errors).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match line.strip_prefix(PREFIX) {
            Some(said) if !said.starts_with("starting") => {
                said.clone_into(&mut sentence.lock().unwrap_or_else(PoisonError::into_inner));
            }
            _ if progress => eprintln!("{line}"),
            _ => {}
        }
    }
}
