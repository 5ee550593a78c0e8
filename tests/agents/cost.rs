//! What a job costs in write units, from the capacity that the table reports. Design: at most 9 for a read, 13 for a
//! write.

mod requests;

use std::time::Duration;

use integration_tests::{App, Client};
use serde_json::{Value, json};

use crate::{status::turns::until_seen, turns::roomy, workflows::say};

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
    let id = app.submit(alice, tool, arguments).await;
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
    let (mut app, alice) = App::start_with("alice").await;
    // The journal and the proof of the tool guard are stored once, not per job.
    app.run(&alice, "ledger_append", json!({"note":"warm"})).await;
    app.advance(Duration::from_secs(9)).await;
    let (read, read_rcu) = written(&mut app, &alice, "ledger_read", json!({"limit":1})).await;
    app.advance(Duration::from_secs(9)).await;
    let (write, write_rcu) = written(&mut app, &alice, "ledger_append", json!({"note":"two coffees"})).await;
    app.advance(Duration::from_secs(9)).await;
    let (slow, slow_rcu) = written(&mut app, &alice, "ledger_sleep", json!({"ms":10})).await;
    println!(
        "COST write units (read units): read job {read} ({read_rcu}), write job {write} ({write_rcu}), write job that is \
         suspended once {slow} ({slow_rcu})"
    );
    assert!(read <= 9.0, "read job: {read}");
    assert!(write <= 11.0, "write job that is answered at once: {write}");
    assert!(slow <= 13.0, "write job that is suspended once: {slow}");
}

#[tokio::test]
async fn an_approval_costs_what_the_docs_say() {
    let (mut app, alice) = App::start_with("alice").await;
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
}

#[tokio::test]
async fn the_state_item_stays_under_a_kilobyte_all_its_life() {
    let (mut app, alice) = App::start_with("alice").await;
    let id = app.new_id();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let body = json!({"tool":"ledger_pay","arguments":{"amount":120,"note":"n"}}).to_string();
    let headers = [("idempotency-key", id.as_str()), ("content-type", "application/json"), ("traceparent", trace)];
    assert_eq!(alice.send("POST", "/v1/jobs", &headers, body.as_bytes()).await.status, 202);
    let mut sizes = vec![app.inspect().table().size_of(&app.inspect().stored(&alice, &id).await)];
    assert_eq!(app.approve(&alice, "alice", &id).await.status, 200);
    sizes.push(app.inspect().table().size_of(&app.inspect().stored(&alice, &id).await));
    app.faults.plan(|_, n| (n == 7).then_some(integration_tests::Fault::KilledAfter));
    app.deliver().await;
    app.faults.none();
    sizes.push(app.inspect().table().size_of(&app.inspect().stored(&alice, &id).await));
    app.finish(&alice, &id).await;
    sizes.push(app.inspect().table().size_of(&app.inspect().stored(&alice, &id).await));
    println!("COST job item: {sizes:?} bytes");
    assert!(sizes.iter().all(|size| *size <= 1024), "{sizes:?}");
}

#[tokio::test]
async fn an_erasure_costs_some_units_and_three_or_four_for_each_job() {
    let mut app = App::with(roomy()).await;
    let mut costs = Vec::new();
    for (name, jobs) in [("none", 0), ("ten", 10)] {
        let client = app.login(name).await;
        for _ in 0..jobs {
            app.run(&client, "ledger_append", json!({"note":"two coffees"})).await;
        }
        let reads = |app: &App| {
            app.functions.edge_auth.table().consumed().read_units() + app.worker.table().consumed().read_units()
        };
        let before = (write_units(&app), reads(&app));
        app.faults.none();
        app.erase(&client, name).await;
        app.finish_erasure(&client).await;
        costs.push((write_units(&app) - before.0, reads(&app) - before.1, app.faults.seen().len()));
    }
    println!("COST erasure of a user without jobs, with ten (write units, read units, requests): {costs:?}");
    assert!(costs[0].0 <= 20.0, "{costs:?}");
    assert!((costs[1].0 - costs[0].0) / 10.0 <= 4.0, "{costs:?}");
}

/// Read units of one request of a client, those for its session included.
async fn read(app: &App, client: &Client, path: &str, etag: Option<&str>) -> (u16, f64) {
    let units = || app.functions.status.table().consumed().read_units();
    let before = units();
    let headers: Vec<_> = etag.map(|etag| ("if-none-match", etag)).into_iter().collect();
    let reply = client.send("GET", path, &headers, b"").await;
    (reply.status.as_u16(), units() - before)
}

#[tokio::test]
async fn the_tool_list_costs_one_read_of_the_user() {
    let (app, alice) = App::start_with("alice").await;
    // The service mode is read once, and then cached for a while.
    alice.get("/v1/tools").await;
    for path in ["/v1/tools", "/v1/agents"] {
        assert_eq!(read(&app, &alice, path, None).await, (200, 1.0), "{path}");
    }
}

#[tokio::test]
async fn a_poll_costs_the_same_whatever_an_agent_is_doing() {
    let mut app = App::with(roomy()).await;
    let alice = app.login("alice").await;
    let (short, long) = (app.new_id(), app.new_id());
    let reads =
        "[[tool:ledger_read {\"limit\":1}]][[tool:ledger_read {\"limit\":2}]][[tool:ledger_read {\"limit\":3}]]";
    assert_eq!(alice.submit_body(&short, &say(&format!("{reads}[[pause:5]][[say:done]]"))).await.status, 202);
    assert_eq!(alice.submit_body(&long, &say("[[long:8]]")).await.status, 202);
    let path = |id: &str| format!("/v1/jobs/{id}");
    let seen = until_seen(&mut app, &alice, &short, 3).await;
    let size = app.inspect().table().size_of(&app.inspect().stored(&alice, &short).await);
    let running = read(&app, &alice, &path(&short), None).await;
    let same = read(&app, &alice, &path(&short), Some(seen.header("etag"))).await;
    let mut ended = Vec::new();
    for id in [&short, &long] {
        app.finish_in_real_time(&alice, id, Duration::from_secs(30)).await;
        let etag = alice.get(&path(id)).await.header("etag").to_owned();
        ended.push((read(&app, &alice, &path(id), None).await, read(&app, &alice, &path(id), Some(&etag)).await));
    }
    println!(
        "COST poll read units: running turn with progress {} ({size} bytes), 304 {}; ended {}, 304 {}; ended with a reply \
         that is stored apart {}, 304 {}",
        running.1, same.1, ended[0].0.1, ended[0].1.1, ended[1].0.1, ended[1].1.1
    );
    assert_eq!((running.0, same.0), (200, 304));
    // One for the session's revocation, one for the job.
    for poll in [running.1, same.1, ended[0].0.1, ended[0].1.1, ended[1].1.1] {
        assert!(poll <= 2.0, "{poll}");
    }
    assert!(ended[1].0.1 <= 5.0, "8 KiB of a reply are two or three units more: {}", ended[1].0.1);
    assert!(size <= 4096, "{size}");
}
