//! An operator's client of the service.

use std::time::Duration;

use local::emulation::api_gateway::Functions;
use serde_json::{Value, json};

use crate::{App, Client, Contract, Reply};

/// An operator with a token.
#[derive(Debug, Clone)]
pub struct OperatorClient(pub Client);

impl OperatorClient {
    /// A client with any token.
    pub fn new(functions: Functions, token: &str) -> Self {
        Self(Client::new(functions, token, ""))
    }

    /// `GET`, below `/v1/operator`. Every response is checked against `openapi.yaml`.
    pub async fn get(&self, path: &str) -> Reply {
        let path = format!("/v1/operator{path}");
        checked("GET", &path, self.0.get(&path).await)
    }

    /// Sends JSON, below `/v1/operator`.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        let headers = [("content-type", "application/json")];
        let path = format!("/v1/operator{path}");
        checked(method, &path, self.0.send(method, &path, &headers, body.to_string().as_bytes()).await)
    }

    /// `POST`.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, &body).await
    }

    /// `PUT`.
    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.send("PUT", path, &body).await
    }

    /// Decides about a job, by its support code.
    pub async fn decide(&self, job: &str, decision: &str, digest: &str) -> Reply {
        self.post(&format!("/jobs/{job}/approval"), json!({ "decision": decision, "digest": digest })).await
    }

    /// The only approval request that waits for an operator.
    pub async fn approval_request(&self) -> Value {
        let reply = self.get("/approvals").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let all = reply.body["approvals"].as_array().expect("a list").clone();
        assert_eq!(all.len(), 1, "{}", reply.body);
        all[0].clone()
    }

    /// The side chain of operators as `actor event`, oldest first.
    pub async fn told(&self) -> Vec<Value> {
        let reply = self.get("/audit?limit=100").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body["records"].as_array().expect("records").clone()
    }
}

fn checked(method: &str, path: &str, reply: Reply) -> Reply {
    let contract = Contract::of_the_checkout();
    match contract.route(method, path) {
        Some(route) => contract.check(method, route, &reply),
        None => contract.check_problem(&reply),
    }
    reply
}

impl App {
    /// An operator of this host with these roles. The same name is the same operator.
    pub fn operator(&self, name: &str, roles: &[&str]) -> OperatorClient {
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        let key = self.deployment.operator_key();
        let token = key.mint(&self.functions.runtime, name, &roles, Duration::from_secs(3600)).expect("there is a key");
        OperatorClient::new(self.functions.clone(), &token)
    }
}
