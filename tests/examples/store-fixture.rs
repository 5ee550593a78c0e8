//! Writes what this version stores, for `tests/operator/stored_items.rs`, which later versions must pass: `cargo run
//! --locked --package integration-tests --example store-fixture -- tests/fixtures/stored`. Every kind of item is in it,
//! and jobs in every place where a release can meet them: over, queued, running with a call that took effect and was
//! not recorded, waiting for approval, in a conversation, behind a turn.
#![allow(clippy::unwrap_used, reason = "a program that writes a fixture does it, or fails")]

use std::path::PathBuf;

use integration_tests::{App, Client, Fault, Setup, app::effects_in};
use platform::runtime::Clock as _;
use serde_json::{Value, json};

#[tokio::main]
async fn main() {
    let to = PathBuf::from(std::env::args().nth(1).expect("usage: store-fixture DIRECTORY"));
    std::fs::create_dir_all(&to).unwrap();
    let mut app = App::with(Setup::roomy()).await;
    let alice = app.login("alice").await;
    app.checkpoint(true).await;
    app.sweep().await;
    app.open_tool("ledger_delete", 60).await;
    app.switch_tool("ledger_fail", domain::access::service_mode::Mode::Closed).await;

    let jobs = json!({
        "read": ended(&mut app, &alice, json!({ "tool": "ledger_read", "arguments": {} })).await,
        "written": ended(&mut app, &alice, note("one")).await,
        "large": large(&mut app, &alice).await,
        "rejected": ended(&mut app, &alice, json!({ "steps": [note("two"), { "tool": "ledger_pay", "arguments":
            { "amount": 120, "note": "tart" } }] })).await,
        "waiting": ended(&mut app, &alice, pay("tea")).await,
        "workflow": ended(&mut app, &alice, json!({ "steps": [note("three"), pay("cake")] })).await,
        "turn": ended(&mut app, &alice, json!({ "message": "[[say:hello]]", "conversation": "trip" })).await,
        "proposal": ended(&mut app, &alice, json!({ "conversation": "trip", "message":
            "[[tool:ledger_pay {\"amount\":120,\"note\":\"milk\"}]][[then]][[say:paid]]" })).await,
        "behind": submitted(&app, &alice, json!({ "message": "[[say:next]]", "conversation": "trip" })).await,
        "refused": refused(&app, &alice).await,
        "in_flight": in_flight(&mut app, &alice).await,
        "queued": submitted(&app, &alice, note("five")).await,
    });
    assert_eq!(alice.reject(jobs["rejected"].as_str().unwrap()).await.status, 200);
    let items = app.inspect().stored_items().await;
    let fixture =
        json!({ "written_at_ms": app.clock.now().millis(), "user_id": alice.user_id, "jobs": jobs, "items": items });
    std::fs::write(to.join("items.json"), serde_json::to_string_pretty(&fixture).unwrap() + "\n").unwrap();
    app.gateway().kill().await;
    // One file: what the write-ahead log holds is put into the database.
    let journal = app.secrets_file.with_file_name("journal.db");
    let checkpoint = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('pragma wal_checkpoint(truncate)')";
    let status = std::process::Command::new("python3").args(["-c", checkpoint]).arg(&journal).status().unwrap();
    assert!(status.success());
    std::fs::copy(journal, to.join("journal.db")).unwrap();
}

fn note(text: &str) -> Value {
    json!({ "tool": "ledger_append", "arguments": { "note": text } })
}

fn pay(text: &str) -> Value {
    json!({ "tool": "ledger_pay", "arguments": { "amount": 120, "note": text } })
}

async fn submitted(app: &App, client: &Client, body: Value) -> String {
    let id = app.new_id();
    let reply = client.submit_body(&id, &body).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    id
}

/// A job at its end, or at its approval request.
async fn ended(app: &mut App, client: &Client, body: Value) -> String {
    let id = submitted(app, client, body).await;
    for _ in 0..100 {
        while app.deliver().await {}
        let job = client.job(&id).await;
        if job["status"] == "awaiting_approval" || job["next_poll_ms"].is_null() {
            return id;
        }
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        let wait = app.delays.next().unwrap_or_default();
        app.advance(wait.max(std::time::Duration::from_millis(10))).await;
    }
    panic!("the job does not settle: {}", client.job(&id).await);
}

/// A call whose result is stored in an item of its own.
async fn large(app: &mut App, client: &Client) -> String {
    ended(app, client, note(&"x".repeat(1900))).await;
    ended(app, client, json!({ "tool": "ledger_read", "arguments": {} })).await
}

/// A submission that policy refuses: a record of the user's side chain.
async fn refused(app: &App, client: &Client) -> String {
    let id = app.new_id();
    let reply = client.submit(&id, "ledger_pay", json!({ "amount": 10_001, "note": "n" })).await;
    assert_eq!(reply.verdict(), (403, "policy_denied"), "{}", reply.body);
    id
}

/// A job whose call took effect, and whose worker was killed before it recorded the outcome.
async fn in_flight(app: &mut App, client: &Client) -> String {
    let id = submitted(app, client, note("four")).await;
    let messages = app.receive().await;
    let ledger = app.secrets_file.with_file_name("ledger.jsonl");
    let called = id.clone();
    app.faults.plan(move |_, _| {
        let effects = effects_in(&integration_tests::mini_gateway::ledger(&ledger), &called);
        (effects > 0).then_some(Fault::KilledBefore)
    });
    app.hand_over(&messages).await;
    app.faults.none();
    assert_eq!(app.effects(&id), 1);
    assert_eq!(client.job(&id).await["status"], "running");
    id
}
