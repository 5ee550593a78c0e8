//! The sample events: `cargo lambda invoke` and these tests read the same files.

use std::{collections::BTreeSet, path::PathBuf};

use integration_tests::App;
use lambda_http::Body;
use platform::runtime::Clock;
use serde_json::{Value, json};

fn dir() -> PathBuf {
    integration_tests::mini_gateway::checkout().join("events")
}

fn sample(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(dir().join(name)).unwrap()).unwrap()
}

const READ_HERE: [&str; 10] = [
    "approve.json",
    "cancel.json",
    "get-job.json",
    "job-undecodable.sqs.json",
    "job.sqs.json",
    "login.json",
    "mode-alarm.sns.json",
    "operator-approvals.json",
    "submit.json",
    "sweep.json",
];

#[test]
fn every_sample_is_read_by_a_test_and_explained() {
    let files: BTreeSet<String> = std::fs::read_dir(dir())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    assert_eq!(files, READ_HERE.into_iter().map(str::to_owned).collect());
    let readme = std::fs::read_to_string(dir().join("README.md")).unwrap();
    for name in READ_HERE {
        assert!(readme.contains(name), "{name} is not explained in events/README.md");
    }
}

/// Sends a sample as it is, but for the session, the id's time, and the job that it names.
async fn ask(app: &App, name: &str, token: &str, id: &str) -> (u16, Value) {
    ask_with(app, name, sample(name), token, id).await
}

async fn ask_with(app: &App, name: &str, mut event: Value, token: &str, id: &str) -> (u16, Value) {
    if !token.is_empty() {
        event["headers"]["authorization"] = json!(format!("Bearer {token}"));
    }
    // The sample asks for what it has not seen; here, everything is asked for.
    event["headers"].as_object_mut().unwrap().remove("if-none-match");
    if event["headers"].get("idempotency-key").is_some() {
        event["headers"]["idempotency-key"] = json!(id);
    }
    if let Some(old) = event["pathParameters"]["request_id"].as_str().map(str::to_owned) {
        event = serde_json::from_str(&event.to_string().replace(&old, id)).unwrap();
    }
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    let answer = match name {
        "get-job.json" => app.functions.status.handle(request).await,
        "operator-approvals.json" => app.functions.operator.handle(request).await,
        _ => app.functions.edge_auth.handle(request).await,
    };
    let (parts, body) = answer.into_parts();
    let body = if let Body::Text(text) = body { serde_json::from_str(&text).unwrap() } else { Value::Null };
    (parts.status.as_u16(), body)
}

#[tokio::test]
async fn the_samples_do_what_they_say() {
    let app = App::start().await;
    let (status, session) = ask(&app, "login.json", "", "").await;
    assert_eq!(status, 201, "{session}");
    let token = session["token"].as_str().unwrap();
    let (id, other) = (app.new_id(), app.new_id());
    let (status, job) = ask(&app, "submit.json", token, &id).await;
    assert_eq!(status, 202, "{job}");
    let (status, job) = ask(&app, "get-job.json", token, &id).await;
    assert_eq!((status, &job["status"]), (200, &json!("queued")), "{job}");

    let mut event = sample("job.sqs.json");
    event["Records"][0]["body"] = json!(json!({"user_id":session["user_id"],"request_id":id}).to_string());
    let deadline = app.clock.now().plus(std::time::Duration::from_secs(30));
    let done = app.worker.handle_batch(serde_json::from_value(event).unwrap(), deadline).await;
    assert!(done.batch_item_failures.is_empty());
    let (_, job) = ask(&app, "get-job.json", token, &id).await;
    assert_eq!(job["status"], "succeeded", "{job}");

    // As it stands, the sample names a job that is not there: nothing to do, and no failure.
    let event = serde_json::from_value(sample("job.sqs.json")).unwrap();
    assert!(app.worker.handle_batch(event, deadline).await.batch_item_failures.is_empty());
    let event = serde_json::from_value(sample("job-undecodable.sqs.json")).unwrap();
    assert!(!app.worker.handle_batch(event, deadline).await.batch_item_failures.is_empty());

    ask(&app, "submit.json", token, &other).await;
    let (status, job) = ask(&app, "cancel.json", token, &other).await;
    assert_eq!((status, &job["status"]), (200, &json!("cancelled")), "{job}");
    let (alice, paid) = (app.login("alice").await, app.new_id());
    alice.submit(&paid, "ledger_pay", json!({"amount":1,"note":"n"})).await;
    let mut event = sample("approve.json");
    let digest = alice.digest(&paid).await;
    event["body"] = json!(event["body"].as_str().unwrap().replace("SAMPLE-DIGEST-OF-THE-APPROVAL", &digest));
    let (status, job) = ask_with(&app, "approve.json", event, &alice.token, &paid).await;
    assert_eq!((status, &job["approval"]["decision"]), (200, &json!("approve")), "{job}");
    let (status, problem) = ask(&app, "operator-approvals.json", "", "").await;
    assert_eq!((status, &problem["code"]), (401, &json!("no_operator")), "{problem}");

    assert_eq!(sample("sweep.json")["detail-type"], "Scheduled Event");
    app.sweep.handle(&sample("sweep.json"), deadline).await.unwrap();
    assert_eq!(app.table.heartbeat().await.unwrap().unwrap().overdue, 0);
    app.sweep.handle(&sample("mode-alarm.sns.json"), deadline).await.unwrap();
    let controls = app.table.controls(app.clock.now(), std::time::Duration::ZERO).await.unwrap();
    assert_eq!(controls.service.mode.name(), "explain_only");
    app.stop().await;
}
