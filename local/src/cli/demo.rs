//! `local demo`: a new service, a real gateway, and a Mini Program that checks every response.

use std::{net::Ipv4Addr, path::Path};

use platform::runtime::Runtime;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::transcript::{Transcript, claims, effects, refused, shows, status_is, succeeded, text, verified};
use super::{Failure, client::Client, id, output::say, signals::Stop};
use crate::{
    data::{DataDir, checkout},
    host::{
        agent_model::AgentModel,
        gateway::{Gateway, GatewayOptions},
        service::{Claim, Login, Options, Service},
    },
};

mod erasure;
mod mini_program;
mod notification;
mod transcript;
mod turns;
mod workflow;

/// How many copies of the last request are sent concurrently.
const AT_ONCE: usize = 8;

/// Runs the demo, and stops everything that it has started.
pub(super) async fn run() -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let checkout = checkout()?;
    let held = fresh_directory(&checkout)?;
    let directory = &held.path;
    let started = tokio::select! {
        started = start(&checkout, directory) => started,
        () = stop.asked() => Err("stopped before the service was ready".into()),
    };
    let (gateway, service) = started?;
    let shown = tokio::select! {
        shown = show(&service, &gateway) => shown,
        () = stop.asked() => Err("stopped".into()),
    };
    service.stop().await;
    gateway.stop().await?;
    say(format_args!("\nData, ledger and gateway log of this run: {}", directory.display()));
    shown?;
    say("Every check passed. Everything is stopped.");
    Ok(())
}

/// Makes a directory for this run. Directories of earlier runs are removed, because nothing refers to them.
fn fresh_directory(checkout: &Path) -> Result<DataDir, Failure> {
    let all = checkout.join(".local/demo");
    let fresh = DataDir::take(&all.join(Runtime::system().now().millis().to_string()))?;
    for old in std::fs::read_dir(&all)?.flatten().filter(|old| old.path() != fresh.path) {
        // Another running demo holds the lock of its directory, which is kept.
        if DataDir::take(&old.path()).is_ok() {
            let _ = std::fs::remove_dir_all(old.path());
        }
    }
    Ok(fresh)
}

async fn start(checkout: &Path, directory: &Path) -> Result<(Gateway, Service), Failure> {
    say("Starting a real OpenClaw gateway and the service (10 to 60 s) ...");
    let options = GatewayOptions::within(checkout.to_owned(), directory.join("gateway"));
    let claim = Claim::take("--port", (Ipv4Addr::LOCALHOST, 0).into(), &directory.join("data"), &Login::Dev).await?;
    let options =
        GatewayOptions { model: AgentModel::Environment, progress: true, webhook_url: claim.webhook_url(), ..options };
    let gateway = Gateway::start(options).await?;
    say(gateway.model());
    let options = Options::dev(directory.join("data"), gateway.base_url(), gateway.token().to_owned());
    match Service::start_with(claim, options).await {
        Ok(service) => Ok((gateway, service)),
        Err(error) => {
            gateway.stop().await?;
            Err(error.into())
        }
    }
}

async fn show(service: &Service, gateway: &Gateway) -> Result<(), Failure> {
    let mut transcript = Transcript::new();
    let anonymous = Client::new(&service.base_url)?;
    shows(format_args!("service {}, gateway {}", service.base_url, gateway.base_url()));

    let client = log_in(&mut transcript, &anonymous).await?;
    let id = submit_and_wait(&mut transcript, &client, gateway).await?;
    repeat(&mut transcript, &client, gateway, &id).await?;
    at_once(&mut transcript, &client, gateway).await?;
    ask_badly(&mut transcript, &client, gateway).await?;
    verify_audit(&mut transcript, &client, &id).await?;
    turns::show(&mut transcript, &client, gateway).await?;
    workflow::show(&mut transcript, &client, gateway).await?;
    notification::show(&mut transcript, &client, service).await?;
    mini_program::show(&mut transcript, &client, &service.base_url, gateway).await?;
    erasure::show(&mut transcript, &client, &anonymous).await
}

async fn log_in(transcript: &mut Transcript, anonymous: &Client) -> Result<Client, Failure> {
    transcript.step("Log in: POST /v1/sessions {\"code\":\"dev-demo\"}");
    let reply = anonymous.post("/v1/sessions", None, &json!({"code": "dev-demo"})).await?;
    status_is(&reply, 201)?;
    let token = reply.body["token"].as_str().ok_or("the session has no token")?;
    shows(format_args!("user {}, until {}", reply.body["user_id"], reply.body["expires_at"]));
    let client = anonymous.with_token(token);

    transcript.step("What may I call: GET /v1/tools");
    let reply = client.get("/v1/tools").await?;
    status_is(&reply, 200)?;
    for tool in reply.body["tools"].as_array().into_iter().flatten() {
        shows(format_args!("{} ({}): {}", text(&tool["name"]), text(&tool["effect"]), text(&tool["title"])));
    }
    Ok(client)
}

fn append(note: &str) -> Value {
    json!({"tool": "ledger_append", "arguments": {"note": note}})
}

async fn submit_and_wait(transcript: &mut Transcript, client: &Client, gateway: &Gateway) -> Result<String, Failure> {
    let id = id::new(&Runtime::system());
    let body = append("two coffees");
    transcript.step(format_args!("Submit a write: POST /v1/jobs {body}"));
    shows(format_args!("Idempotency-Key: {id}"));
    let reply = client.post("/v1/jobs", Some(&id), &body).await?;
    status_is(&reply, 202)?;
    shows(format_args!("status {}", text(&reply.body["status"])));

    transcript.step("Poll until it is over: GET /v1/jobs/{id}?wait=10");
    let reply = client.until_over(&id).await?;
    succeeded(&reply)?;
    let result = &reply.body["result"];
    shows(format_args!("result {}", result.get("details").unwrap_or(result)));
    effects(gateway, "two coffees", 1)?;
    Ok(id)
}

async fn repeat(transcript: &mut Transcript, client: &Client, gateway: &Gateway, id: &str) -> Result<(), Failure> {
    transcript.step("The same request again, as a phone does that lost the answer");
    let reply = client.post("/v1/jobs", Some(id), &append("two coffees")).await?;
    status_is(&reply, 200)?;
    let replayed = reply.headers.get("idempotent-replayed").and_then(|value| value.to_str().ok());
    claims("it is marked Idempotent-Replayed: true", replayed == Some("true"), format_args!("{replayed:?}"))?;
    effects(gateway, "two coffees", 1)?;

    transcript.step("Another request under the same id");
    let reply = client.post("/v1/jobs", Some(id), &append("three coffees")).await?;
    refused(&reply, 422, "idempotency_key_reused")?;
    effects(gateway, "three coffees", 0)
}

async fn at_once(transcript: &mut Transcript, client: &Client, gateway: &Gateway) -> Result<(), Failure> {
    transcript.step(format_args!("A new request, sent {AT_ONCE} times at once"));
    let id = id::new(&Runtime::system());
    let mut sent = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (client, id) = (client.clone(), id.clone());
        sent.spawn(async move { client.post("/v1/jobs", Some(&id), &append("one tea")).await });
    }
    let mut statuses = Vec::new();
    while let Some(reply) = sent.join_next().await {
        statuses.push(reply??.status.as_u16());
    }
    statuses.sort_unstable();
    shows(format_args!("answers {statuses:?}"));
    let accepted = statuses.iter().filter(|status| **status == 202).count();
    let replayed = statuses.iter().filter(|status| **status == 200).count();
    claims("one is new (202), the others are replays (200)", (accepted, replayed) == (1, AT_ONCE - 1), accepted)?;
    succeeded(&client.until_over(&id).await?)?;
    effects(gateway, "one tea", 1)
}

async fn ask_badly(transcript: &mut Transcript, client: &Client, gateway: &Gateway) -> Result<(), Failure> {
    let key = id::new(&Runtime::system());
    transcript.step("A bad request: an argument of the wrong type");
    let body = json!({"tool": "ledger_append", "arguments": {"note": 7}});
    refused(&client.post("/v1/jobs", Some(&key), &body).await?, 422, "arguments_invalid")?;

    transcript.step("A destructive tool");
    let body = json!({"tool": "ledger_delete", "arguments": {}});
    refused(&client.post("/v1/jobs", Some(&key), &body).await?, 403, "tool_not_opened")?;
    effects(gateway, "two coffees", 1)
}

async fn verify_audit(transcript: &mut Transcript, client: &Client, id: &str) -> Result<(), Failure> {
    transcript.step(format_args!("Who did what: GET /v1/jobs/{id}/audit"));
    let mut tampered = verified(client, id).await?;
    if let Some(record) = tampered.records.get_mut(1) {
        record["tool"] = json!("another_tool");
    }
    let fault = tampered.verify(None).err();
    claims("with one word changed it does not", fault.is_some(), "that it verified")?;
    shows(fault.unwrap_or_default());
    Ok(())
}
