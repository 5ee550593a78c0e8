//! The service on its main paths and on those that reach further into the table.

use std::{sync::Arc, time::Duration};

use domain::access::service_mode::Mode;
use edge_auth::EdgeAuth;
use integration_tests::{App, Client, CloudWatch, Fault, operator::OperatorClient, secrets_manager::SecretsManager};
use local::emulation::api_gateway::Functions;
use operator::Operator;
use platform::{
    config::{CheckpointTarget, TableConfig},
    runtime::{Runtime, System},
    secrets::SecretSource,
};
use serde_json::{Value, json};
use status::Status;
use sweep::Sweep;
use worker::Worker;

use super::{Rights, bucket, recorder::Recorder};

/// Every right that a function used.
pub(super) async fn rights_used() -> Rights {
    let mut app = App::start().await;
    let recorder = Recorder::new(&app.deployment.backend.dlq_url);
    let cloudwatch = noted(&mut app, &recorder).await;
    sessions_and_reads(&mut app).await;
    jobs(&mut app).await;
    lost_wake_ups_and_unknown_outcomes(&mut app).await;
    questions(&mut app).await;
    conversations(&mut app).await;
    operators(&mut app).await;
    erasure(&mut app).await;
    for operation in cloudwatch.operations() {
        recorder.insert("Operator", format!("cloudwatch:{operation} on *"));
    }
    cloudwatch.stop().await;
    let rights = recorder.rights();
    app.stop().await;
    rights
}

/// An app whose functions are noted, and read their secrets as in the cloud.
async fn noted(app: &mut App, recorder: &Recorder) -> CloudWatch {
    let secrets = SecretsManager::default();
    let document = std::fs::read_to_string(&app.secrets_file).expect("it is there and starts");
    for function in ["EdgeAuth", "Status", "Worker", "Sweep"] {
        secrets.put(&format!("{function}Secret"), Some(&document), 1_700_000_000);
    }
    let from = |function: &str| SecretSource::Manager(format!("{function}Secret"));
    let note = |function: &'static str, table: &mut TableConfig| {
        table.aws = recorder.noting(function, secrets.beside(&table.aws));
    };
    let runtime = Runtime::new(Arc::new(app.clock.clone()), Arc::new(System));
    let (mut edge, mut status) = (app.deployment.edge_auth(), app.deployment.status());
    let (mut worker, mut sweep) = (app.deployment.worker(), app.deployment.sweep());
    let mut operator = app.deployment.operator();
    note("EdgeAuth", &mut edge.table);
    note("Status", &mut status.table);
    note("Worker", &mut worker.table);
    note("Sweep", &mut sweep.table);
    note("Operator", &mut operator.table);
    (edge.secrets, status.secrets, worker.secrets) = (from("EdgeAuth"), from("Status"), from("Worker"));
    sweep.secrets = from("Sweep");
    let bucket = bucket::serve("Sweep", recorder.clone()).await;
    sweep.table.aws.s3_endpoint = Some(format!("http://{bucket}"));
    sweep.checkpoints_to = CheckpointTarget::Bucket("CheckpointBucket".to_owned());
    operator.metrics_namespace = Some("stack".to_owned());
    let cloudwatch = CloudWatch::beside(&mut operator.table.aws).await;
    app.functions = Functions {
        edge_auth: Arc::new(EdgeAuth::new(edge, runtime.clone()).expect("it is there and starts")),
        status: Arc::new(Status::new(status, runtime.clone()).expect("it is there and starts")),
        operator: Arc::new(Operator::new(operator, runtime.clone()).expect("it is there and starts")),
        ..app.functions.clone()
    };
    app.worker = Arc::new(Worker::new(worker, runtime.clone()).expect("it is there and starts"));
    app.sweep = Sweep::new(sweep, runtime).expect("it is there and starts");
    cloudwatch
}

/// Approval requests: approved, rejected, cancelled, and expired.
async fn questions(app: &mut App) {
    let alice = app.login("alice").await;
    let pay =
        async |app: &App, amount: i64| app.submit(&alice, "ledger_pay", json!({"amount": amount, "note": "n"})).await;
    let paid = pay(app, 400).await;
    assert_eq!(app.approve(&alice, "alice", &paid).await.status, 200);
    let job = app.finish(&alice, &paid).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    let attacked = pay(app, 400).await;
    assert_eq!(alice.decide(&attacked, "approve", &"A".repeat(43), Some(&app.fresh_code("alice"))).await.status, 409);
    assert_eq!(alice.reject(&attacked).await.status, 200);
    let lapsed = pay(app, 400).await;
    assert_eq!(alice.submit(&app.new_id(), "exec", json!({})).await.status, 403, "refused, and kept in the refusals");
    app.advance(Duration::from_secs(700)).await;
    app.sweep().await;
    assert_eq!(app.finish(&alice, &lapsed).await["status"], "expired");
    // A checkpoint.
    app.advance(Duration::from_secs(700)).await;
    app.sweep().await;
    watched_faults(app, &alice).await;
}

/// Records that cannot be written, and a gateway that is lost and comes back: `sweep` changes the mode for both.
async fn watched_faults(app: &mut App, alice: &Client) {
    app.faults
        .plan_items(|operation, key| (operation == "PutItem" && key.starts_with("IN#")).then_some(Fault::LostBefore));
    for _ in 0..3 {
        assert_eq!(alice.submit(&app.new_id(), "ledger_append", json!({"note": "n"})).await.status, 503);
    }
    app.faults.none();
    app.gateway().kill().await;
    let minute = Duration::from_secs(60);
    for _ in 0..3 {
        app.advance(minute).await;
        app.sweep().await;
    }
    app.gateway().restart().await;
    for _ in 0..5 {
        app.advance(minute).await;
        app.sweep().await;
    }
    app.mode(Mode::Full).await;
    app.advance(minute).await;
}

/// Turns of one conversation, one of which is taken back while it waits; a message that is worked out; and the end.
async fn conversations(app: &mut App) {
    let alice = app.login("alice").await;
    let say = |text: &str| json!({"message": text, "conversation": "trip"});
    let [first, second, third] = [(); 3].map(|()| app.new_id());
    let sum_up = json!({"message": ["[[say:all of ", {"$from": {"step": 0, "pointer": "/reply"}}, "]]"]});
    assert_eq!(alice.submit_body(&first, &json!({"steps": [say("[[say:it]]"), sum_up]})).await.status, 202);
    for id in [&second, &third] {
        assert_eq!(alice.submit_body(id, &say("[[say:hello]]")).await.status, 202);
    }
    assert_eq!(alice.cancel(&second).await.status, 200);
    assert_eq!(alice.get("/v1/conversations").await.status, 200);
    assert_eq!(alice.get("/v1/agents").await.status, 200);
    let end = alice.send("DELETE", "/v1/conversations/trip", &[], b"").await;
    assert_eq!(end.status, 202, "{}", end.body);
    let end = end.body["request_id"].as_str().expect("a job").to_owned();
    for id in [&first, &third, &end] {
        let job = app.finish(&alice, id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
    assert_eq!(alice.get(&format!("/v1/jobs/{first}/steps/0")).await.status, 200);
}

/// A user exports what is stored, and is erased; `sweep` sends the message again.
async fn erasure(app: &mut App) {
    let alice = app.login("alice").await;
    assert_eq!(alice.get("/v1/users/me/export").await.status, 200);
    assert_eq!(app.erase(&alice, "alice").await.status, 202);
    let _lost = app.receive().await;
    app.advance(Duration::from_secs(61)).await;
    app.sweep().await;
    app.finish_erasure(&alice).await;
    app.login("alice").await;
}

/// Every call of the operators, on every path that reaches further.
async fn operators(app: &mut App) {
    let (vera, anna, adam) =
        (app.operator("vera", &["viewer"]), app.operator("anna", &["approver"]), app.operator("adam", &["admin"]));
    let ok = async |who: &OperatorClient, method: &str, path: &str, body: Value| {
        let reply = if method == "GET" { who.get(path).await } else { who.send(method, path, &body).await };
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.body);
        reply.body
    };
    ok(&adam, "PUT", "/controls/mode", json!({"mode": "full", "reason": "a test"})).await;
    app.advance(Duration::from_secs(10)).await;
    let alice = app.login("alice").await;
    let id = app.submit(&alice, "ledger_pay", json!({"amount": 700, "note": "n"})).await;
    let asked = anna.approval_request().await;
    let job = asked["job"].as_str().expect("it names its job").to_owned();
    assert_eq!(anna.decide(&job, "approve", asked["digest"].as_str().unwrap_or_default()).await.status, 200);
    app.finish(&alice, &id).await;
    let user = alice.user_id.clone();
    for path in
        ["/me", "/approvals", "/controls", "/audit", "/checkpoints", "/dead-letters", "/erasures", "/metrics?minutes=5"]
    {
        let reply = vera.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    }
    for path in [
        format!("/jobs/{job}"),
        format!("/users/{user}/jobs"),
        format!("/users/{user}/refusals"),
        "/jobs?state=queued".to_owned(),
        "/jobs?state=unknown".to_owned(),
    ] {
        ok(&vera, "GET", &path, Value::Null).await;
    }
    ok(&vera, "POST", "/me/users", json!({"user_id": user})).await;
    ok(&adam, "PUT", "/controls/tools/ledger_pay", json!({"mode": "closed", "reason": "a test"})).await;
    ok(&adam, "PUT", "/controls/tools/ledger_delete/opening", json!({"minutes": 5, "reason": "a test"})).await;
    ok(&adam, "PUT", &format!("/users/{user}/groups"), json!({"groups": ["testers"], "reason": "a test"})).await;
    ok(&adam, "POST", &format!("/users/{user}/revocation"), json!({"reason": "a test"})).await;
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
    let id = app.submit(&alice, "ledger_read", json!({})).await;
    let job = app.finish(&alice, &id).await;
    assert!(job["result"].to_string().len() > 4_000, "{job}");
    assert_eq!(alice.submit(&id, "ledger_read", json!({})).await.status, 200, "a replay");
    assert_eq!(alice.submit(&id, "ledger_append", json!({"note": "n"})).await.status, 422, "another request");
    assert_eq!(alice.get(&format!("/v1/jobs/{id}/audit")).await.status, 200);
    assert_eq!(alice.get(&format!("/v1/jobs/{id}?wait=1")).await.status, 200);
    assert_eq!(app.run(&alice, "ledger_fail", json!({"kind": "throw"})).await["status"], "failed");
    // One that takes a while, and is cancelled while it is out; one that is cancelled before.
    let slow = app.submit(&alice, "ledger_sleep", json!({"ms": 1500, "note": "nap"})).await;
    app.deliver().await;
    assert_eq!(alice.cancel(&slow).await.status, 202);
    app.finish_in_real_time(&alice, &slow, Duration::from_secs(20)).await;
    let early = app.submit(&alice, "ledger_append", json!({"note": "n"})).await;
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

async fn lost_wake_ups_and_unknown_outcomes(app: &mut App) {
    const INVOKE: &str = "/miniprogram/v1/invoke";
    let alice = app.login("bob").await;
    let lost = app.submit(&alice, "ledger_append", json!({"note": "n"})).await;
    let _lost_bells = app.receive().await;
    app.advance(Duration::from_secs(600)).await;
    assert!(app.sweep().await.woken > 0, "the job was overdue");
    app.finish(&alice, &lost).await;

    app.gateway().next(INVOKE, "reset_after", None, 1).await;
    app.gateway().next(INVOKE, "status", Some(503), 1000).await;
    app.gateway().next("/miniprogram/v1/revoke", "status", Some(503), 1000).await;
    let id = app.submit(&alice, "ledger_append", json!({"note": "n"})).await;
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
