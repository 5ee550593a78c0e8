//! edge-auth: every client write. Verifies, validates, rate-limits, decides, records the job, rings.
//!
//! `POST /v1/sessions` ([`log_in`]) · `DELETE /v1/sessions` ([`log_out`]) · `POST /v1/jobs` ([`submit`]) ·
//! `POST /v1/jobs/{request_id}/approval` ([`approval`]) · `POST /v1/jobs/{request_id}/cancel` ([`cancel`]) ·
//! `DELETE /v1/conversations/{conversation}` ([`end_conversation`]) · `POST /v1/rings` ([`ring_back`])

use std::sync::Arc;

use domain::{
    access::session::{Session, SessionSigner, SessionVerifier},
    conversation::ConversationName,
    ids::{DigestKey, RequestId},
    policy::{Policy, PolicyFault},
};
use http::Method;
use lambda_http::Request;
use platform::{
    config::EdgeAuthConfig,
    http::{Answer, ApiError, Code, bearer},
    non_empty::Listed,
    queue::Queue,
    runtime::World,
    secrets::{EdgeSecrets, Secrets, SecretsError},
    telemetry::{self, Asked},
    wechat::{BadWechatClient, WechatClient},
};
use secrecy::SecretString;
use service::controls::ControlsCache;
use store::Table;

mod admit;
mod approval;
mod cancel;
mod conversation_cap;
mod end_conversation;
mod gate;
mod line;
mod log_in;
mod log_out;
mod record;
mod ring_back;
mod submit;

/// The function, wired.
#[derive(Debug)]
pub struct EdgeAuth {
    config: EdgeAuthConfig,
    world: World,
    table: Table,
    queue: Queue,
    wechat: WechatClient,
    policy: Policy,
    controls: ControlsCache,
    secrets: Secrets<EdgeKeys>,
}

/// What the secrets are made into, once per refresh.
#[derive(Debug)]
struct EdgeKeys {
    signer: SessionSigner,
    verifier: SessionVerifier,
    logins: Listed<DigestKey>,
    app_secrets: Listed<SecretString>,
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Catalogue or policies cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
    /// No HTTP client for WeChat.
    #[error(transparent)]
    Client(#[from] BadWechatClient),
}

/// Where a request goes.
enum Route {
    LogIn,
    LogOut,
    Submit,
    Approval(Option<RequestId>),
    Cancel(Option<RequestId>),
    EndConversation(Option<ConversationName>),
    Ring,
}

impl Route {
    /// Method and path with placeholders.
    const fn name(&self) -> &'static str {
        match self {
            Self::LogIn => "POST /v1/sessions",
            Self::LogOut => "DELETE /v1/sessions",
            Self::Submit => "POST /v1/jobs",
            Self::Approval(_) => "POST /v1/jobs/{request_id}/approval",
            Self::Cancel(_) => "POST /v1/jobs/{request_id}/cancel",
            Self::EndConversation(_) => "DELETE /v1/conversations/{conversation}",
            Self::Ring => "POST /v1/rings",
        }
    }
}

impl EdgeAuth {
    /// Wires it; builds every client once.
    pub fn new(config: EdgeAuthConfig, world: World) -> Result<Self, StartError> {
        let policy = Policy::built_in()?;
        Self::with_policy(config, world, policy)
    }

    /// Wires it with another policy than the one built in: what a newer deployment would have.
    pub fn with_policy(config: EdgeAuthConfig, world: World, policy: Policy) -> Result<Self, StartError> {
        let table = &config.table;
        Ok(Self {
            table: Table::new(table.aws.dynamodb(), table.table.clone(), table.retention),
            queue: Queue::new(table.aws.sqs(), config.queue.url.clone(), config.queue.fair),
            wechat: WechatClient::new(&config.wechat_base_url, world.clone())?,
            secrets: Secrets::new("edge-auth", config.secrets.clone(), &table.aws),
            controls: ControlsCache::new("edge-auth", config.checkpoint_max_age),
            policy,
            config,
            world,
        })
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Answer {
        let mut asked = Asked::of("edge-auth", &request, &self.world);
        let outcome = self.answer(&request, &mut asked).await;
        telemetry::answer(asked, outcome)
    }

    async fn answer(&self, request: &Request, asked: &mut Asked<'_>) -> Result<Answer, ApiError> {
        let route = route(request)?;
        asked.route = route.name();
        match route {
            Route::LogIn => log_in::log_in(self, request, asked).await,
            Route::LogOut => log_out::log_out(self, request, asked).await,
            Route::Submit => submit::submit(self, request, asked).await,
            Route::Approval(id) => {
                asked.request_id = id;
                approval::approval(self, request, id, asked).await
            }
            Route::Cancel(id) => {
                asked.request_id = id;
                cancel::cancel(self, request, id, asked).await
            }
            Route::EndConversation(name) => end_conversation::end_conversation(self, request, name, asked).await,
            Route::Ring => ring_back::ring_back(self, request, asked).await,
        }
    }

    /// The verified session of a request. From here on the line about the request says whose it is.
    async fn session(&self, request: &Request, asked: &mut Asked<'_>) -> Result<Session, ApiError> {
        let session = bearer::authenticate(request.headers(), &self.keys().await?.verifier, self.world.now())?;
        asked.user_id = Some(session.user_id);
        Ok(session)
    }

    /// The table, for whoever counts what it costs.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Reads the secrets, so that a function without them does not start.
    pub async fn load_secrets(&self) -> Result<(), SecretsError> {
        self.read_keys().await.map(drop)
    }

    async fn keys(&self) -> Result<Arc<EdgeKeys>, ApiError> {
        self.read_keys().await.map_err(ApiError::unavailable)
    }

    async fn read_keys(&self) -> Result<Arc<EdgeKeys>, SecretsError> {
        let make = |secrets: EdgeSecrets| {
            Ok(EdgeKeys {
                signer: secrets.sessions.signer(&self.config.audience)?,
                verifier: secrets.sessions.verifier(&self.config.audience)?,
                logins: secrets.logins,
                app_secrets: secrets.wechat.app_secrets,
            })
        };
        self.secrets.get(&self.world, make).await
    }
}

fn route(request: &Request) -> Result<Route, ApiError> {
    let path = lambda_http::RequestExt::raw_http_path(request);
    let path = if path.is_empty() { request.uri().path() } else { path };
    let parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    match (parts.as_slice(), request.method()) {
        (["v1", "sessions"], &Method::POST) => Ok(Route::LogIn),
        (["v1", "sessions"], &Method::DELETE) => Ok(Route::LogOut),
        (["v1", "jobs"], &Method::POST) => Ok(Route::Submit),
        (["v1", "jobs", id, "approval"], &Method::POST) => Ok(Route::Approval(id.parse().ok())),
        (["v1", "jobs", id, "cancel"], &Method::POST) => Ok(Route::Cancel(id.parse().ok())),
        (["v1", "conversations", name], &Method::DELETE) => Ok(Route::EndConversation(name.parse().ok())),
        (["v1", "rings"], &Method::POST) => Ok(Route::Ring),
        // The methods that the path takes, those of other functions included.
        (["v1", "sessions"], _) => Err(ApiError::other_method("DELETE, POST")),
        (["v1", "jobs"], _) => Err(ApiError::other_method("GET, POST")),
        (["v1", "rings"] | ["v1", "jobs", _, "approval" | "cancel"], _) => Err(ApiError::other_method("POST")),
        (["v1", "conversations", _], _) => Err(ApiError::other_method("DELETE")),
        _ => Err(ApiError::new(Code::NotFound)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::Body;

    #[test]
    fn another_method_is_told_which_ones_the_path_takes() {
        for (path, methods) in [
            ("/v1/sessions", "DELETE, POST"),
            ("/v1/jobs", "GET, POST"),
            ("/v1/jobs/x/approval", "POST"),
            ("/v1/jobs/x/cancel", "POST"),
            ("/v1/conversations/x", "DELETE"),
            ("/v1/rings", "POST"),
        ] {
            let mut request = Request::new(Body::Empty);
            *request.method_mut() = Method::PATCH;
            *request.uri_mut() = path.parse().unwrap();
            let Err(error) = route(&request) else { panic!("{path}") };
            assert_eq!(error.into_answer().headers()["allow"], methods, "{path}");
        }
    }
}
