//! The service from a configuration file, behind a reverse proxy on the same host.

use std::{
    io::{BufRead, BufReader, Lines, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use domain::limits::Rate;
use local::{
    emulation::wechat_stub::WechatStub,
    host::{
        service::{Login, Options, Service},
        settings::Settings,
    },
};
use platform::runtime::Runtime;

use super::{directory, http};

/// Sends one request over the socket, as a proxy does; the status of the response.
fn over_socket(socket: &Path, request_line: &str, forwarded: &[&str], body: &str) -> u16 {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_phone_logs_in_while_the_first_exhausts_its_limit_and_no_header_of_a_client_changes_that() {
    let root = directory("proxied");
    let socket = root.join("http.sock");
    // A killed process leaves its socket.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let stub = WechatStub::start("wx0123456789abcdef", "stub-secret", 0, Runtime::system()).await.unwrap();
    let login = Login::Wechat {
        base_url: stub.base_url(),
        app_id: "wx0123456789abcdef".to_owned(),
        app_secret: "stub-secret".to_owned(),
    };
    let login_rate = Rate::new(Duration::from_secs(3600), 2);
    let service = Service::start(Options {
        login,
        socket: Some(socket.clone()),
        settings: Settings { login_rate, ..Settings::default() },
        opens_new_table: false,
        ..Options::dev(root.join("data"), "http://127.0.0.1:9".to_owned(), "no-token".to_owned())
    });
    let service = service.await.unwrap();
    assert!(!service.controls.is_set(), "a new table reads only until an operator opens it");

    let request = {
        let socket = socket.clone();
        async move |line: &'static str, forwarded: &'static [&'static str], body: &'static str| {
            let socket = socket.clone();
            tokio::task::spawn_blocking(move || over_socket(&socket, line, forwarded, body)).await.unwrap()
        }
    };
    let log_in = async |forwarded| request("POST /v1/sessions", forwarded, r#"{"code":"dev-alice"}"#).await;
    assert_eq!((log_in(&["192.0.2.1"]).await, log_in(&["192.0.2.1"]).await), (201, 201));
    assert_eq!(log_in(&["192.0.2.1"]).await, 429);
    assert_eq!(log_in(&["203.0.113.7, 192.0.2.1"]).await, 429, "the client wrote the first address");
    assert_eq!(log_in(&["203.0.113.7", "192.0.2.1"]).await, 429);
    assert_eq!(log_in(&["192.0.2.2"]).await, 201);
    assert_eq!(log_in(&[]).await, 400);
    assert_eq!(log_in(&["unknown"]).await, 400);
    assert_eq!(request("GET /healthz", &["192.0.2.1"], "").await, 200);
    assert_eq!(request("GET /readyz", &["192.0.2.1"], "").await, 404);
    assert_eq!(request("POST /v1/rings", &["192.0.2.1"], "{}").await, 404);

    // On loopback no header is believed, and a public name is not answered.
    let log_in = async |forwarded: &str| {
        let post = http().post(format!("{}/v1/sessions", service.base_url)).header("x-forwarded-for", forwarded);
        let post = post.header("content-type", "application/json").body(r#"{"code":"dev-alice"}"#);
        post.send().await.unwrap().status().as_u16()
    };
    assert_eq!((log_in("192.0.2.11").await, log_in("192.0.2.12").await), (201, 201));
    assert_eq!(log_in("192.0.2.13").await, 429);
    let named = http().get(format!("{}/healthz", service.base_url)).header("host", "api.example.com").send().await;
    assert_eq!(named.unwrap().status().as_u16(), 403);
    service.stop().await;
    stub.stop().await;
}

#[test]
fn a_configuration_that_is_wrong_ends_with_78_and_names_key_and_file() {
    let file = directory("config-wrong").join("config.toml");
    std::fs::write(&file, "[wechat]\napp_id = \"wx0123456789abcdef\"\n[limits]\nsubmit_bursts = 3\n").unwrap();
    let path = file.to_str().unwrap();
    for command in [&["run", "--config", path][..], &["config", "check", "--config", path]] {
        let output = Command::new(env!("CARGO_BIN_EXE_local")).args(command).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.lines().count()), (Some(78), 1), "{text}");
        assert!(text.contains(path) && text.contains("line 4") && text.contains("`submit_bursts`"), "{text}");
    }
    std::fs::write(&file, "[wechat]\napp_id = \"wx0123456789abcdef\"\n").unwrap();
    let checked = Command::new(env!("CARGO_BIN_EXE_local")).args(["config", "check", "--config", path]).output();
    assert_eq!(checked.unwrap().status.code(), Some(0));
}

/// A service that runs from its configuration file, outside a checkout.
struct Installed {
    file: PathBuf,
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// The first line that it prints.
    ready: String,
    stub: WechatStub,
}

impl Installed {
    async fn start(name: &str) -> Self {
        let root = directory(name);
        let stub = WechatStub::start("wx0123456789abcdef", "stub-secret", 0, Runtime::system()).await.unwrap();
        std::fs::write(root.join("secret"), "stub-secret\n").unwrap();
        std::fs::write(root.join("token"), "no-token\n").unwrap();
        let at = |name: &str| root.join(name).display().to_string();
        let text = format!(
            "[server]\ndata = \"{}\"\nsocket = \"{}\"\nrings_port = 0\n\
             [wechat]\napp_id = \"wx0123456789abcdef\"\nbase_url = \"{}\"\nsecret_file = \"{}\"\n\
             [gateway]\nurl = \"http://127.0.0.1:9\"\ntoken_file = \"{}\"\n",
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
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines.next().unwrap().unwrap();
        Self { file, process, lines, ready, stub }
    }

    fn socket(&self) -> PathBuf {
        self.file.with_file_name("http.sock")
    }

    /// The URL on loopback.
    fn base_url(&self) -> String {
        let url = self.ready.strip_prefix("Ready on ").and_then(|rest| rest.split(';').next());
        url.unwrap_or_else(|| panic!("{}", self.ready)).to_owned()
    }

    /// Runs a command on this service outside a checkout; what it prints.
    fn command(&self, args: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        let output = command.args(args).arg("--config").arg(&self.file).current_dir("/").output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Stops it; the other lines that it printed, and its log.
    async fn stop(self) -> (Vec<String>, String) {
        let ended = Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        assert!(ended.success());
        let rest = self.lines.map(Result::unwrap).collect();
        let output = self.process.wait_with_output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{log}");
        self.stub.stop().await;
        (rest, log)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_runs_from_its_file_outside_a_checkout_and_logs_json_alone() {
    let service = Installed::start("config-run").await;
    let ready = &service.ready;
    assert!(ready.starts_with("Ready on http://127.0.0.1:") && ready.contains("mode: read_only"), "{ready}");
    let socket = service.socket();
    let found = tokio::task::spawn_blocking(move || over_socket(&socket, "GET /v1/nothing", &["192.0.2.1"], "")).await;
    assert_eq!(found.unwrap(), 404);
    let (rest, log) = service.stop().await;
    assert!(!rest.iter().any(|line| line.contains("curl")), "no lesson goes to the journal: {rest:?}");
    assert!(!log.is_empty());
    for line in log.lines() {
        assert!(domain::json::kept::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_opens_and_audits_the_service_with_its_file_outside_a_checkout() {
    let service = Installed::start("config-commands").await;
    assert!(service.command(&["mode", "get"]).starts_with("service  read_only: no mode was ever set"));
    let opened = service.command(&["mode", "set", "full", "--reason", "first opening"]);
    assert!(opened.starts_with("service  full  since "), "{opened}");
    let token = service.command(&["operator", "token", "--role", "viewer"]);
    let me = http().get(format!("{}/v1/operator/me", service.base_url())).bearer_auth(token.trim()).send().await;
    assert_eq!(me.unwrap().status().as_u16(), 200);
    let audited = service.command(&["audit", "verify", "--operators"]);
    assert!(audited.starts_with("ok: 1 records"), "{audited}");
    assert!(service.command(&["clock", "show"]).contains("expired items are deleted as of"));
    service.stop().await;
}
