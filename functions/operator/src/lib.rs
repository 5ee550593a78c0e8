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
        Answer, ApiError, Code,
        routes::{self, OperatorCall, Routed},
    },
    jwks::{BadJwksClient, Jwks},
    metrics::history::History,
    queue::Queue,
    runtime::World,
    telemetry::{self, Asked},
};
use store::{Table, TableError};

mod approvals;
mod audit;
mod caller;
mod charts;
mod controls;
mod dead_letters;
mod jobs;
mod lists;
mod me;
mod one_job;
mod resolution;
mod users;
mod words;

use charts::Charts;

/// The function, wired.
#[derive(Debug)]
pub struct Operator {
    config: OperatorConfig,
    world: World,
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
    pub fn new(config: OperatorConfig, world: World) -> Result<Self, StartError> {
        let charts = Charts::of(&config);
        Self::with_charts(config, world, charts)
    }

    /// The same, with charts from what this process has measured itself.
    pub fn remembering(config: OperatorConfig, world: World, history: History) -> Result<Self, StartError> {
        Self::with_charts(config, world, Charts::Memory(history))
    }

    fn with_charts(config: OperatorConfig, world: World, charts: Charts) -> Result<Self, StartError> {
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
            world,
        })
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Answer {
        let mut asked = Asked::of("operator", &request, &self.world);
        // In a box: the compiler gives up on a future of so many futures.
        let answered = Box::pin(self.answer(&request, &mut asked)).await;
        telemetry::answer(asked, answered)
    }

    async fn answer(&self, request: &Request, asked: &mut Asked<'_>) -> Result<Answer, ApiError> {
        let Routed { call, name, open } = routes::route(request)?;
        asked.route = name;
        // No path of an operator leaves more than one segment open.
        let open = open.iter().next().map_or("", |(_, segment)| segment);
        let caller = &self.caller(request.headers(), call, asked).await?;
        match call {
            OperatorCall::Me => Ok(me::me(self, caller)),
            OperatorCall::AddOwnUser => me::add_user(self, caller, request).await,
            OperatorCall::Approvals => approvals::list(self, caller, request).await,
            OperatorCall::Jobs => jobs::by_state(self, request).await,
            OperatorCall::Job => one_job::show(self, open, asked).await,
            OperatorCall::Decide => approvals::decide(self, caller, request, open, asked).await,
            OperatorCall::Resolve => resolution::resolve(self, caller, request, open, asked).await,
            OperatorCall::UserJobs => jobs::of_user(self, request, open, asked).await,
            OperatorCall::Revoke => users::revoke(self, caller, request, open, asked).await,
            OperatorCall::Groups => users::set_groups(self, caller, request, open, asked).await,
            OperatorCall::Refusals => users::refusals(self, open, asked).await,
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
    match error {
        TableError::Unavailable { .. } | TableError::Contended(_) => ApiError::unavailable(error),
        TableError::Malformed(_) => ApiError::new(Code::Internal).because(error),
    }
}
