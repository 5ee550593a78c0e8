//! The command line and the supervisor with the real gateway. Slow: run with `--test supervisor -- --test-threads=1`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use local::host::gateway::{Gateway, GatewayOptions, GatewayState};
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
    domain::json::kept(request.send().await.unwrap().text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn the_demo_ends_well_and_leaves_nothing_running() {
    let mut demo = local(&["demo"]);
    let nobodys = demo.env_remove("OPENCLAW_MODEL").env_remove("OPENAI_API_KEY").env_remove("OPENAI_BASE_URL");
    let output = nobodys.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("Every check passed."), "{told}");
    assert!(told.contains("THERE IS NO LANGUAGE MODEL HERE"), "{told}");
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

/// Placeholder for the API key of the operator's model provider.
const KEY: &str = "sk-of-this-test-5d2f81c07a";

/// Another stand-in for a model, in the place of a provider that wants its key.
struct Provider {
    process: Child,
    url: String,
}

fn provider() -> Provider {
    let checkout = local::data::checkout().unwrap();
    let mut command = Command::new(checkout.join(".local/openclaw/bin/node"));
    command.arg(checkout.join("scripts/openclaw/stand-in-model.mjs")).env("STAND_IN_KEY", KEY);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    Provider { process, url: format!("http://127.0.0.1:{}", line.trim().trim_start_matches("ready ")) }
}

/// Files below a directory, and command lines of processes, that hold the key.
fn places_of_the_key(directory: &Path) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        std::fs::read(path).is_ok_and(|bytes| bytes.windows(KEY.len()).any(|found| found == KEY.as_bytes()))
    };
    let mut open = vec![directory.to_owned()];
    let mut files = Vec::new();
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            if entry.file_type().unwrap().is_dir() { open.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    assert!(files.len() > 10, "the gateway writes here");
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    files.extend(processes.map(|process| process.path().join("cmdline")));
    files.into_iter().filter(holds).collect()
}

/// `local run` on a free port.
struct Running {
    process: Child,
    base_url: String,
    metrics_port: u16,
    // Kept, so that what is said later has a reader.
    _said: BufReader<std::process::ChildStdout>,
}

fn run(data: &Path, provider: &Provider) -> Running {
    let mut command = local(&["run", "--dev", "--port", "0", "--sweep-every", "2", "--data"]);
    command.arg(data).arg("--ledger").arg(data.join("ledger.jsonl")).stdout(Stdio::piped());
    let metrics_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    command.args(["--metrics-port", &metrics_port.to_string()]);
    let base_url = format!("{}/v1", provider.url);
    command.env_remove("OPENCLAW_MODEL").env("OPENAI_API_KEY", KEY).env("OPENAI_BASE_URL", base_url);
    let mut process = command.env("OPENAI_MODEL", "a-real-one").spawn().unwrap();
    let mut said = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("Ready on ") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended before it was ready");
    }
    let base_url = line.trim_start_matches("Ready on ").split(',').next().unwrap().to_owned();
    Running { process, base_url, metrics_port, _said: said }
}

fn lines(data: &Path, op: &str) -> usize {
    let ledger = std::fs::read_to_string(data.join("ledger.jsonl")).unwrap_or_default();
    ledger.lines().filter(|line| line.contains(&format!("\"op\":\"{op}\""))).count()
}

#[tokio::test]
async fn a_job_whose_service_was_killed_in_the_call_goes_on_after_a_start_and_runs_once() {
    let data = directory("killed");
    let mut provider = provider();
    let mut before = run(&data, &provider);
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

    // The gateway of the killed service is still draining, and holds the directory until it has ended.
    let mut after = run(&data, &provider);
    let job = until_over(&after.base_url, token, &id).await;
    assert_eq!(lines(&data, "sleep_start"), 1, "{job}");
    let finished = lines(&data, "sleep_end") == 1;
    assert_eq!(job["status"], if finished { "succeeded" } else { "unknown" }, "{job}");

    a_turn_goes_to_the_operators_own_provider(&after.base_url, token, &provider, &data).await;
    the_gateway_rang(after.metrics_port).await;
    provider.process.kill().unwrap();
    provider.process.wait().unwrap();

    let terminated =
        Command::new("/bin/sh").args(["-c", "kill \"$0\"", &after.process.id().to_string()]).status().unwrap();
    assert!(terminated.success() && after.process.wait().unwrap().success());
}

async fn until_over(base_url: &str, token: &str, id: &str) -> Value {
    let over = async {
        loop {
            let job = json(http().get(format!("{base_url}/v1/jobs/{id}?wait=10")).bearer_auth(token)).await;
            if job.get("next_poll_ms").is_none() {
                return job;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), over).await.expect("the job ends")
}

/// Shown with the service of the test above, since a start takes a minute.
async fn a_turn_goes_to_the_operators_own_provider(base_url: &str, token: &str, provider: &Provider, data: &Path) {
    let id = String::from_utf8(local(&["id"]).output().unwrap().stdout).unwrap().trim().to_owned();
    let submit = http().post(format!("{base_url}/v1/jobs")).bearer_auth(token).header("idempotency-key", &id);
    let said = json!({"message": "[[say:from the operator's own]]"});
    assert_eq!(submit.json(&said).send().await.unwrap().status(), 202);
    let job = until_over(base_url, token, &id).await;
    assert_eq!(job["result"]["reply"], "from the operator's own", "{job}");
    // It refuses requests without the key.
    let asked = json(http().get(format!("{}/requests", provider.url))).await;
    assert!(asked.as_array().unwrap().iter().any(|request| request["model"] == "a-real-one"), "{asked}");
    assert_eq!(places_of_the_key(data), Vec::<PathBuf>::new());
}

/// The journal has reported the end of the turn by webhook: without that, the turn is polled after two minutes.
async fn the_gateway_rang(metrics_port: u16) {
    let metrics = http().get(format!("http://127.0.0.1:{metrics_port}/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let woken = metrics.lines().filter(|line| line.contains("POST /v1/rings") && !line.ends_with(" 0"));
    assert!(woken.count() > 0, "{metrics}");
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
