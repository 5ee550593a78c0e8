//! A service that runs from its configuration file, as a process of its own.

use std::{
    io::{BufRead, BufReader, Lines, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use local::emulation::wechat_stub::WechatStub;
use platform::runtime::Runtime;
use reqwest::Method;
use serde_json::Value;

use super::{directory, http};

pub(super) fn json(text: &str) -> Value {
    domain::json::kept(text).unwrap()
}

/// Sends one request over the socket, as a proxy does; the status of the response.
pub(super) fn over_socket(socket: &Path, request_line: &str, forwarded: &[&str], body: &str) -> u16 {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let forwarded: String = forwarded.iter().map(|value| format!("x-forwarded-for: {value}\r\n")).collect();
    let head = format!("{request_line} HTTP/1.1\r\nhost: api.example.com\r\nconnection: close\r\n{forwarded}");
    let json = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(format!("{head}{json}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

/// A process that is killed when its test fails.
pub(super) struct Process(pub(super) Option<Child>);

impl Process {
    pub(super) fn signal(&self, signal: &str) {
        let id = self.0.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    pub(super) fn wait(&mut self) -> Output {
        self.0.take().expect("it runs").wait_with_output().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(process) = &mut self.0 {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A service that runs from its configuration file, outside a checkout.
pub(super) struct Installed {
    pub(super) file: PathBuf,
    pub(super) process: Process,
    pub(super) lines: Lines<BufReader<ChildStdout>>,
    /// The first line that it prints.
    pub(super) ready: String,
    pub(super) stub: WechatStub,
}

impl Installed {
    pub(super) async fn start(name: &str) -> Self {
        Self::start_with(name, "").await
    }

    /// With more sections in the file.
    pub(super) async fn start_with(name: &str, more: &str) -> Self {
        Self::start_in(&directory(name), more, &[]).await
    }

    /// In a directory, and with variables of the environment.
    pub(super) async fn start_in(root: &Path, more: &str, variables: &[(&str, &str)]) -> Self {
        let stub = WechatStub::start("wx0123456789abcdef", "stub-secret", 0, Runtime::system()).await.unwrap();
        std::fs::write(root.join("secret"), "stub-secret\n").unwrap();
        std::fs::write(root.join("token"), "no-token\n").unwrap();
        let at = |name: &str| root.join(name).display().to_string();
        let text = format!(
            "[server]\ndata = \"{}\"\nsocket = \"{}\"\nrings_port = 0\n\
             [wechat]\napp_id = \"wx0123456789abcdef\"\nbase_url = \"{}\"\nsecret_file = \"{}\"\n\
             [gateway]\nurl = \"http://127.0.0.1:9\"\ntoken_file = \"{}\"\n{more}",
            at("data"),
            at("http.sock"),
            stub.base_url(),
            at("secret"),
            at("token"),
        );
        let file = root.join("config.toml");
        std::fs::write(&file, text).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_local"))
            .args(["run", "--config", file.to_str().unwrap()])
            .current_dir("/")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines.next().unwrap().unwrap();
        Self { file, process: Process(Some(process)), lines, ready, stub }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.file.with_file_name("http.sock")
    }

    /// The URL on loopback.
    pub(super) fn base_url(&self) -> String {
        let url = self.ready.strip_prefix("Ready on ").and_then(|rest| rest.split(';').next());
        url.unwrap_or_else(|| panic!("{}", self.ready)).to_owned()
    }

    /// Runs a command on this service outside a checkout; what it prints.
    pub(super) fn command(&self, args: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        let output = command.args(args).arg("--config").arg(&self.file).current_dir("/").output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Signals that its files have changed; the line that it prints about them.
    pub(super) fn reload(&mut self) -> String {
        self.process.signal("-HUP");
        let reloaded = |line: &String| line.contains("eloaded");
        self.lines.by_ref().map(Result::unwrap).find(reloaded).expect("it goes on")
    }

    pub(super) async fn readiness(&self) -> String {
        http().get(format!("{}/readyz", self.base_url())).send().await.unwrap().text().await.unwrap()
    }

    /// The version of the policy, as readiness shows it.
    pub(super) async fn policy_version(&self) -> String {
        json(&self.readiness().await)["policy_version"].as_str().unwrap().to_owned()
    }

    /// A request of a client; status and body.
    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        token: &str,
        key: Option<&str>,
        body: &str,
    ) -> (u16, Value) {
        let request = http().request(method, format!("{}{path}", self.base_url())).bearer_auth(token);
        let request = request.header("content-type", "application/json").body(body.to_owned());
        let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), json(&response.text().await.unwrap()))
    }

    /// Stops it; the other lines that it printed, and its log.
    pub(super) async fn stop(mut self) -> (Vec<String>, String) {
        self.process.signal("-TERM");
        let rest = self.lines.map(Result::unwrap).collect();
        let output = self.process.wait();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{log}");
        self.stub.stop().await;
        (rest, log)
    }
}
