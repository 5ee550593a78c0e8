//! The service on its main paths and on those that reach further into the table.

use std::{sync::Arc, time::Duration};

use edge_auth::EdgeAuth;
use integration_tests::{App, secrets_manager::SecretsManager};
use local::front::Functions;
use serde_json::json;
use shared::{
    clock::{System, World},
    config::TableConfig,
    secrets::SecretSource,
};
use status::Status;
use sweep::Sweep;
use worker::Worker;

use super::{Rights, recorder::Recorder};

/// Every right that a function used.
pub(super) async fn rights_used() -> Rights {
    let recorder = Recorder::default();
    let mut app = noted(&recorder).await;
    sessions_and_reads(&mut app).await;
    jobs(&mut app).await;
    lost_bells_and_unknown_outcomes(&mut app).await;
    let rights = recorder.rights();
    app.stop().await;
    rights
}

/// An app whose functions are noted, and read their secrets as in the cloud.
async fn noted(recorder: &Recorder) -> App {
    let mut app = App::start().await;
    let secrets = SecretsManager::default();
    let document = std::fs::read_to_string(&app.secrets_file).expect("it is there and starts");
    for function in ["EdgeAuth", "Status", "Worker"] {
        secrets.put(&format!("{function}Secret"), Some(&document), 1_700_000_000);
    }
    let from = |function: &str| SecretSource::Manager(format!("{function}Secret"));
    let note = |function: &'static str, table: &mut TableConfig| {
        table.aws = recorder.noting(function, secrets.beside(&table.aws));
    };
    let world = World::new(Arc::new(app.clock.clone()), Arc::new(System));
    let (mut edge, mut status) = (app.deployment.edge_auth(), app.deployment.status());
    let (mut worker, mut sweep) = (app.deployment.worker(), app.deployment.sweep());
    note("EdgeAuth", &mut edge.table);
    note("Status", &mut status.table);
    note("Worker", &mut worker.table);
    note("Sweep", &mut sweep.table);
    (edge.secrets, status.secrets, worker.secrets) = (from("EdgeAuth"), from("Status"), from("Worker"));
    app.functions = Functions {
        edge_auth: Arc::new(EdgeAuth::new(edge, world.clone()).expect("it is there and starts")),
        status: Arc::new(Status::new(status, world.clone()).expect("it is there and starts")),
        ..app.functions
    };
    app.worker = Arc::new(Worker::new(worker, world.clone()).expect("it is there and starts"));
    app.sweep = Sweep::new(sweep, world).expect("it is there and starts");
    app
}

async fn sessions_and_reads(app: &mut App) {
    assert_ne!(app.log_in_with("made-up").await.status, 201);
    let alice = app.login("alice").await;
    app.sweep().await;
    for path in ["/healthz", "/readyz", "/v1/tools", "/v1/jobs?limit=1"] {
        assert_eq!(alice.get(path).await.status, 200, "{path}");
    }
    assert_eq!(alice.send("DELETE", "/v1/sessions", &[], b"").await.status, 204);
    assert_eq!(alice.get("/v1/jobs").await.status, 401);
    app.advance(Duration::from_secs(10)).await;
}

async fn jobs(app: &mut App) {
    let alice = app.login("alice").await;
    // A read, writes until a result needs a record of its own, and a failure.
    for _ in 0..3 {
        let job = app.run(&alice, "ledger_append", json!({"note": "x".repeat(1900)})).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
    let id = app.new_id();
    alice.submit(&id, "ledger_read", json!({})).await;
    let job = app.finish(&alice, &id).await;
    assert!(job["result"].to_string().len() > 4_000, "{job}");
    assert_eq!(alice.submit(&id, "ledger_read", json!({})).await.status, 200, "a replay");
    assert_eq!(alice.submit(&id, "ledger_append", json!({"note": "n"})).await.status, 422, "another request");
    assert_eq!(alice.get(&format!("/v1/jobs/{id}/audit")).await.status, 200);
    assert_eq!(alice.get(&format!("/v1/jobs/{id}?wait=1")).await.status, 200);
    assert_eq!(app.run(&alice, "ledger_fail", json!({"kind": "throw"})).await["status"], "failed");
    // One that takes a while, and is cancelled while it is out; one that is cancelled before.
    let slow = app.new_id();
    alice.submit(&slow, "ledger_sleep", json!({"ms": 1500, "note": "nap"})).await;
    app.deliver().await;
    assert_eq!(alice.cancel(&slow).await.status, 202);
    app.finish_in_real_time(&alice, &slow, Duration::from_secs(20)).await;
    let early = app.new_id();
    alice.submit(&early, "ledger_append", json!({"note": "n"})).await;
    assert_eq!(alice.cancel(&early).await.status, 200);
    assert_eq!(alice.get("/v1/jobs?limit=2").await.status, 200);
    // In flight full: what is over is dropped from the set.
    app.advance(Duration::from_secs(60)).await;
    for _ in 0..18 {
        alice.submit(&app.new_id(), "ledger_read", json!({})).await;
    }
    while app.deliver().await {}
    app.advance(Duration::from_secs(60)).await;
    assert_eq!(alice.submit(&app.new_id(), "ledger_read", json!({})).await.status, 202);
}

async fn lost_bells_and_unknown_outcomes(app: &mut App) {
    const INVOKE: &str = "/miniprogram/v1/invoke";
    let alice = app.login("bob").await;
    let lost = app.new_id();
    alice.submit(&lost, "ledger_append", json!({"note": "n"})).await;
    let _lost_bells = app.receive().await;
    app.advance(Duration::from_secs(600)).await;
    assert!(app.sweep().await.rung > 0, "the job was overdue");
    app.finish(&alice, &lost).await;

    app.gateway().next(INVOKE, "reset_after", None, 1).await;
    app.gateway().next(INVOKE, "status", Some(503), 1000).await;
    app.gateway().next("/miniprogram/v1/revoke", "status", Some(503), 1000).await;
    let id = app.new_id();
    alice.submit(&id, "ledger_append", json!({"note": "n"})).await;
    assert_eq!(app.finish(&alice, &id).await["status"], "unknown");
    app.gateway().restart().await;
    for _ in 0..4 {
        app.advance(Duration::from_secs(3600)).await;
        app.sweep().await;
        while app.deliver().await {}
    }
    let alice = app.login("bob").await;
    assert_eq!(alice.job(&id).await["resolution"]["happened"], true);
}
