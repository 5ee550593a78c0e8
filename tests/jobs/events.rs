//! The sample events: `cargo lambda invoke` and these tests read the same files.

use std::{collections::BTreeSet, path::PathBuf};

use integration_tests::App;
use lambda_http::Body;
use platform::{http_event::HttpEvent, runtime::Clock};
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
    "operator-approvals.json",
    "ready.json",
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
    let request = serde_json::from_str::<HttpEvent>(&event.to_string()).unwrap().into_request().unwrap();
    let answer = match name {
        "get-job.json" | "ready.json" => app.functions.status.handle(request).await,
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

    // The unchanged sample names a job that does not exist: nothing to do, and no failure.
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
    app.sweep.run(deadline).await.unwrap();
    assert_eq!(app.inspect().table().heartbeat().await.unwrap().unwrap().overdue, 0);
    let (status, ready) = ask(&app, "ready.json", "", "").await;
    assert_eq!((status, &ready["ready"]), (200, &json!(true)), "{ready}");
}

/// Headers that a client or a proxy may set, in the event of API Gateway.
#[tokio::test]
async fn no_request_that_api_gateway_hands_on_stops_a_function() {
    let app = App::start().await;
    let mut event = sample("login.json");
    let set = |pointer: &str, value: Value| {
        let mut event = sample("login.json");
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[name] = value;
        event
    };
    event["headers"]["host"] = json!("api.example.com, other.example.com");
    for (name, event, status) in [
        ("two schemes", set("/headers/x-forwarded-proto", json!("https, http")), 201),
        ("a scheme that is none", set("/headers/x-forwarded-proto", json!("1:/")), 201),
        ("two hosts", event, 201),
        ("a host with a blank", set("/headers/host", json!("a b")), 201),
        ("a host with a port that is none", set("/headers/host", json!("a:99999")), 201),
        ("no host", set("/headers", json!({"content-type":"application/json"})), 201),
        ("a domain with a blank", set("/requestContext/domainName", json!("a b")), 201),
        ("a blank in the query", set("/rawQueryString", json!("a=b c")), 400),
        ("a line feed in the query", set("/rawQueryString", json!("a=b\nc")), 400),
        ("a letter in the query", set("/rawQueryString", json!("a=\u{e9}")), 400),
        ("a fragment in the query", set("/rawQueryString", json!("a=b#c")), 400),
        ("a blank in the path", set("/rawPath", json!("/v1/sess ions")), 404),
        ("a letter in the path", set("/rawPath", json!("/v1/sessions/\u{e9}")), 404),
        ("another host in the path", set("/rawPath", json!("//other.example.com/v1/sessions")), 404),
        ("no path", set("/rawPath", json!("")), 404),
        ("a body that is not the base64 that it says", set("/isBase64Encoded", json!(true)), 400),
        ("a header with a line feed", set("/headers/x-a", json!("a\nb")), 400),
        ("a header with a name that is none", set("/headers/x a", json!("b")), 400),
        ("a method that is none", set("/requestContext/http/method", json!("P OST")), 400),
        ("another event", json!({"Records": []}), 400),
        ("no event", Value::Null, 400),
    ] {
        let (answered, body, kind) = answer_to(&app, &event).await;
        assert_eq!(answered, status, "{name}: {body}");
        if status != 201 {
            assert_eq!((kind.as_str(), body["status"].as_u64()), ("application/problem+json", Some(status)), "{name}");
            assert!(body["code"].is_string(), "{name}: {body}");
        }
    }
}

/// What the function that handles logins answers, as Lambda gets it.
async fn answer_to(app: &App, event: &Value) -> (u64, Value, String) {
    let answer = match serde_json::from_str::<HttpEvent>(&event.to_string()).unwrap().into_request() {
        Ok(request) => app.functions.edge_auth.handle(request).await,
        Err(error) => error.into_response(),
    };
    let (parts, body) = answer.into_parts();
    let body = if let Body::Text(text) = body { serde_json::from_str(&text).unwrap() } else { Value::Null };
    let kind = parts.headers.get("content-type").map_or("", |kind| kind.to_str().unwrap()).to_owned();
    (parts.status.as_u16().into(), body, kind)
}

/// API Gateway sends every path without a route to status. Readiness has no route there, and is returned only to
/// invokers of the function.
#[tokio::test]
async fn the_default_route_does_not_answer_readiness() {
    let app = App::start().await;
    let mut event = sample("ready.json");
    event["routeKey"] = json!("$default");
    event["requestContext"]["routeKey"] = json!("$default");
    let (status, problem) = ask_with(&app, "ready.json", event, "", "").await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{problem}");
}
