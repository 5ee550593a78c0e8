//! 200 jobs, 16 at once, 20 users, over real sockets: all end, none is lost, none runs twice.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use integration_tests::{app::effects_in, mini_gateway};
use local::host::service::{Options, Service};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{ledger_reconciliation, real::with_gateway};

const JOBS: usize = 200;
const AT_ONCE: usize = 16;
const USERS: usize = 20;

struct Done {
    id: String,
    status: String,
    accept: Duration,
    result: Duration,
    token: String,
}

async fn log_in(http: &reqwest::Client, base: &str, name: &str) -> String {
    let reply = http.post(format!("{base}/v1/sessions")).json(&json!({"code": format!("dev-{name}")})).send().await;
    let body: Value = reply.expect("the service answers").json().await.expect("in JSON");
    body["token"].as_str().expect("a session").to_owned()
}

async fn one(http: &reqwest::Client, base: &str, token: &str, body: &Value) -> Done {
    let id = Uuid::now_v7().to_string();
    let began = Instant::now();
    loop {
        let submit = http.post(format!("{base}/v1/jobs")).bearer_auth(token).header("idempotency-key", &id).json(body);
        let reply = submit.send().await.expect("the service answers");
        match reply.status().as_u16() {
            200 | 202 => break,
            429 | 503 => tokio::time::sleep(Duration::from_millis(500)).await,
            status => {
                let told = reply.text().await.unwrap_or_default();
                // On a machine that is too busy to read the mode in time, `read_only` applies, and a client retries
                // later.
                assert!(status == 403 && told.contains("mode_read_only"), "{status}: {told}");
                println!("LOAD: the mode could not be read in time");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
    let accept = began.elapsed();
    loop {
        let poll = http.get(format!("{base}/v1/jobs/{id}?wait=20")).bearer_auth(token);
        let job: Value = poll.send().await.expect("the service answers").json().await.expect("in JSON");
        if job["next_poll_ms"].is_null() && job["status"].is_string() {
            return Done {
                id,
                status: job["status"].as_str().unwrap_or_default().to_owned(),
                accept,
                result: began.elapsed(),
                token: token.to_owned(),
            };
        }
    }
}

fn percentile(times: &mut [Duration], p: usize) -> u128 {
    times.sort_unstable();
    times[(times.len() * p / 100).min(times.len() - 1)].as_millis()
}

/// Runs the load and prints its numbers. `at_once` submissions are open at a time.
async fn load(
    base_gateway: (String, String),
    ledger: &std::path::Path,
    body: Value,
    at_once: usize,
    name: &str,
    lines: usize,
) {
    let data = mini_gateway::checkout().join(".local/tmp/flows").join(Uuid::now_v7().to_string());
    let mut options = Options::dev(data.clone(), base_gateway.0, base_gateway.1);
    options.workers = 4;
    let service = Service::start(options).await.expect("the service starts");
    let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
    let base = service.base_url.clone();
    let mut tokens = Vec::new();
    for user in 0..USERS {
        tokens.push(log_in(&http, &base, &format!("load-{user}")).await);
    }
    one(&http, &base, &tokens[0], &json!({"tool":"ledger_read","arguments":{"limit":1}})).await;
    let (gate, began) = (Arc::new(Semaphore::new(at_once)), Instant::now());
    let jobs: Vec<_> = (0..JOBS)
        .map(|n| {
            let (http, base, token, body) = (http.clone(), base.clone(), tokens[n % USERS].clone(), body.clone());
            let gate = gate.clone();
            tokio::spawn(async move {
                let _place = gate.acquire().await.expect("it is never closed");
                one(&http, &base, &token, &body).await
            })
        })
        .collect();
    let mut done = Vec::new();
    for job in jobs {
        done.push(job.await.expect("no panic"));
    }
    let took = began.elapsed();
    let written = mini_gateway::ledger(ledger);
    let mut ends = BTreeMap::<&str, usize>::new();
    for job in &done {
        *ends.entry(job.status.as_str()).or_default() += 1;
        assert_eq!(effects_in(&written, &job.id), lines, "{}: {}", job.id, job.status);
    }
    assert_eq!(ends, BTreeMap::from([("succeeded", JOBS)]), "none lost");
    for job in &done {
        let get = http.get(format!("{base}/v1/jobs/{}/audit", job.id)).bearer_auth(&job.token);
        let chain: Value = get.send().await.expect("the service answers").json().await.expect("in JSON");
        ledger_reconciliation::account("load", chain["records"].as_array().expect("a chain"));
    }
    let mut accepts: Vec<Duration> = done.iter().map(|job| job.accept).collect();
    let mut results: Vec<Duration> = done.iter().map(|job| job.result).collect();
    println!(
        "LOAD {name}: {JOBS} jobs, {at_once} at once, {USERS} users: accept p50/p95 {}/{} ms, submit-to-result p50/p95 \
         {}/{} ms, {:.1} calls/s at the gateway",
        percentile(&mut accepts, 50),
        percentile(&mut accepts, 95),
        percentile(&mut results, 50),
        percentile(&mut results, 95),
        JOBS as f64 / took.as_secs_f64(),
    );
    service.stop().await;
    let _best_effort = std::fs::remove_dir_all(data);
}

#[test]
fn two_hundred_jobs_are_all_over_none_lost_none_twice() {
    with_gateway(async |real| {
        let gateway = (real.gateway().base_url(), real.gateway().token().to_owned());
        let ledger = real.gateway().ledger().to_owned();
        load(gateway, &ledger, json!({"tool":"ledger_append","arguments":{"note":"n"}}), AT_ONCE, "quick write", 1)
            .await;
    });
}

#[test]
fn two_hundred_slow_jobs_need_no_more_than_four_workers() {
    with_gateway(async |real| {
        let gateway = (real.gateway().base_url(), real.gateway().token().to_owned());
        let ledger = real.gateway().ledger().to_owned();
        let body = json!({"tool":"ledger_sleep","arguments":{"ms":30_000}});
        // All of them are open together: if a worker waited for each call, the run would need 25 minutes.
        load(gateway, &ledger, body, JOBS, "30 s tool, 4 workers", 2).await;
    });
}
