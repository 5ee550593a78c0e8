//! A Mini Program's client of the service.

use std::net::IpAddr;

use http::{HeaderMap, Request, StatusCode};
use lambda_http::Body;
use local::emulation::api_gateway::Functions;
use serde_json::{Value, json};

/// A response.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; `Null` when there is none.
    pub body: Value,
    /// The body as it was sent.
    pub text: String,
}

impl Reply {
    /// The stable code of an error, or "" for none.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Status and code, as tests compare them.
    pub fn verdict(&self) -> (u16, &str) {
        (self.status.as_u16(), self.code())
    }

    /// A header as text, or "" for none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A user with a session.
#[derive(Debug, Clone)]
pub struct Client {
    functions: Functions,
    /// The session.
    pub token: String,
    /// The user's id.
    pub user_id: String,
}

impl Client {
    /// A client with any token.
    pub fn new(functions: Functions, token: &str, user_id: &str) -> Self {
        Self { functions, token: token.to_owned(), user_id: user_id.to_owned() }
    }

    /// Sends any request.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a test sends well-formed requests").into_parts();
        let peer = IpAddr::from([203, 0, 113, 9]);
        let (parts, answer) = self.functions.answer(parts, body, peer).await.into_parts();
        let text = match answer {
            Body::Text(text) => text,
            _ => String::new(),
        };
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status: parts.status, headers: parts.headers, body, text }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"").await
    }

    /// Submits a whole body.
    pub async fn submit_body(&self, id: &str, body: &Value) -> Reply {
        let headers = [("idempotency-key", id), ("content-type", "application/json")];
        self.send("POST", "/v1/jobs", &headers, body.to_string().as_bytes()).await
    }

    /// Submits a tool call.
    pub async fn submit(&self, id: &str, tool: &str, arguments: Value) -> Reply {
        self.submit_body(id, &json!({ "tool": tool, "arguments": arguments })).await
    }

    /// Polls a job.
    pub async fn job(&self, id: &str) -> Value {
        self.get(&format!("/v1/jobs/{id}")).await.body
    }

    /// Cancels a job.
    pub async fn cancel(&self, id: &str) -> Reply {
        self.send("POST", &format!("/v1/jobs/{id}/cancel"), &[], b"").await
    }

    /// Decides the approval request of a job: `approve` or `reject`, for the call with this digest, with this login
    /// code.
    pub async fn decide(&self, id: &str, decision: &str, digest: &str, code: Option<&str>) -> Reply {
        let mut body = json!({ "decision": decision, "digest": digest });
        if let Some(code) = code {
            body["code"] = code.into();
        }
        let headers = [("content-type", "application/json")];
        self.send("POST", &format!("/v1/jobs/{id}/approval"), &headers, body.to_string().as_bytes()).await
    }

    /// Asks for the erasure of the user, with this login code.
    pub async fn erase(&self, code: &str) -> Reply {
        let body = json!({ "code": code }).to_string();
        self.send("DELETE", "/v1/users/me", &[("content-type", "application/json")], body.as_bytes()).await
    }

    /// The digest of the approval request that the service shows; "" without one.
    pub async fn digest(&self, id: &str) -> String {
        self.job(id).await["approval"]["digest"].as_str().unwrap_or_default().to_owned()
    }

    /// Rejects the call that the service shows for a job.
    pub async fn reject(&self, id: &str) -> Reply {
        self.decide(id, "reject", &self.digest(id).await, None).await
    }

    /// Verifies a job's audit chain and returns its records.
    pub async fn records(&self, id: &str) -> Vec<Value> {
        let chain = self.get(&format!("/v1/jobs/{id}/audit")).await.body;
        let records = chain["records"].as_array().expect("a chain has records").clone();
        let head = domain::audit::AuditHead {
            length: chain["head"]["length"].as_u64().expect("a length"),
            digest: chain["head"]["digest"].as_str().expect("a digest").to_owned().try_into().expect("a digest"),
        };
        let owner = domain::audit::Owner::Job(id.parse().expect("a request id"));
        domain::audit::verify(&records, owner, head).expect("the chain verifies");
        records
    }
}

/// The event of each record.
#[must_use]
pub fn events(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["event"].as_str().expect("a record names its event")).collect()
}
