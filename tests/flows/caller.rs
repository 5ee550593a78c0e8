//! A Mini Program's client that checks each response against `openapi.yaml`.

use std::{
    io::Write,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use integration_tests::{Contract, Reply};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::target::Target;

/// How long anything may take that is waited for. A cloud's sweep runs once a minute.
pub(crate) const WAIT_LIMIT: Duration = Duration::from_secs(120);

/// How often a request is sent that the platform answers in place of the service, and the pause between.
const TRIES: usize = 4;
const BEFORE_COMING_AGAIN: Duration = Duration::from_secs(1);

/// A user or an anonymous client of the service.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    target: Arc<Target>,
    token: String,
    pub(crate) user_id: String,
}

/// A new request id.
pub(crate) fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// A login code for a name that no other run of the suite uses.
pub(crate) fn code(name: &str) -> String {
    static RUN: OnceLock<String> = OnceLock::new();
    let run = RUN.get_or_init(|| Uuid::now_v7().simple().to_string()[20..].to_owned());
    format!("dev-{name}-{run}")
}

/// Whether an answer is not the service's own: each fault of that has a code.
fn of_the_platform(reply: &Reply) -> bool {
    reply.status.is_server_error() && reply.body["code"].is_null()
}

/// Waits as long as an answer says.
pub(crate) async fn wait_retry_after(reply: &Reply) {
    let seconds: u64 = reply.header("retry-after").parse().unwrap_or_else(|_| panic!("{:?}", reply.headers));
    assert!((1..=120).contains(&seconds), "{seconds}");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

impl Caller {
    /// Without a session.
    pub(crate) fn anonymous(target: &Arc<Target>) -> Self {
        Self { target: target.clone(), token: String::new(), user_id: String::new() }
    }

    /// Logs in with any code. The limit of the address is shared by all tests, so it is waited for.
    pub(crate) async fn log_in_with(target: &Arc<Target>, code: &str) -> Reply {
        let body = json!({ "code": code }).to_string();
        let began = Instant::now();
        loop {
            let anonymous = Self::anonymous(target);
            let json = [("content-type", "application/json")];
            let reply = anonymous.send("POST", "/v1/sessions", &json, body.as_bytes()).await;
            if reply.verdict() != (429, "rate_limited") {
                return reply;
            }
            assert!(began.elapsed() < WAIT_LIMIT, "no user can log in");
            wait_retry_after(&reply).await;
        }
    }

    /// Logs in as a user of this run.
    pub(crate) async fn log_in(target: &Arc<Target>, name: &str) -> Self {
        let reply = Self::log_in_with(target, &code(name)).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        let text = |field: &str| reply.body[field].as_str().unwrap().to_owned();
        Self { target: target.clone(), token: text("token"), user_id: text("user_id") }
    }

    /// The same with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Sends anything, and holds the answer against the contract. What may be sent again under the same name is sent
    /// again where the platform answers in place of the service, as `docs/api/client.md` tells every client.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let same_again = method == "GET" || headers.iter().any(|(name, _)| *name == "idempotency-key");
        let mut tries = if self.target.deployed && same_again { TRIES } else { 1 };
        let reply = loop {
            let reply = self.ask(method, path, headers, body).await;
            tries -= 1;
            if tries == 0 || !of_the_platform(&reply) {
                break reply;
            }
            // Past what the test harness keeps to itself of a test that passes.
            let said = format!("COMES AGAIN: the platform answered {method} {path}: {} {}\n", reply.status, reply.body);
            std::io::stderr().write_all(said.as_bytes()).unwrap();
            tokio::time::sleep(BEFORE_COMING_AGAIN).await;
        };
        let contract = Contract::of_the_checkout();
        match contract.route(method, path) {
            Some(route) => contract.check(method, route, &reply),
            None => contract.check_problem(&reply),
        }
        assert_eq!(reply.header("cache-control"), "no-store", "{method} {path}");
        reply
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let url = format!("{}{path}", self.target.base_url);
        let mut request = self.target.http.request(method.parse().unwrap(), url).body(body.to_vec());
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let _turn = self.target.at_once.acquire().await.unwrap();
        let answer = request.send().await.unwrap_or_else(|fault| panic!("{method} {path}: {fault:?}"));
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let body =
            if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(text.clone().into()) };
        Reply { status, headers, body, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"").await
    }

    pub(crate) async fn submit_body(&self, id: &str, body: &Value) -> Reply {
        let headers = [("idempotency-key", id), ("content-type", "application/json")];
        self.send("POST", "/v1/jobs", &headers, body.to_string().as_bytes()).await
    }

    pub(crate) async fn submit(&self, id: &str, tool: &str, arguments: Value) -> Reply {
        self.submit_body(id, &json!({ "tool": tool, "arguments": arguments })).await
    }

    pub(crate) async fn cancel(&self, id: &str) -> Reply {
        self.send("POST", &format!("/v1/jobs/{id}/cancel"), &[], b"").await
    }

    /// Decides the approval request of a job: `approve` or `reject`.
    pub(crate) async fn decide(&self, id: &str, decision: &str, digest: &str, code: Option<&str>) -> Reply {
        let mut body = json!({ "decision": decision, "digest": digest });
        if let Some(code) = code {
            body["code"] = code.into();
        }
        let json = [("content-type", "application/json")];
        self.send("POST", &format!("/v1/jobs/{id}/approval"), &json, body.to_string().as_bytes()).await
    }

    pub(crate) async fn look(&self, id: &str) -> Reply {
        self.get(&format!("/v1/jobs/{id}")).await
    }

    /// Polls a job at the pace that the service asks for, until it is as wanted.
    pub(crate) async fn until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let reply = self.look(id).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
            let pause = reply.body["next_poll_ms"].as_u64();
            assert_eq!(reply.header("next-poll-ms"), pause.map_or_else(String::new, |ms| ms.to_string()));
            if wanted(&reply.body) {
                return reply.body;
            }
            let pause = pause.unwrap_or_else(|| panic!("it is over: {}", reply.body));
            assert!(began.elapsed() < WAIT_LIMIT, "the job does not go on: {}", reply.body);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Polls a job to its end.
    pub(crate) async fn until_over(&self, id: &str) -> Value {
        self.until(id, |job| job["next_poll_ms"].is_null()).await
    }

    /// Submits, and polls to the end.
    pub(crate) async fn run(&self, tool: &str, arguments: Value) -> Value {
        let id = new_id();
        let reply = self.submit(&id, tool, arguments).await;
        assert_eq!(reply.status, 202, "{}", reply.body);
        self.until_over(&id).await
    }
}
