//! operator: every call of an operator. One file per use case; this one routes and logs.
//!
//! Operators have a token of their own issuer ([`caller`]); `policy/operators.cedar` says what their roles permit.
//! Every write is first recorded in the operators' side chain and then done, so that no action can lack its record. A
//! repeated request (a decision, a resolution, a mode that is set already) gets the same response as the first and is
//! recorded once.

use std::sync::Arc;

use domain::policy::{OperatorPolicy, Policy, PolicyFault};
use lambda_http::Request;
use platform::{
    config::OperatorConfig,
    http::{
        ApiError, Response,
        routes::{self, OperatorCall, Routed},
    },
    jwks::{BadJwksClient, Jwks},
    metrics::history::History,
    queue::{DeadLetterQueue, Queue},
    runtime::Runtime,
    telemetry::{self, RequestLog},
};
use service::jobs::Jobs;
use store::Table;

mod approvals;
mod audit;
mod caller;
mod charts;
mod controls;
mod dead_letters;
mod erasures;
mod get_job;
mod held_texts;
mod jobs;
mod me;
mod pages;
mod request_body;
mod resolution;
mod users;

pub use charts::BadCloudWatchClient;
use charts::Charts;

/// The function with its clients and caches.
#[derive(Debug)]
pub struct Operator {
    config: OperatorConfig,
    runtime: Runtime,
    table: Table,
    queue: Queue,
    dead_letters: DeadLetterQueue,
    policy: Arc<Policy>,
    operators: Arc<OperatorPolicy>,
    jwks: Jwks,
    charts: Charts,
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A policy file is invalid.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
    /// The HTTP client for the operators' keys (JWKS) could not be built.
    #[error(transparent)]
    Client(#[from] BadJwksClient),
    /// The HTTP client for the charts could not be built.
    #[error(transparent)]
    Charts(#[from] BadCloudWatchClient),
}

impl Operator {
    /// Builds the function and every client once. Charts come from CloudWatch, if its namespace is configured.
    pub fn new(config: OperatorConfig, runtime: Runtime) -> Result<Self, StartError> {
        let charts = Charts::of(&config)?;
        Self::with(config, runtime, charts, Policy::built_in()?, OperatorPolicy::built_in()?)
    }

    /// The same, with charts from the metrics that this process has kept in memory.
    pub fn remembering(config: OperatorConfig, runtime: Runtime, history: History) -> Result<Self, StartError> {
        Self::with_policy(config, runtime, history, Policy::built_in()?, OperatorPolicy::built_in()?)
    }

    /// The same, with other policies than those compiled in, as a newer deployment would have.
    pub fn with_policy(
        config: OperatorConfig,
        runtime: Runtime,
        history: History,
        policy: Arc<Policy>,
        operators: Arc<OperatorPolicy>,
    ) -> Result<Self, StartError> {
        Self::with(config, runtime, Charts::Memory(history), policy, operators)
    }

    fn with(
        config: OperatorConfig,
        runtime: Runtime,
        charts: Charts,
        policy: Arc<Policy>,
        operators: Arc<OperatorPolicy>,
    ) -> Result<Self, StartError> {
        let (aws, queue) = (&config.table.aws, &config.queue);
        Ok(Self {
            table: Table::new(aws.dynamodb(), config.table.table.clone(), config.table.retention),
            queue: Queue::new(aws.sqs(), queue.url.clone(), queue.fair),
            dead_letters: DeadLetterQueue::new(aws.sqs(), config.dead_letter_queue_url.clone()),
            policy,
            operators,
            jwks: Jwks::new(config.jwks.clone())?,
            charts,
            config,
            runtime,
        })
    }

    /// The use cases of a job that other functions have, too.
    fn jobs(&self) -> Jobs<'_> {
        let Self { table, queue, runtime, policy, .. } = self;
        Jobs { table, queue, runtime, policy, function: "operator" }
    }

    /// The table, for tests that count its requests.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response {
        let mut log = RequestLog::of("operator", &request, &self.runtime);
        // Boxed: the compiler cannot handle so deeply nested a future otherwise.
        let answered = Box::pin(self.answer(&request, &mut log)).await;
        telemetry::answer(log, answered)
    }

    async fn answer(&self, request: &Request, log: &mut RequestLog<'_>) -> Result<Response, ApiError> {
        let Routed { call, name, open } = routes::route(request)?;
        log.route = name;
        // No path of an operator has more than one parameter.
        let open = open.iter().next().map_or("", |(_, segment)| segment);
        let caller = &self.caller(request.headers(), call, log).await?;
        match call {
            OperatorCall::Me => Ok(me::me(self, caller)),
            OperatorCall::AddOwnUser => me::add_user(self, caller, request).await,
            OperatorCall::Approvals => approvals::list(self, caller, request).await,
            OperatorCall::HeldTexts => held_texts::list(self, caller, request).await,
            OperatorCall::Jobs => jobs::by_state(self, request).await,
            OperatorCall::Job => get_job::show(self, open, log).await,
            OperatorCall::Decide => approvals::decide(self, caller, request, open, log).await,
            OperatorCall::HeldText => held_texts::show(self, caller, open, log).await,
            OperatorCall::DecideText => held_texts::decide(self, caller, request, open, log).await,
            OperatorCall::Resolve => resolution::resolve(self, caller, request, open, log).await,
            OperatorCall::UserJobs => jobs::of_user(self, request, open, log).await,
            OperatorCall::Revoke => users::revoke(self, caller, request, open, log).await,
            OperatorCall::Groups => users::set_groups(self, caller, request, open, log).await,
            OperatorCall::Refusals => users::refusals(self, open, log).await,
            OperatorCall::Erasures => erasures::list(self, request).await,
            OperatorCall::DeadLetters => dead_letters::count(self).await,
            OperatorCall::Controls => controls::show(self).await,
            OperatorCall::SetMode => controls::set_mode(self, caller, request).await,
            OperatorCall::SetTool => controls::set_tool(self, caller, request, open).await,
            OperatorCall::OpenTool => controls::open_tool(self, caller, request, open).await,
            OperatorCall::Audit => audit::operators(self, request).await,
            OperatorCall::Checkpoints => audit::checkpoints(self, request).await,
            OperatorCall::Metrics => charts::show(self, request).await,
        }
    }
}
