//! The functions of one process. All are built from one policy and one set of limits, and all are replaced together
//! while the process runs. A request or batch that has begun ends with the functions that it began with.

use std::sync::Arc;

use domain::policy::{OperatorPolicy, Policy, PolicyFiles};
use edge_auth::EdgeAuth;
use operator::Operator;
use platform::{config::OperatorConfig, metrics::history::History, runtime::Runtime};
use status::Status;
use sweep::Sweep;
use tokio::sync::watch;
use worker::Worker;

use crate::{
    disk::DiskGuard,
    emulation::{api_gateway::Functions, console::Console},
    host::{
        configs::Deployment,
        operators::OperatorKeyFault,
        service::{OperatorIssuer, ServiceError},
    },
};

/// What the functions need besides policy and limits. It stays when they are replaced.
#[derive(Debug)]
pub struct Surroundings {
    /// Clock, randomness and metrics.
    pub runtime: Runtime,
    /// The metrics for the operator's charts.
    pub history: History,
    /// The issuer of operators' tokens; without one, this host's own key.
    pub operators: Option<OperatorIssuer>,
    /// The operator's console.
    pub console: Option<Arc<Console>>,
    /// Refuses new jobs while the disk is nearly full.
    pub disk: DiskGuard,
}

/// The functions that answer now.
#[derive(Debug)]
pub struct CurrentFunctions {
    surroundings: Surroundings,
    pub(crate) front: watch::Sender<Functions>,
    pub(crate) worker: watch::Sender<Arc<Worker>>,
    pub(crate) sweep: watch::Sender<Arc<Sweep>>,
}

impl CurrentFunctions {
    /// Builds every function. A secrets document that cannot be used is an error, as on AWS.
    pub async fn build(
        deployment: &Deployment,
        policy: &PolicyFiles,
        surroundings: Surroundings,
    ) -> Result<Self, ServiceError> {
        let built = Built::new(deployment, policy, &surroundings)?;
        built.load_secrets().await?;
        Ok(Self {
            surroundings,
            front: watch::Sender::new(built.front),
            worker: watch::Sender::new(built.worker),
            sweep: watch::Sender::new(built.sweep),
        })
    }

    /// Replaces every function, or none if one of them cannot be built or its secrets cannot be used: the present
    /// functions still have the last valid document.
    pub async fn replace(&self, deployment: &Deployment, policy: &PolicyFiles) -> Result<(), ServiceError> {
        let built = Built::new(deployment, policy, &self.surroundings)?;
        built.load_secrets().await?;
        // The worker first: it would refuse a call of a new tool that edge-auth has just accepted.
        self.worker.send_replace(built.worker);
        self.sweep.send_replace(built.sweep);
        self.front.send_replace(built.front);
        Ok(())
    }
}

struct Built {
    front: Functions,
    worker: Arc<Worker>,
    sweep: Arc<Sweep>,
}

impl Built {
    fn new(deployment: &Deployment, files: &PolicyFiles, surroundings: &Surroundings) -> Result<Self, ServiceError> {
        let Surroundings { runtime, history, operators, console, disk } = surroundings;
        let policy = Arc::new(Policy::parse(files).map_err(refused("the policy"))?);
        let operators_policy = Arc::new(OperatorPolicy::parse(files).map_err(refused("the policy"))?);
        let edge_auth = EdgeAuth::with_policy(deployment.edge_auth(), runtime.clone(), Arc::clone(&policy));
        let operator = operator_config(deployment, runtime, operators.clone())?;
        let operator =
            Operator::with_policy(operator, runtime.clone(), history.clone(), Arc::clone(&policy), operators_policy);
        let front = Functions {
            edge_auth: Arc::new(edge_auth.map_err(refused("edge-auth"))?),
            status: Arc::new(Status::with_policy(deployment.status(), runtime.clone(), Arc::clone(&policy))),
            operator: Arc::new(operator.map_err(refused("operator"))?),
            console: console.clone(),
            runtime: runtime.clone(),
            disk: disk.clone(),
        };
        let worker = Worker::with_policy(deployment.worker(), runtime.clone(), Arc::clone(&policy))
            .map_err(refused("worker"))?;
        let sweep = Sweep::new(deployment.sweep(), runtime.clone()).map_err(refused("sweep"))?;
        let sweep = sweep.with_policy_version(files.version());
        Ok(Self { front, worker: Arc::new(worker), sweep: Arc::new(sweep) })
    }

    async fn load_secrets(&self) -> Result<(), ServiceError> {
        self.front.edge_auth.load_secrets().await.map_err(refused("edge-auth"))?;
        self.front.status.load_secrets().await.map_err(refused("status"))?;
        self.worker.load_secrets().await.map_err(refused("worker"))
    }
}

/// The accepted tokens: of the given issuer, or of this host's own key, which is made if it is missing.
fn operator_config(
    deployment: &Deployment,
    runtime: &Runtime,
    issuer: Option<OperatorIssuer>,
) -> Result<OperatorConfig, OperatorKeyFault> {
    match issuer {
        Some(OperatorIssuer { audience, jwks }) => Ok(OperatorConfig { audience, jwks, ..deployment.operator() }),
        None => {
            deployment.operator_key().keep(runtime)?;
            Ok(deployment.operator())
        }
    }
}

fn refused<E: std::error::Error + Send + Sync + 'static>(function: &'static str) -> impl FnOnce(E) -> ServiceError {
    move |error| ServiceError::Function { function, source: error.into() }
}
