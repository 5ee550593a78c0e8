//! The HTTP API of the whole service without a gateway: routes that need none must work.

use local::host::service::{Options, Service, ServiceError};
use platform::runtime::Runtime;
use serde_json::{Value, json};

use super::{directory, http};

async fn start(name: &str) -> Service {
    Service::start(options(name)).await.unwrap()
}

fn options(name: &str) -> Options {
    // Port 9 is discard: no process listens, so every call is refused at once.
    Options::dev(directory(name), "http://127.0.0.1:9".to_owned(), "no-token".to_owned())
}

async fn json(answer: reqwest::Response) -> Value {
    domain::json::kept(answer.text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn every_route_reaches_a_function_and_nothing_else_does() {
    let service = start("routes").await;
    for route in platform::http::routes::ROUTES {
        let path = route.path.replace("{request_id}", "019a8f3c-7e10-7abc-9def-0123456789ab");
        let method = reqwest::Method::from_bytes(route.method.as_bytes()).unwrap();
        let answer = http().request(method, format!("{}{path}", service.base_url)).send().await.unwrap();
        // Without a session every function answers 401, so each route reaches its function.
        assert!(![404, 405, 500].contains(&answer.status().as_u16()), "{} {path}: {}", route.method, answer.status());
    }
    let answer = http().get(format!("{}/v2/jobs", service.base_url)).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(json(answer).await["code"], "not_found");
    let answer = http().put(format!("{}/v1/jobs", service.base_url)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()), (405, "GET, POST"));
    service.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_before_anything_else_and_the_client_can_read_it() {
    let service = start("too-large").await;
    let url = format!("{}/v1/sessions", service.base_url);
    let answer = http().post(url).body(vec![b' '; 1024 * 1024]).send().await.unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(json(answer).await["code"], "body_too_large");
    service.stop().await;
}

#[tokio::test]
async fn an_open_job_and_its_session_survive_a_restart_and_the_job_is_woken_again() {
    let options = options("restart");
    let service = Service::start(options.clone()).await.unwrap();
    let login = http().post(format!("{}/v1/sessions", service.base_url)).json(&json!({"code": "dev-alice"}));
    let session = json(login.send().await.unwrap()).await;
    let token = session["token"].as_str().unwrap();
    let millis = Runtime::system().now().millis().unsigned_abs();
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid().to_string();
    let submit = http().post(format!("{}/v1/jobs", service.base_url)).bearer_auth(token).header("idempotency-key", &id);
    let submit = submit.json(&json!({"tool": "ledger_append", "arguments": {"note": "n"}})).send().await.unwrap();
    assert_eq!(submit.status(), 202);
    service.stop().await;

    let service = Service::start(options).await.unwrap();
    assert_eq!(service.woken, 1);
    let job = http().get(format!("{}/v1/jobs/{id}", service.base_url)).bearer_auth(token).send().await.unwrap();
    assert_eq!(job.status(), 200);
    assert_eq!(json(job).await["request_id"], id);
    service.stop().await;
}

#[tokio::test]
async fn development_login_does_not_start_where_others_could_reach_it() {
    let options = Options { bind: ([0, 0, 0, 0], 0).into(), ..options("beyond") };
    assert!(matches!(Service::start(options).await, Err(ServiceError::DevBeyondLoopback)));
}

#[tokio::test]
async fn only_the_owner_may_read_the_table_also_one_that_others_could() {
    use std::os::unix::fs::PermissionsExt;
    let options = options("modes");
    for _ in 0..2 {
        let service = Service::start(options.clone()).await.unwrap();
        let mut seen = 0;
        for entry in std::fs::read_dir(&options.data).unwrap().map(Result::unwrap) {
            if entry.file_name().to_str().unwrap().starts_with("table.db") {
                assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
                seen += 1;
            }
        }
        assert!(seen >= 2, "table.db and its write-ahead log");
        service.stop().await;
        std::fs::set_permissions(options.data.join("table.db"), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
}

#[tokio::test]
async fn a_table_whose_secrets_are_lost_is_not_served_with_new_ones() {
    let options = options("lost-secrets");
    Service::start(options.clone()).await.unwrap().stop().await;
    std::fs::remove_file(options.data.join("secrets.json")).unwrap();
    let refusal = Service::start(options).await.unwrap_err().to_string();
    assert!(refusal.contains("secrets.json is missing"), "{refusal}");
}

#[tokio::test]
async fn a_data_directory_serves_one_process_at_a_time() {
    let options = options("held");
    let service = Service::start(options.clone()).await.unwrap();
    let second = Service::start(options.clone()).await.unwrap_err().to_string();
    assert!(second.contains("in use by another process"), "{second}");
    service.stop().await;
    Service::start(options).await.unwrap().stop().await;
}
