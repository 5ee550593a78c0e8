//! The real journal plugin and the demo tools in a mini gateway (`openclaw-plugin/test/mini-gateway.mjs`). It starts
//! in a tenth of a second, can be killed, and injects faults.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use domain::{catalogue::ToolEffect, policy::Policy};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A running mini gateway. It is killed with the test.
#[derive(Debug)]
pub struct MiniGateway {
    child: Child,
    port: u16,
    dir: PathBuf,
    journal: bool,
    webhook_url: Option<String>,
    token: String,
    http: reqwest::Client,
    running: bool,
}

/// Its token.
pub const TOKEN: &str = "test-token-of-the-mini-gateway";

impl MiniGateway {
    /// Starts a gateway with its files in `dir`. Its journal reports progress to `webhook_url`.
    pub async fn start(dir: &Path, journal: bool, webhook_url: Option<String>) -> Self {
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a plain client");
        let (child, port) = spawn(dir, journal, 0, TOKEN, webhook_url.as_deref()).await;
        Self { child, port, dir: dir.to_owned(), journal, webhook_url, token: TOKEN.to_owned(), http, running: true }
    }

    /// Its URL.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Kills it with `SIGKILL`.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("it was running");
        self.running = false;
    }

    /// Starts again on the same port with the same files.
    pub async fn restart(&mut self) {
        let _already_dead = self.child.kill().await;
        let (child, _) = spawn(&self.dir, self.journal, self.port, &self.token, self.webhook_url.as_deref()).await;
        self.child = child;
        self.running = true;
    }

    /// Whether it was not killed, or was started again since.
    pub const fn is_running(&self) -> bool {
        self.running
    }

    /// Starts again with or without its journal.
    pub async fn restart_with_journal(&mut self, journal: bool) {
        self.journal = journal;
        self.restart().await;
    }

    /// Starts again with another token, which is then the only one that it takes.
    pub async fn restart_with_token(&mut self, token: &str) {
        token.clone_into(&mut self.token);
        self.restart().await;
    }

    /// Kills it, destroys its journal, starts again.
    pub async fn lose_journal(&mut self) {
        self.kill().await;
        for suffix in ["", "-wal", "-shm"] {
            let _may_be_absent = std::fs::remove_file(self.dir.join(format!("journal.db{suffix}")));
        }
        self.restart().await;
    }

    /// Copies the journal aside, consistently, while it is stopped; then starts again.
    pub async fn snapshot_journal(&mut self) {
        self.kill().await;
        for suffix in ["", "-wal", "-shm"] {
            let (from, to) = (format!("journal.db{suffix}"), format!("snapshot.db{suffix}"));
            let _may_be_absent = std::fs::copy(self.dir.join(from), self.dir.join(to));
        }
        self.restart().await;
    }

    /// Restores the copy.
    pub async fn restore_snapshot(&mut self) {
        self.kill().await;
        for suffix in ["", "-wal", "-shm"] {
            let (from, to) =
                (self.dir.join(format!("snapshot.db{suffix}")), self.dir.join(format!("journal.db{suffix}")));
            let _may_be_absent = std::fs::remove_file(&to);
            let _may_be_absent = std::fs::copy(from, to);
        }
        self.restart().await;
    }

    /// Plans a fault for the next `count` requests to a path.
    pub async fn next(&self, path: &str, action: &str, status: Option<u16>, count: u32) {
        let mut order = json!({ "path": path, "action": action, "count": count });
        if let Some(status) = status {
            order["status"] = status.into();
        }
        self.control("next", &order).await;
    }

    /// Orders a 503 with this `Retry-After` for the next request to a path.
    pub async fn next_unavailable(&self, path: &str, retry_after: &str) {
        let order = json!({ "path": path, "action": "status", "status": 503, "count": 1, "retry_after": retry_after });
        self.control("next", &order).await;
    }

    /// Orders that the next `count` responses of a path have these bytes as their content: a tool's result or an
    /// agent's reply.
    pub async fn next_content(&self, path: &str, content: &[u8], count: u32) {
        let hex: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
        self.control("next", &json!({ "path": path, "action": "content", "hex": hex, "count": count })).await;
    }

    /// Cancels planned faults that have not occurred yet.
    pub async fn forget_orders(&self) {
        self.control("forget", &json!({})).await;
    }

    /// Drains, or stops draining.
    pub async fn drain(&self, on: bool) {
        self.control("drain", &json!({ "on": on })).await;
    }

    /// Shifts its clock.
    pub async fn shift_clock(&self, offset_ms: i64) {
        self.control("clock", &json!({ "offset_ms": offset_ms })).await;
    }

    /// How many requests each path has had since the start.
    pub async fn counts(&self) -> Value {
        self.control("stats", &json!({})).await["counts"].clone()
    }

    /// Ends the pauses of its agents that are running.
    pub async fn end_pauses(&self) {
        self.control("end-pauses", &json!({})).await;
    }

    /// How often an agent has asked its model since the start.
    pub async fn model_calls(&self) -> u64 {
        self.control("stats", &json!({})).await["model_calls"].as_u64().unwrap_or_default()
    }

    async fn control(&self, what: &str, order: &Value) -> Value {
        let url = format!("{}/_test/{what}", self.base_url());
        let answer =
            self.http.post(url).bearer_auth(&self.token).json(order).timeout(Duration::from_secs(10)).send().await;
        answer.expect("it takes orders").json().await.expect("it answers in JSON")
    }

    /// Every effect that a tool had, in order.
    pub fn ledger(&self) -> Vec<Value> {
        ledger(&self.dir.join("ledger.jsonl"))
    }
}

/// The lines of a ledger.
pub fn ledger(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The checkout's root.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout").to_owned()
}

async fn spawn(dir: &Path, journal: bool, port: u16, token: &str, webhook_url: Option<&str>) -> (Child, u16) {
    let root = checkout();
    let node = root.join(".local/openclaw/bin/node");
    assert!(node.exists(), "Node 24 is not installed: run `make openclaw` first");
    let policy = Policy::built_in().expect("the built-in policy is sound");
    let names = |read: bool| {
        let tools = policy.catalogue().tools().filter(|tool| (tool.entry.effect == ToolEffect::Read) == read);
        tools.map(|tool| tool.entry.name.clone()).collect::<Vec<_>>().join(",")
    };
    let mut command = Command::new(node);
    command
        .arg(root.join("openclaw-plugin/test/mini-gateway.mjs"))
        .args(["--port", &port.to_string(), "--token", token])
        .arg("--db")
        .arg(dir.join("journal.db"))
        .arg("--ledger")
        .arg(dir.join("ledger.jsonl"))
        .args(["--guard", &names(false), "--reads", &names(true)]);
    if !journal {
        command.arg("--no-journal");
    }
    if let Some(url) = webhook_url {
        command.args(["--ring-url", url]);
    }
    // A port that was just given up may still be taken for a moment.
    for _ in 0..50 {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(port) = line.strip_prefix("ready ").and_then(|port| port.parse().ok()) {
                return (child, port);
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the mini gateway does not come up");
}
