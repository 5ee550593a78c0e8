//! HTTP client that behaves like a Mini Program.

use std::time::Duration;

use domain::json;
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;

use super::Failure;

/// A client of the service.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base_url: String,
    token: Option<String>,
}

/// A response with its whole body.
#[derive(Debug)]
pub(super) struct Reply {
    /// Its status.
    pub(super) status: StatusCode,
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// Its body; null if it has none.
    pub(super) body: Value,
}

impl Client {
    /// A client without a session.
    pub(super) fn new(base_url: &str) -> Result<Self, Failure> {
        // The timeout is longer than a long poll. Loopback must not go through a proxy.
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(35)).build()?;
        Ok(Self { http, base_url: base_url.to_owned(), token: None })
    }

    /// The same client with a session.
    pub(super) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Sends a GET.
    pub(super) async fn get(&self, path: &str) -> Result<Reply, Failure> {
        self.send(Method::GET, path, None, None).await
    }

    /// Sends a DELETE with a body.
    pub(super) async fn delete(&self, path: &str, body: &Value) -> Result<Reply, Failure> {
        self.send(Method::DELETE, path, None, Some(body)).await
    }

    /// Posts JSON.
    pub(super) async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> Result<Reply, Failure> {
        self.send(Method::POST, path, key, Some(body)).await
    }

    /// Polls a job until it is over, at the pace that the service asks for.
    pub(super) async fn until_over(&self, id: &str) -> Result<Reply, Failure> {
        for _ in 0..60 {
            let reply = self.get(&format!("/v1/jobs/{id}?wait=10")).await?;
            let Some(pause) = reply.body["next_poll_ms"].as_u64() else { return Ok(reply) };
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        Err(format!("job {id} is not over after 60 polls").into())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Reply, Failure> {
        let mut request = self.http.request(method, format!("{}{path}", self.base_url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await?;
        let body = if text.is_empty() { Value::Null } else { json::kept(&text)? };
        Ok(Reply { status, headers, body })
    }
}
