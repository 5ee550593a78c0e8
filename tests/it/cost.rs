//! What a job costs in write units, from the capacity that the table reports. Design: at most 9 for a read, 13 for a write.

use std::time::Duration;

use integration_tests::{App, Client};
use serde_json::{Value, json};

fn write_units(app: &App) -> f64 {
    app.functions.edge_auth.table().consumed().write_units() + app.worker.table().consumed().write_units()
}

async fn written(app: &mut App, alice: &Client, tool: &str, arguments: Value) -> (f64, f64) {
    let before =
        (app.functions.edge_auth.table().consumed().write_units(), app.worker.table().consumed().write_units());
    let reads = |app: &App| {
        app.functions.edge_auth.table().consumed().read_units() + app.worker.table().consumed().read_units()
    };
    let read_before = reads(app);
    let id = app.new_id();
    assert_eq!(alice.submit(&id, tool, arguments).await.status, 202);
    app.deliver().await;
    // A tool that is sent without waiting ends by the real clock.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let job = app.finish(alice, &id).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    let after = (app.functions.edge_auth.table().consumed().write_units(), app.worker.table().consumed().write_units());
    (after.0 - before.0 + after.1 - before.1, reads(app) - read_before)
}

#[tokio::test]
async fn a_job_stays_within_its_write_units() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    // The gateway's journal and fence are noted once, not per job.
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.advance(Duration::from_secs(9)).await;
    let (read, read_rcu) = written(&mut app, &alice, "ledger_read", json!({"limit":1})).await;
    app.advance(Duration::from_secs(9)).await;
    let (write, write_rcu) = written(&mut app, &alice, "ledger_append", json!({"note":"two coffees"})).await;
    app.advance(Duration::from_secs(9)).await;
    let (slow, slow_rcu) = written(&mut app, &alice, "ledger_sleep", json!({"ms":10})).await;
    println!(
        "COST write units (read units): read job {read} ({read_rcu}), write job {write} ({write_rcu}), write job that is \
         parked once {slow} ({slow_rcu})"
    );
    assert!(read <= 9.0, "read job: {read}");
    assert!(write <= 11.0, "write job that is answered at once: {write}");
    assert!(slow <= 13.0, "write job that is parked once: {slow}");
    app.stop().await;
}

#[tokio::test]
async fn a_yes_costs_what_the_docs_say() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    let mut costs = Vec::new();
    for decision in ["approve", "reject"] {
        app.advance(Duration::from_secs(9)).await;
        let (id, before) = (app.new_id(), write_units(&app));
        let payment = json!({"amount": 120, "note": "two coffees"});
        assert_eq!(alice.submit(&id, "ledger_pay", payment).await.body["status"], "awaiting_approval");
        let asked = write_units(&app);
        app.advance(Duration::from_secs(9)).await;
        let reply = match decision {
            "approve" => app.approve(&alice, "alice", &id).await,
            _ => alice.reject(&id).await,
        };
        assert_eq!(reply.status, 200, "{}", reply.body);
        let decided = write_units(&app);
        app.finish(&alice, &id).await;
        costs.push([asked - before, decided - asked, write_units(&app) - decided]);
    }
    println!("COST write units asked, decided, run: approved {:?}, rejected {:?}", costs[0], costs[1]);
    let total = |costs: &[f64; 3]| costs.iter().sum::<f64>();
    assert!(total(&costs[0]) <= 18.0, "approved: {costs:?}");
    assert!(total(&costs[1]) <= 12.0, "rejected: {costs:?}");
    app.stop().await;
}

#[tokio::test]
async fn the_state_item_stays_under_a_kilobyte_all_its_life() {
    let mut app = App::start().await;
    let alice = app.login("alice").await;
    let id = app.new_id();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let body = json!({"tool":"ledger_pay","arguments":{"amount":120,"note":"n"}}).to_string();
    let headers = [("idempotency-key", id.as_str()), ("content-type", "application/json"), ("traceparent", trace)];
    assert_eq!(alice.send("POST", "/v1/jobs", &headers, body.as_bytes()).await.status, 202);
    let mut sizes = vec![app.table.size_of(&app.stored(&alice, &id).await)];
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    sizes.push(app.table.size_of(&app.stored(&alice, &id).await));
    app.faults.plan(|_, n| (n == 8).then_some(integration_tests::Fault::KilledAfter));
    app.deliver().await;
    app.faults.none();
    sizes.push(app.table.size_of(&app.stored(&alice, &id).await));
    app.finish(&alice, &id).await;
    sizes.push(app.table.size_of(&app.stored(&alice, &id).await));
    println!("COST job item: {sizes:?} bytes");
    assert!(sizes.iter().all(|size| *size <= 1024), "{sizes:?}");
    app.stop().await;
}
