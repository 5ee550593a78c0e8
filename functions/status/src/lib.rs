//! status: every read of a client. One file per use case; this one routes, authenticates and logs.
//!
//! It only reads the table, and holds public keys only.

use std::{collections::BTreeSet, sync::Arc};

use domain::{
    access::{service_mode::Controls, session::Session},
    ids::{DigestKey, UserId},
    limits::admission::UserState,
    policy::{Policy, PolicyFault},
};
use lambda_http::{Request, RequestExt, request::RequestContext};
use platform::{
    config::StatusConfig,
    http::{
        ApiError, Code, Response,
        bearer::SessionTokens,
        routes::{self, PathParameters, Routed, StatusCall},
    },
    non_empty::NonEmpty,
    runtime::Runtime,
    secrets::{Secrets, SecretsError, StatusSecrets},
    telemetry::{self, RequestLog},
};
use service::{
    controls::ControlsCache,
    jobs::known_job,
    session::{self, OwnJob},
};
use store::Table;

mod agents;
mod audit;
mod etag;
mod export;
mod get_job;
mod get_step;
mod health;
mod list_conversations;
mod list_jobs;
mod query;
mod tools;

/// The function with its clients and caches.
#[derive(Debug)]
pub struct Status {
    config: StatusConfig,
    runtime: Runtime,
    table: Table,
    policy: Arc<Policy>,
    controls: ControlsCache,
    secrets: Secrets<StatusKeys>,
}

/// Keys, derived from the secrets once per refresh.
struct StatusKeys {
    tokens: SessionTokens,
    cursors: NonEmpty<DigestKey>,
}

/// Input of policy decisions: the user, their groups and the service modes.
struct PolicyContext {
    user_id: UserId,
    groups: BTreeSet<String>,
    controls: Arc<Controls>,
}

#[cfg(test)]
impl PolicyContext {
    /// A user without groups, in this service mode.
    fn of_any_user(mode: domain::access::service_mode::Mode, now: domain::ids::Timestamp) -> Self {
        let mut controls = Controls::unreadable(now);
        (controls.service.mode, controls.service.by) = (mode, "command".to_owned());
        Self { user_id: UserId::from_random([1; 16]), groups: BTreeSet::new(), controls: Arc::new(controls) }
    }
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The catalogue or the policies are invalid.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
}

impl Status {
    /// Builds the function and every client once, with the policy that is compiled in.
    pub fn new(config: StatusConfig, runtime: Runtime) -> Result<Self, StartError> {
        Ok(Self::with_policy(config, runtime, Policy::built_in()?))
    }

    /// Builds the function with another policy than the one compiled in, as a newer deployment would have.
    pub fn with_policy(config: StatusConfig, runtime: Runtime, policy: Arc<Policy>) -> Self {
        let table = &config.table;
        Self {
            table: Table::new(table.aws.dynamodb(), table.table.clone(), table.retention),
            policy,
            secrets: Secrets::new("status", config.secrets.clone(), &table.aws),
            controls: ControlsCache::new("status", config.checkpoint_max_age),
            config,
            runtime,
        }
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response {
        let mut log = RequestLog::of("status", &request, &self.runtime);
        let answered = self.answer(&request, &mut log).await;
        telemetry::answer(log, answered)
    }

    /// The table, for tests that count its requests.
    pub fn table(&self) -> &Table {
        &self.table
    }

    async fn answer(&self, request: &Request, log: &mut RequestLog<'_>) -> Result<Response, ApiError> {
        let Routed { call, name, open } = routes::route(request)?;
        log.route = name;
        match call {
            StatusCall::Live => Ok(health::live()),
            StatusCall::Ready if has_no_route(request) => Err(ApiError::new(Code::NotFound)),
            StatusCall::Ready => Ok(health::ready(self).await),
            StatusCall::Jobs => list_jobs::list_jobs(self, request, self.user(request, log).await?).await,
            StatusCall::Job => get_job::get_job(self, request, self.named_job(request, &open, log).await?).await,
            StatusCall::Step => {
                let job = known_job(self.named_job(request, &open, log).await?.job?)?;
                get_step::get_step(self, &job, open.text("place")).await
            }
            StatusCall::Audit => {
                let job = known_job(self.named_job(request, &open, log).await?.job?)?;
                audit::audit(self, &job).await
            }
            StatusCall::Conversations => {
                list_conversations::list_conversations(self, request, self.user(request, log).await?).await
            }
            StatusCall::Export => export::export(self, request, self.user(request, log).await?).await,
            StatusCall::Tools => Ok(tools::tools(self, &self.policy_context(request, log).await?)),
            StatusCall::Agents => Ok(agents::agents(self, &self.policy_context(request, log).await?)),
        }
    }

    /// The user of a request: the session is valid, and the user exists and has not revoked it.
    async fn user(&self, request: &Request, log: &mut RequestLog<'_>) -> Result<UserId, ApiError> {
        Ok(self.known(request, log).await?.0)
    }

    /// The same, with the user's item.
    async fn known(&self, request: &Request, log: &mut RequestLog<'_>) -> Result<(UserId, UserState), ApiError> {
        let session = self.session(request).await?;
        let user = session::alive(&session, &self.table).await?;
        log.user_id = Some(session.user_id);
        Ok((session.user_id, user))
    }

    /// The caller, and their job that the path names, by one request to the table (invariant 10).
    async fn named_job(
        &self,
        request: &Request,
        open: &PathParameters<'_>,
        log: &mut RequestLog<'_>,
    ) -> Result<OwnJob, ApiError> {
        let session = self.session(request).await?;
        let id = open.text("request_id").parse().ok();
        let own = session::alive_with_named_job(&session, &self.table, id).await?;
        (log.user_id, log.request_id) = (Some(session.user_id), id);
        Ok(own)
    }

    async fn session(&self, request: &Request) -> Result<Session, ApiError> {
        self.keys().await?.tokens.authenticate(request.headers(), self.runtime.now())
    }

    /// Reads the secrets at start, so that a function whose secrets are missing or invalid does not start.
    pub async fn load_secrets(&self) -> Result<(), SecretsError> {
        self.read_keys().await.map(drop)
    }

    async fn keys(&self) -> Result<Arc<StatusKeys>, ApiError> {
        self.read_keys().await.map_err(ApiError::unavailable)
    }

    async fn read_keys(&self) -> Result<Arc<StatusKeys>, SecretsError> {
        let make = |secrets: StatusSecrets| {
            let tokens = SessionTokens::new(secrets.sessions.verifier(&self.config.audience)?);
            Ok(StatusKeys { tokens, cursors: secrets.cursors })
        };
        self.secrets.get(&self.runtime, make).await
    }

    /// The user of a request, with the input of policy decisions.
    async fn policy_context(&self, request: &Request, log: &mut RequestLog<'_>) -> Result<PolicyContext, ApiError> {
        let (user_id, user) = self.known(request, log).await?;
        let controls = self.controls.of_user(&user, &self.policy, &self.table, &self.runtime).await;
        Ok(PolicyContext { user_id, groups: user.groups, controls })
    }
}

/// Whether API Gateway has no route of its own for the path, so that the request came through `$default`. A deployment
/// publishes no route for readiness, which shows what fails and reads the table for every caller: operators invoke the
/// function instead.
fn has_no_route(request: &Request) -> bool {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.route_key.as_deref() == Some("$default"),
        _ => false,
    }
}
