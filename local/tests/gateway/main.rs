//! The command line and the supervisor with the real gateway. Slow: run with `--test gateway -- --test-threads=1`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use local::gateway::{Gateway, GatewayOptions, GatewayState};
use serde_json::{Value, json};

fn directory(name: &str) -> PathBuf {
    let path = local::data::checkout().unwrap().join(".local/tmp/local-gateway").join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn local(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.args(args);
    command
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn json(request: reqwest::RequestBuilder) -> Value {
    serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn the_demo_ends_well_and_leaves_nothing_running() {
    let output = local(&["demo"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("Everything was as claimed."), "{told}");
    let urls: Vec<&str> = told
        .split_whitespace()
        .filter(|word| word.starts_with("http://127.0.0.1:"))
        .map(|word| word.trim_matches(','))
        .collect();
    assert_eq!(urls.len(), 2, "service and gateway in {told}");
    for url in urls {
        assert!(http().get(url).send().await.unwrap_err().is_connect(), "{url} still answers");
    }
}

/// `local run` on a free port.
struct Running {
    process: Child,
    base_url: String,
    // Kept, so that what is said later has a reader.
    _said: BufReader<std::process::ChildStdout>,
}

fn run(data: &Path) -> Running {
    let mut command = local(&["run", "--dev", "--port", "0", "--sweep-every", "2", "--data"]);
    command.arg(data).arg("--ledger").arg(data.join("ledger.jsonl")).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut said = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("Ready on ") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended before it was ready");
    }
    let base_url = line.trim_start_matches("Ready on ").split(',').next().unwrap().to_owned();
    Running { process, base_url, _said: said }
}

fn lines(data: &Path, op: &str) -> usize {
    let ledger = std::fs::read_to_string(data.join("ledger.jsonl")).unwrap_or_default();
    ledger.lines().filter(|line| line.contains(&format!("\"op\":\"{op}\""))).count()
}

#[tokio::test]
async fn a_job_whose_service_was_killed_in_the_call_goes_on_after_a_start_and_runs_once() {
    let data = directory("killed");
    let mut before = run(&data);
    let login = http().post(format!("{}/v1/sessions", before.base_url)).json(&json!({"code": "dev-alice"}));
    let session = json(login).await;
    let token = session["token"].as_str().unwrap();
    let id = String::from_utf8(local(&["id"]).output().unwrap().stdout).unwrap().trim().to_owned();
    let body = json!({"tool": "ledger_sleep", "arguments": {"ms": 3000, "note": "nap"}});
    let submit = http().post(format!("{}/v1/jobs", before.base_url)).bearer_auth(token).header("idempotency-key", &id);
    assert_eq!(submit.json(&body).send().await.unwrap().status(), 202);
    let called = async {
        while lines(&data, "sleep_start") == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), called).await.expect("the tool begins");
    before.process.kill().unwrap();
    before.process.wait().unwrap();

    // The gateway that was orphaned still drains: the directory is its until it has.
    let mut after = run(&data);
    let over = async {
        loop {
            let job = json(http().get(format!("{}/v1/jobs/{id}?wait=10", after.base_url)).bearer_auth(token)).await;
            if job.get("next_poll_ms").is_none() {
                return job;
            }
        }
    };
    let job = tokio::time::timeout(Duration::from_secs(120), over).await.expect("the job ends");
    assert_eq!(lines(&data, "sleep_start"), 1, "{job}");
    let finished = lines(&data, "sleep_end") == 1;
    assert_eq!(job["status"], if finished { "succeeded" } else { "unknown" }, "{job}");

    let terminated =
        Command::new("/bin/sh").args(["-c", "kill \"$0\"", &after.process.id().to_string()]).status().unwrap();
    assert!(terminated.success() && after.process.wait().unwrap().success());
}

#[tokio::test]
async fn a_killed_gateway_comes_back_on_its_port_with_its_token() {
    let options = GatewayOptions::within(local::data::checkout().unwrap(), directory("supervised"));
    let mut gateway = Gateway::start(options).await.unwrap();
    let (url, token) = (gateway.base_url(), gateway.token().to_owned());
    let ready = |url: String| async move {
        http().get(format!("{url}/readyz")).send().await.map(|answer| answer.status().as_u16())
    };
    assert_eq!(ready(url.clone()).await.unwrap(), 200);
    gateway.kill().await.unwrap();
    assert_eq!(*gateway.state().borrow(), GatewayState::Exited);
    assert!(ready(url.clone()).await.unwrap_err().is_connect());
    gateway.restart().await.unwrap();
    assert_eq!((gateway.base_url(), gateway.token()), (url.clone(), token.as_str()));
    assert_eq!(ready(url.clone()).await.unwrap(), 200);
    gateway.stop().await.unwrap();
    assert!(ready(url).await.unwrap_err().is_connect());
}

#[tokio::test]
async fn a_gateway_that_cannot_start_says_why_in_one_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = GatewayOptions::within(local::data::checkout().unwrap(), directory("taken"));
    let error = Gateway::start(GatewayOptions { port: Some(port), ..options }).await.unwrap_err().to_string();
    assert!(error.contains(&format!("port {port} is taken")) && !error.contains('\n'), "{error}");
}
