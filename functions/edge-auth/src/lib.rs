//! edge-auth: every write of a client. Verifies the session, validates, rate-limits, asks policy, records the job,
//! sends a wake-up message.
//!
//! `POST /v1/sessions` ([`log_in`]) · `DELETE /v1/sessions` ([`log_out`]) · `POST /v1/jobs` ([`submit`]) ·
//! `POST /v1/jobs/{request_id}/approval` ([`approval`]) · `POST /v1/jobs/{request_id}/cancel` ([`cancel`]) ·
//! `DELETE /v1/conversations/{conversation}` ([`end_conversation`]) · `DELETE /v1/users/me` ([`erase`]) ·
//! `POST /v1/notifications` ([`notifications`]) · `POST /v1/rings` ([`webhook`]) ·
//! `GET` and `POST /v1/wechat/events` ([`wechat_events`])

use std::sync::Arc;

use domain::{
    access::session::{Session, SessionSigner},
    ids::{DigestKey, Timestamp},
    job::Job,
    policy::{Policy, PolicyFault},
    view::JobView,
};
use lambda_http::Request;
use platform::{
    config::EdgeAuthConfig,
    http::{
        ApiError, Response,
        bearer::SessionTokens,
        routes::{self, EdgeCall, Routed},
    },
    non_empty::NonEmpty,
    queue::Queue,
    runtime::Runtime,
    secrets::{EdgeSecrets, Secrets, SecretsError},
    telemetry::{self, RequestLog},
    wechat::{BadWechatClient, WechatClient, events::EventSecrets},
};
use secrecy::SecretString;
use service::{
    controls::ControlsCache,
    jobs::{self, Jobs},
};
use store::Table;

mod admit;
mod approval;
mod cancel;
mod charge;
mod conversation_cap;
mod conversation_queue;
mod decide;
mod end_conversation;
mod erase;
mod find_stored;
mod log_in;
mod log_out;
mod notifications;
mod parse;
mod poll_headers;
mod record;
mod refuse;
mod risk;
mod submit;
mod wake_held;
mod webhook;
mod wechat_events;

/// The function with its clients and caches.
#[derive(Debug)]
pub struct EdgeAuth {
    config: EdgeAuthConfig,
    runtime: Runtime,
    table: Table,
    queue: Queue,
    wechat: WechatClient,
    policy: Arc<Policy>,
    controls: ControlsCache,
    secrets: Secrets<EdgeKeys>,
}

/// Keys and clients' secrets, derived from the secrets once per refresh.
#[derive(Debug)]
struct EdgeKeys {
    signer: SessionSigner,
    tokens: SessionTokens,
    logins: NonEmpty<DigestKey>,
    app_secrets: NonEmpty<SecretString>,
    events: Option<EventSecrets>,
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The catalogue or the policies are invalid.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
    /// The HTTP client for WeChat could not be built.
    #[error(transparent)]
    Client(#[from] BadWechatClient),
}

impl EdgeAuth {
    /// Builds the function and every client once, with the policy that is compiled in.
    pub fn new(config: EdgeAuthConfig, runtime: Runtime) -> Result<Self, StartError> {
        let policy = Policy::built_in()?;
        Self::with_policy(config, runtime, policy)
    }

    /// Builds the function with another policy than the one compiled in, as a newer deployment would have.
    pub fn with_policy(config: EdgeAuthConfig, runtime: Runtime, policy: Arc<Policy>) -> Result<Self, StartError> {
        let table = &config.table;
        Ok(Self {
            table: Table::new(table.aws.dynamodb(), table.table.clone(), table.retention),
            queue: Queue::new(table.aws.sqs(), config.queue.url.clone(), config.queue.fair),
            wechat: WechatClient::new("edge-auth", &config.wechat_base_url, runtime.clone())?,
            secrets: Secrets::new("edge-auth", config.secrets.clone(), &table.aws),
            controls: ControlsCache::new("edge-auth", config.checkpoint_max_age),
            policy,
            config,
            runtime,
        })
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response {
        let mut log = RequestLog::of("edge-auth", &request, &self.runtime);
        let outcome = self.answer(&request, &mut log).await;
        telemetry::answer(log, outcome)
    }

    async fn answer(&self, request: &Request, log: &mut RequestLog<'_>) -> Result<Response, ApiError> {
        let Routed { call, name, open } = routes::route(request)?;
        log.route = name;
        log.request_id = open.text("request_id").parse().ok();
        match call {
            EdgeCall::LogIn => log_in::log_in(self, request, log).await,
            EdgeCall::LogOut => log_out::log_out(self, request, log).await,
            EdgeCall::Submit => submit::submit(self, request, log).await,
            EdgeCall::Approval => approval::approval(self, request, log.request_id, log).await,
            EdgeCall::Cancel => cancel::cancel(self, request, log.request_id, log).await,
            EdgeCall::EndConversation => {
                let name = open.text("conversation").parse().ok();
                end_conversation::end_conversation(self, request, name, log).await
            }
            EdgeCall::Erase => erase::erase(self, request, log).await,
            EdgeCall::Notifications => notifications::accepted(self, request, log).await,
            EdgeCall::Wake => webhook::webhook(self, request, log).await,
            EdgeCall::VerifyUrl => wechat_events::verify_url(self, request).await,
            EdgeCall::WechatEvent => wechat_events::receive(self, request).await,
        }
    }

    /// Verifies the session token of a request. From then on the log line of the request contains the user id.
    async fn session(&self, request: &Request, now: Timestamp, log: &mut RequestLog<'_>) -> Result<Session, ApiError> {
        let session = self.keys().await?.tokens.authenticate(request.headers(), now)?;
        log.user_id = Some(session.user_id);
        Ok(session)
    }

    /// The use cases of a job that other functions have, too.
    fn jobs(&self) -> Jobs<'_> {
        let Self { table, queue, runtime, policy, .. } = self;
        Jobs { table, queue, runtime, policy, function: "edge-auth" }
    }

    /// The job as its user sees it.
    async fn render(&self, job: &Job, now: Timestamp) -> Result<JobView, ApiError> {
        Ok(jobs::render_job(&self.table, self.policy.catalogue(), job, now).await?)
    }

    /// The table, for tests that count its requests.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Reads the secrets at start, so that a function whose secrets are missing or invalid does not start.
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
                tokens: SessionTokens::new(secrets.sessions.verifier(&self.config.audience)?),
                logins: secrets.logins,
                app_secrets: secrets.wechat.app_secrets,
                events: secrets.wechat.events,
            })
        };
        self.secrets.get(&self.runtime, make).await
    }
}
