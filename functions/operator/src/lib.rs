//! operator: what operators see and do. One file per use case; this one routes, and logs.
//!
//! Operators come with a token of their own issuer ([`caller`]); what their roles permit stands in `policy/operators.cedar`.
//! Every write is a record of the chain of what operators did first, and then done: nothing is done untold. What repeats
//! itself (a decision, a resolution, a mode that is set already) is answered as the first time, and recorded once.

use domain::policy::{OperatorPolicy, Policy, PolicyFault};
use lambda_http::Request;
use platform::{
    config::OperatorConfig,
    dead_letters::DeadLetters,
    http::{
        ApiError, Response,
        routes::{self, OperatorCall, Routed},
    },
    jwks::{BadJwksClient, Jwks},
    metrics::history::History,
    queue::Queue,
    runtime::Runtime,
    telemetry::{self, RequestLog},
};
use store::{Table, TableError};

mod approvals;
mod audit;
mod caller;
mod charts;
mod controls;
mod dead_letters;
mod get_job;
mod jobs;
mod me;
mod pages;
mod request_body;
mod resolution;
mod users;

use charts::Charts;

/// The function, wired.
#[derive(Debug)]
pub struct Operator {
    config: OperatorConfig,
    runtime: Runtime,
    table: Table,
    queue: Queue,
    dead: DeadLetters,
    policy: Policy,
    operators: OperatorPolicy,
    jwks: Jwks,
    charts: Charts,
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A policy file that is wrong.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
    /// No HTTP client for the operators' keys.
    #[error(transparent)]
    Client(#[from] BadJwksClient),
}

impl Operator {
    /// Wires it; builds every client once. Charts are drawn from CloudWatch, if its namespace is known.
    pub fn new(config: OperatorConfig, runtime: Runtime) -> Result<Self, StartError> {
        let charts = Charts::of(&config);
        Self::with_charts(config, runtime, charts)
    }

    /// The same, with charts from what this process has measured itself.
    pub fn remembering(config: OperatorConfig, runtime: Runtime, history: History) -> Result<Self, StartError> {
        Self::with_charts(config, runtime, Charts::Memory(history))
    }

    fn with_charts(config: OperatorConfig, runtime: Runtime, charts: Charts) -> Result<Self, StartError> {
        let (aws, queue) = (&config.table.aws, &config.queue);
        Ok(Self {
            table: Table::new(aws.dynamodb(), config.table.table.clone(), config.table.retention),
            queue: Queue::new(aws.sqs(), queue.url.clone(), queue.fair),
            dead: DeadLetters::new(aws, config.dead_letter_queue_url.clone()),
            policy: Policy::built_in()?,
            operators: OperatorPolicy::built_in()?,
            jwks: Jwks::new(config.jwks.clone())?,
            charts,
            config,
            runtime,
        })
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response {
        let mut log = RequestLog::of("operator", &request, &self.runtime);
        // In a box: the compiler gives up on a future of so many futures.
        let answered = Box::pin(self.answer(&request, &mut log)).await;
        telemetry::answer(log, answered)
    }

    async fn answer(&self, request: &Request, log: &mut RequestLog<'_>) -> Result<Response, ApiError> {
        let Routed { call, name, open } = routes::route(request)?;
        log.route = name;
        // No path of an operator leaves more than one segment open.
        let open = open.iter().next().map_or("", |(_, segment)| segment);
        let caller = &self.caller(request.headers(), call, log).await?;
        match call {
            OperatorCall::Me => Ok(me::me(self, caller)),
            OperatorCall::AddOwnUser => me::add_user(self, caller, request).await,
            OperatorCall::Approvals => approvals::list(self, caller, request).await,
            OperatorCall::Jobs => jobs::by_state(self, request).await,
            OperatorCall::Job => get_job::show(self, open, log).await,
            OperatorCall::Decide => approvals::decide(self, caller, request, open, log).await,
            OperatorCall::Resolve => resolution::resolve(self, caller, request, open, log).await,
            OperatorCall::UserJobs => jobs::of_user(self, request, open, log).await,
            OperatorCall::Revoke => users::revoke(self, caller, request, open, log).await,
            OperatorCall::Groups => users::set_groups(self, caller, request, open, log).await,
            OperatorCall::Refusals => users::refusals(self, open, log).await,
            OperatorCall::DeadLetters => dead_letters::list(self).await,
            OperatorCall::Replay => dead_letters::replay(self, caller, request).await,
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

/// A table that does not answer passes; an item of the wrong shape does not.
fn fault(error: TableError) -> ApiError {
    ApiError::from(error)
}
