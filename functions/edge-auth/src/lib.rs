//! edge-auth: every client write. Verifies, validates, rate-limits, decides, records the job, rings.
//!
//! `POST /v1/sessions` ([`log_in`]) · `DELETE /v1/sessions` ([`log_out`]) · `POST /v1/jobs` ([`submit`]) ·
//! `POST /v1/jobs/{request_id}/cancel` ([`cancel`])

use std::{sync::Arc, time::Instant};

use http::Method;
use lambda_http::Request;
use secrecy::SecretString;
use shared::{
    catalogue::{Catalogue, CatalogueFault},
    clock::World,
    config::EdgeAuthConfig,
    digest::DigestKey,
    http::{Answer, ApiError, Code},
    queue::Queue,
    request_id::RequestId,
    secrets::{EdgeSecrets, Secrets},
    session::{SessionSigner, SessionVerifier},
    table::Table,
    telemetry::{self, Asked},
    trace::TraceParent,
    wechat::{BadWechatClient, WechatClient},
};

mod body;
mod cancel;
mod log_in;
mod log_out;
mod submit;

/// The function, wired.
#[derive(Debug)]
pub struct EdgeAuth {
    config: EdgeAuthConfig,
    world: World,
    table: Table,
    queue: Queue,
    wechat: WechatClient,
    catalogue: Catalogue,
    secrets: Secrets<EdgeKeys>,
}

/// What the secrets are made into, once per refresh.
#[derive(Debug)]
struct EdgeKeys {
    signer: SessionSigner,
    verifier: SessionVerifier,
    logins: Vec<DigestKey>,
    app_secret: SecretString,
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The catalogue contradicts itself.
    #[error(transparent)]
    Catalogue(#[from] CatalogueFault),
    /// No HTTP client for WeChat.
    #[error(transparent)]
    Client(#[from] BadWechatClient),
}

/// Where a request goes.
enum Route {
    LogIn,
    LogOut,
    Submit,
    Cancel(Option<RequestId>),
}

impl EdgeAuth {
    /// Wires it; builds every client once.
    pub fn new(config: EdgeAuthConfig, world: World) -> Result<Self, StartError> {
        let catalogue = Catalogue::built_in()?;
        let table = &config.table;
        Ok(Self {
            table: Table::new(table.aws.dynamodb(), table.table.clone(), table.retention),
            queue: Queue::new(table.aws.sqs(), config.queue.url.clone(), config.queue.fair),
            wechat: WechatClient::new(&config.wechat_base_url, world.clone())?,
            secrets: Secrets::file(config.secrets_file.clone()),
            catalogue,
            config,
            world,
        })
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Answer {
        let began = began();
        let trace = request.headers().get("traceparent").and_then(|v| v.to_str().ok()).and_then(TraceParent::parse);
        let asked = |route, request_id| Asked {
            function: "edge-auth",
            route,
            request_id,
            user_id: None,
            trace: trace.as_ref(),
            began,
        };
        match route(&request) {
            Ok(Route::LogIn) => {
                telemetry::answer(asked("POST /v1/sessions", None), log_in::log_in(self, &request).await)
            }
            Ok(Route::LogOut) => {
                telemetry::answer(asked("DELETE /v1/sessions", None), log_out::log_out(self, &request).await)
            }
            Ok(Route::Submit) => {
                let id = submit::request_id(&request);
                let outcome = submit::submit(self, &request, &id, trace.as_ref()).await;
                telemetry::answer(asked("POST /v1/jobs", id.ok()), outcome)
            }
            Ok(Route::Cancel(id)) => {
                let outcome = cancel::cancel(self, &request, id).await;
                telemetry::answer(asked("POST /v1/jobs/{request_id}/cancel", id), outcome)
            }
            Err(code) => telemetry::answer(asked("other", None), Err(ApiError::new(code))),
        }
    }

    /// The table, for whoever counts what it costs.
    pub fn table(&self) -> &Table {
        &self.table
    }

    async fn keys(&self) -> Result<Arc<EdgeKeys>, ApiError> {
        let make = |secrets: EdgeSecrets| {
            Ok(EdgeKeys {
                signer: secrets.sessions.signer(&self.config.audience)?,
                verifier: secrets.sessions.verifier(&self.config.audience)?,
                logins: secrets.logins,
                app_secret: secrets.wechat.app_secret,
            })
        };
        self.secrets.get(&self.world, make).await.map_err(ApiError::unavailable)
    }
}

fn route(request: &Request) -> Result<Route, Code> {
    let path = lambda_http::RequestExt::raw_http_path(request);
    let path = if path.is_empty() { request.uri().path() } else { path };
    let parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    match (parts.as_slice(), request.method()) {
        (["v1", "sessions"], &Method::POST) => Ok(Route::LogIn),
        (["v1", "sessions"], &Method::DELETE) => Ok(Route::LogOut),
        (["v1", "jobs"], &Method::POST) => Ok(Route::Submit),
        (["v1", "jobs", id, "cancel"], &Method::POST) => Ok(Route::Cancel(id.parse().ok())),
        (["v1", "sessions" | "jobs"] | ["v1", "jobs", _, "cancel"], _) => Err(Code::MethodNotAllowed),
        _ => Err(Code::NotFound),
    }
}

/// A monotonic start, for a duration in a log line only.
fn began() -> Instant {
    Instant::now()
}
