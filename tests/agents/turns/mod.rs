//! Turns of agents through the API: sent once, found again after a crash, and unable to write.

use std::time::Duration;

use integration_tests::{App, Client, Setup, WAIT_LIMIT};
use serde_json::{Value, json};

mod crashes;
mod proposals;
mod queue;
mod refused;
mod replies;
mod stopping;
mod webhook;

/// The journal's route for turns.
const TURNS: &str = "/miniprogram/v1/turns";

/// High limits of open jobs and rate.
pub(crate) fn roomy() -> Setup {
    Setup::roomy()
}

/// Submits a message to the agent; returns the request id.
async fn say(app: &App, client: &Client, text: &str) -> String {
    app.submit_body(client, &json!({ "message": text })).await
}

/// Brings a job to its end, or to an approval request.
async fn settle(app: &mut App, client: &Client, id: &str) -> Value {
    for _ in 0..100 {
        while app.deliver().await {}
        let job = client.job(id).await;
        if job["status"] == "awaiting_approval" || job["next_poll_ms"].is_null() {
            return job;
        }
        // The agent runs by the real clock.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let wait = app.delays.next().unwrap_or(Duration::from_secs(61)).max(Duration::from_millis(10));
        app.advance(wait).await;
        app.sweep().await;
    }
    panic!("the job does not settle: {}", client.job(id).await);
}

/// The same for a slow agent: the test clock follows the real one.
async fn settle_slowly(app: &mut App, client: &Client, id: &str) -> Value {
    let began = std::time::Instant::now();
    loop {
        while app.deliver().await {}
        let job = client.job(id).await;
        if job["status"] == "awaiting_approval" || job["next_poll_ms"].is_null() {
            return job;
        }
        assert!(began.elapsed() < WAIT_LIMIT, "the job does not settle: {job}");
        tokio::time::sleep(Duration::from_millis(250)).await;
        app.advance(Duration::from_millis(1750)).await;
    }
}

/// Delivers until the agent's model has been called.
async fn until_asked(app: &mut App) {
    app.deliver().await;
    until_resumed(app).await;
}

/// Waits until an agent has asked its model since the gateway's start.
async fn until_resumed(app: &mut App) {
    let began = std::time::Instant::now();
    while app.gateway().model_calls().await == 0 {
        assert!(began.elapsed() < WAIT_LIMIT, "the agent does not begin");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn verdict(job: &Value) -> (&str, &str) {
    (job["status"].as_str().unwrap_or_default(), job["error"]["code"].as_str().unwrap_or_default())
}

fn reply(job: &Value) -> &str {
    job["result"]["reply"].as_str().unwrap_or_else(|| panic!("no reply: {job}"))
}

fn outcomes(job: &Value) -> Vec<&str> {
    job["steps"].as_array().unwrap().iter().map(|step| step["outcome"].as_str().unwrap_or("-")).collect()
}
