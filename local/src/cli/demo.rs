//! `local demo`: a fresh service, a real gateway, and a Mini Program that checks every answer it gets.

use std::{fmt::Display, path::Path};

use serde_json::{Value, json};
use shared::clock::World;
use tokio::task::JoinSet;

use super::{
    Failure,
    audit::answers::Chain,
    client::{Client, Reply},
    id,
    output::say,
    signals::Stop,
};
use crate::{
    data::{DataDir, checkout},
    gateway::{Gateway, GatewayOptions},
    service::{Options, Service},
};

/// How often the last request is sent at once.
const AT_ONCE: usize = 8;

/// Runs the demo and leaves nothing running.
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
    say("Everything was as claimed. Nothing is left running.");
    Ok(())
}

/// A directory of this run's own. Those of earlier runs are removed: nothing refers to them.
fn fresh_directory(checkout: &Path) -> Result<DataDir, Failure> {
    let all = checkout.join(".local/demo");
    let fresh = DataDir::take(&all.join(World::system().now().millis().to_string()))?;
    for old in std::fs::read_dir(&all)?.flatten().filter(|old| old.path() != fresh.path) {
        // One that another demo still holds is left alone.
        if DataDir::take(&old.path()).is_ok() {
            let _ = std::fs::remove_dir_all(old.path());
        }
    }
    Ok(fresh)
}

async fn start(checkout: &Path, directory: &Path) -> Result<(Gateway, Service), Failure> {
    say("Starting a real OpenClaw gateway and the service (10 to 60 s) ...");
    let options = GatewayOptions::within(checkout.to_owned(), directory.join("gateway"));
    let gateway = Gateway::start(GatewayOptions { progress: true, ..options }).await?;
    let options = Options::dev(directory.join("data"), gateway.base_url(), gateway.token().to_owned());
    match Service::start(options).await {
        Ok(service) => Ok((gateway, service)),
        Err(error) => {
            gateway.stop().await?;
            Err(error.into())
        }
    }
}

/// Numbers the steps, shows what happens, and ends the demo where something is not as claimed.
struct Transcript(u32);

impl Transcript {
    fn step(&mut self, title: impl Display) {
        self.0 += 1;
        say(format_args!("\n{}. {title}", self.0));
    }

    fn shows(line: impl Display) {
        say(format_args!("   {line}"));
    }

    fn claims(claim: impl Display, holds: bool, found: impl Display) -> Result<(), Failure> {
        if holds {
            Self::shows(format_args!("ok: {claim}"));
            Ok(())
        } else {
            Self::shows(format_args!("NOT SO: {claim}; found {found}"));
            Err(format!("the demo failed: {claim}; found {found}").into())
        }
    }
}

fn status_is(reply: &Reply, expected: u16) -> Result<(), Failure> {
    let found = format!("{} {}", reply.status.as_u16(), reply.body);
    Transcript::claims(format_args!("the answer is {expected}"), reply.status.as_u16() == expected, found)
}

async fn show(service: &Service, gateway: &Gateway) -> Result<(), Failure> {
    let mut transcript = Transcript(0);
    let anybody = Client::new(&service.base_url)?;
    Transcript::shows(format_args!("service {}, gateway {}", service.base_url, gateway.base_url()));

    let client = log_in(&mut transcript, &anybody).await?;
    let id = submit_and_wait(&mut transcript, &client, gateway).await?;
    repeat(&mut transcript, &client, gateway, &id).await?;
    at_once(&mut transcript, &client, gateway).await?;
    ask_badly(&mut transcript, &client, gateway).await?;
    verify_audit(&mut transcript, &client, &id).await
}

async fn log_in(transcript: &mut Transcript, anybody: &Client) -> Result<Client, Failure> {
    transcript.step("Log in: POST /v1/sessions {\"code\":\"dev-demo\"}");
    let reply = anybody.post("/v1/sessions", None, &json!({"code": "dev-demo"})).await?;
    status_is(&reply, 201)?;
    let token = reply.body["token"].as_str().ok_or("the session has no token")?;
    Transcript::shows(format_args!("user {}, until {}", reply.body["user_id"], reply.body["expires_at"]));
    let client = anybody.with_token(token);

    transcript.step("What may I call: GET /v1/tools");
    let reply = client.get("/v1/tools").await?;
    status_is(&reply, 200)?;
    for tool in reply.body["tools"].as_array().into_iter().flatten() {
        Transcript::shows(format_args!(
            "{} ({}): {}",
            text(&tool["name"]),
            text(&tool["effect"]),
            text(&tool["title"])
        ));
    }
    Ok(client)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn append(note: &str) -> Value {
    json!({"tool": "ledger_append", "arguments": {"note": note}})
}

async fn submit_and_wait(transcript: &mut Transcript, client: &Client, gateway: &Gateway) -> Result<String, Failure> {
    let id = id::new(&World::system());
    let body = append("two coffees");
    transcript.step(format_args!("Submit a write: POST /v1/jobs {body}"));
    Transcript::shows(format_args!("Idempotency-Key: {id}"));
    let reply = client.post("/v1/jobs", Some(&id), &body).await?;
    status_is(&reply, 202)?;
    Transcript::shows(format_args!("status {}", text(&reply.body["status"])));

    transcript.step("Poll until it is over: GET /v1/jobs/{id}?wait=10");
    let reply = client.until_over(&id).await?;
    succeeded(&reply)?;
    let result = &reply.body["result"];
    Transcript::shows(format_args!("result {}", result.get("details").unwrap_or(result)));
    effects(gateway, "two coffees", 1)?;
    Ok(id)
}

fn succeeded(reply: &Reply) -> Result<(), Failure> {
    Transcript::claims("it succeeded", reply.body["status"] == "succeeded", &reply.body)
}

/// Counts the lines of the ledger that carry a note: each is one effect in the world.
fn effects(gateway: &Gateway, note: &str, expected: usize) -> Result<(), Failure> {
    let ledger = std::fs::read_to_string(gateway.ledger()).unwrap_or_default();
    let lines = ledger.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found = lines.filter(|line| line["note"] == note).count();
    Transcript::claims(
        format_args!("the tool ran {expected} time(s) for \"{note}\", says its ledger"),
        found == expected,
        found,
    )
}

async fn repeat(transcript: &mut Transcript, client: &Client, gateway: &Gateway, id: &str) -> Result<(), Failure> {
    transcript.step("The same request again, as a phone does that lost the answer");
    let reply = client.post("/v1/jobs", Some(id), &append("two coffees")).await?;
    status_is(&reply, 200)?;
    let replayed = reply.headers.get("idempotent-replayed").and_then(|value| value.to_str().ok());
    Transcript::claims(
        "it is marked Idempotent-Replayed: true",
        replayed == Some("true"),
        format_args!("{replayed:?}"),
    )?;
    effects(gateway, "two coffees", 1)?;

    transcript.step("Another request under the same id");
    let reply = client.post("/v1/jobs", Some(id), &append("three coffees")).await?;
    refused(&reply, 422, "idempotency_key_reused")?;
    effects(gateway, "three coffees", 0)
}

async fn at_once(transcript: &mut Transcript, client: &Client, gateway: &Gateway) -> Result<(), Failure> {
    transcript.step(format_args!("A new request, sent {AT_ONCE} times at once"));
    let id = id::new(&World::system());
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
    Transcript::shows(format_args!("answers {statuses:?}"));
    let accepted = statuses.iter().filter(|status| **status == 202).count();
    let replayed = statuses.iter().filter(|status| **status == 200).count();
    Transcript::claims(
        "one is new (202), the others are replays (200)",
        (accepted, replayed) == (1, AT_ONCE - 1),
        accepted,
    )?;
    succeeded(&client.until_over(&id).await?)?;
    effects(gateway, "one tea", 1)
}

fn refused(reply: &Reply, status: u16, code: &str) -> Result<(), Failure> {
    Transcript::shows(&reply.body);
    status_is(reply, status)?;
    Transcript::claims(format_args!("its code is {code}"), reply.body["code"] == code, &reply.body["code"])
}

async fn ask_badly(transcript: &mut Transcript, client: &Client, gateway: &Gateway) -> Result<(), Failure> {
    let key = id::new(&World::system());
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
    let reply = client.get(&format!("/v1/jobs/{id}/audit")).await?;
    status_is(&reply, 200)?;
    let chain: Chain = serde_json::from_value(reply.body)?;
    for record in &chain.records {
        Transcript::shows(format_args!(
            "{} {} {}: {}",
            record["seq"],
            text(&record["at"]),
            text(&record["actor"]),
            text(&record["event"])
        ));
    }
    let verified = chain.verify();
    let found = verified.clone().err().unwrap_or_default();
    Transcript::claims(format_args!("the chain of {} records verifies", chain.records.len()), verified.is_ok(), found)?;

    let mut tampered = chain;
    if let Some(record) = tampered.records.get_mut(1) {
        record["tool"] = json!("another_tool");
    }
    let fault = tampered.verify().err();
    Transcript::claims("with one word changed it does not", fault.is_some(), "that it verified")?;
    Transcript::shows(fault.unwrap_or_default());
    Ok(())
}
