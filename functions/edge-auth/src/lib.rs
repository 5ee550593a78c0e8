//! edge-auth: every client write. Verifies, validates, rate-limits, decides, records the job, rings.
//!
//! `POST /v1/sessions` ([`log_in`]) · `DELETE /v1/sessions` ([`log_out`]) · `POST /v1/jobs` ([`submit`]) ·
//! `POST /v1/jobs/{request_id}/approval` ([`approval`]) · `POST /v1/jobs/{request_id}/cancel` ([`cancel`]) ·
//! `DELETE /v1/conversations/{conversation}` ([`end_conversation`]) · `POST /v1/rings` ([`ring_back`])

use std::sync::Arc;

use domain::{
    access::session::{Session, SessionSigner, SessionVerifier},
    ids::DigestKey,
    policy::{Policy, PolicyFault},
};
use lambda_http::Request;
use platform::{
    config::EdgeAuthConfig,
    http::{
        Answer, ApiError, bearer,
        routes::{self, EdgeCall, Routed},
    },
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
        let Routed { call, name, open } = routes::route(request)?;
        asked.route = name;
        asked.request_id = open.text("request_id").parse().ok();
        match call {
            EdgeCall::LogIn => log_in::log_in(self, request, asked).await,
            EdgeCall::LogOut => log_out::log_out(self, request, asked).await,
            EdgeCall::Submit => submit::submit(self, request, asked).await,
            EdgeCall::Approval => approval::approval(self, request, asked.request_id, asked).await,
            EdgeCall::Cancel => cancel::cancel(self, request, asked.request_id, asked).await,
            EdgeCall::EndConversation => {
                let name = open.text("conversation").parse().ok();
                end_conversation::end_conversation(self, request, name, asked).await
            }
            EdgeCall::Wake => ring_back::ring_back(self, request, asked).await,
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
