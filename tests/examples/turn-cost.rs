//! Measures what a turn costs the worker, by its duration: `cargo run --locked --package integration-tests --example
//! turn-cost`. Once with a journal that reports progress by webhook, once without. Takes twelve minutes. Then a quick
//! call, once with no other load and once while eight users have three long turns each: how one user's turns delay
//! another user's call (`-- --quick` for this alone). The gateway is the mini gateway of the tests, with the real
//! journal; the times are real.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures says what it found, or fails")]

use std::time::{Duration, Instant};

use integration_tests::{App, Setup};
use serde_json::json;

#[tokio::main]
async fn main() {
    if !std::env::args().any(|argument| argument == "--quick") {
        println!(
            "| webhook | a turn of | calls of the worker | worker time ms | processor time ms | write units | read units | status |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        for webhook in [true, false] {
            for seconds in [1, 30, 300] {
                cost(seconds, webhook).await;
            }
        }
    }
    fairness().await;
}

/// The cost of a turn that lasts so long, up to its end: a delayed wake-up message arrives then, and costs one read.
/// The requests of a webhook at edge-auth are counted with the worker's.
async fn cost(seconds: u64, webhook: bool) {
    let mut app = App::with(Setup { webhook, ..Setup::default() }).await;
    let alice = app.login("alice").await;
    // Warms the worker up.
    app.run(&alice, "ledger_append", json!({ "note": "warm" })).await;
    let id = app.new_id();
    let message = format!("[[sleep:{seconds}]] [[say:done]]");
    assert_eq!(alice.submit_body(&id, &json!({ "message": message })).await.status, 202);
    let before = units(&app);
    let (mut calls, mut busy) = (0_u32, Duration::ZERO);
    let (mut cpu, began) = (0, Instant::now());
    let status = loop {
        app.advance(Duration::ZERO).await;
        let messages = app.receive().await;
        if !messages.is_empty() {
            let (at, used) = (Instant::now(), cpu_ms());
            app.hand_over(&messages).await;
            calls += 1;
            busy += at.elapsed();
            cpu += cpu_ms() - used;
        }
        let job = app.inspect().stored(&alice, &id).await;
        if job.state.is_over() {
            break job.state.name();
        }
        assert!(began.elapsed() < Duration::from_secs(600), "the turn does not end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let after = units(&app);
    let (write, read, busy) = (after.0 - before.0, after.1 - before.1, busy.as_millis());
    println!("| {webhook} | {seconds} s | {calls} | {busy} | {cpu} | {write} | {read} | {status} |");
}

/// How one user's turns delay another user's call.
async fn fairness() {
    let mut app = App::start().await;
    let alone = quick_calls(&mut app).await;
    for user in 0..8 {
        let client = app.login(&format!("talker-{user}")).await;
        for _ in 0..3 {
            let talk = json!({ "message": "[[sleep:60]] [[say:done]]" });
            assert_eq!(client.submit_body(&app.new_id(), &talk).await.status, 202);
        }
    }
    let beside = quick_calls(&mut app).await;
    println!("\nquick call, submit to result, p50 of 40: alone {alone} ms, beside 24 long turns {beside} ms");
}

/// The median time in milliseconds from submitting a quick write to its result.
async fn quick_calls(app: &mut App) -> u128 {
    let bob = app.login("bob").await;
    let mut times = Vec::new();
    for _ in 0..40 {
        let (id, began) = (app.new_id(), Instant::now());
        assert_eq!(bob.submit(&id, "ledger_append", json!({ "note": "quick" })).await.status, 202);
        while !app.inspect().stored(&bob, &id).await.state.is_over() {
            app.advance(Duration::ZERO).await;
            app.deliver().await;
        }
        times.push(began.elapsed().as_millis());
        // Within the rate of one user.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// What worker and edge-auth have used; the loop above reads with the client of another function.
fn units(app: &App) -> (f64, f64) {
    let (worker, edge) = (app.worker.table().consumed(), app.functions.edge_auth.table().consumed());
    (worker.write_units() + edge.write_units(), worker.read_units() + edge.read_units())
}

/// Processor time of this process, which holds the worker, the engines' clients and nothing of the gateway.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks * 10
}
