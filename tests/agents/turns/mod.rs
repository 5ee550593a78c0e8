//! Turns of agents, through the front door: sent once, found again, and unable to do what they may not.

use std::time::Duration;

use integration_tests::{App, Client, Setup};
use serde_json::{Value, json};

mod crashes;
mod proposals;
mod queue;
mod refused;
mod replies;
mod stopping;
mod webhook;

/// The journal's way in for turns.
const TURNS: &str = "/miniprogram/v1/turns";

/// Room for many long jobs, so that a test can do a lot.
pub(crate) fn roomy() -> Setup {
    Setup::roomy()
}

/// Submits what is said to the agent; returns the request id.
async fn say(app: &App, client: &Client, text: &str) -> String {
    submit(app, client, &json!({ "message": text })).await
}

async fn submit(app: &App, client: &Client, body: &Value) -> String {
    let id = app.new_id();
    let reply = client.submit_body(&id, body).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    id
}

/// Brings a job to its end, or to an approval request.
async fn settle(app: &mut App, client: &Client, id: &str) -> Value {
    for _ in 0..100 {
        while app.deliver().await {}
        let job = client.job(id).await;
        if job["status"] == "awaiting_approval" || job["next_poll_ms"].is_null() {
            return job;
        }
        // An agent takes its time, by the real clock.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let wait = app.delays.next().unwrap_or(Duration::from_secs(61)).max(Duration::from_millis(10));
        app.advance(wait).await;
        app.sweep().await;
    }
    panic!("the job does not settle: {}", client.job(id).await);
}

/// The same for one whose agent is slow: time passes as it does.
async fn settle_slowly(app: &mut App, client: &Client, id: &str) -> Value {
    let began = std::time::Instant::now();
    loop {
        while app.deliver().await {}
        let job = client.job(id).await;
        if job["status"] == "awaiting_approval" || job["next_poll_ms"].is_null() {
            return job;
        }
        assert!(began.elapsed().as_secs() < 60, "the job does not settle: {job}");
        tokio::time::sleep(Duration::from_millis(250)).await;
        app.advance(Duration::from_millis(1750)).await;
    }
}

/// Delivers until the agent has been asked.
async fn until_asked(app: &mut App) {
    app.deliver().await;
    let began = std::time::Instant::now();
    while app.gateway().model_calls().await == 0 {
        assert!(began.elapsed().as_secs() < 10, "the agent does not begin");
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
