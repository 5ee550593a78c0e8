//! What the service is started with.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use domain::{access::operator_token::OperatorAudience, policy::PolicyFiles};
use platform::{jwks::JwksSource, runtime::Runtime};

use crate::{
    emulation::console::ConsoleOptions,
    host::{alerts::AlertOptions, settings::Settings},
};

/// The login service.
#[derive(Clone)]
pub enum Login {
    /// The WeChat stub, with `dev-*` codes. Loopback only.
    Dev,
    /// WeChat.
    Wechat {
        /// URL of its API.
        base_url: String,
        /// The Mini Program's app id.
        app_id: String,
        /// The Mini Program's app secret.
        app_secret: String,
    },
}

impl Login {
    /// The app secret, where the operator gives it.
    pub(super) fn app_secret(&self) -> Option<String> {
        match self {
            Self::Dev => None,
            Self::Wechat { app_secret, .. } => Some(app_secret.clone()),
        }
    }
}

/// An issuer of operators' tokens outside this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorIssuer {
    /// Issuer, audience and roles claim of accepted tokens.
    pub audience: OperatorAudience,
    /// Where its keys are read from.
    pub jwks: JwksSource,
}

/// Options of the service.
#[derive(Clone)]
pub struct Options {
    /// The address to listen on; port 0 takes a free port.
    pub bind: SocketAddr,
    /// The data directory, with table and secrets.
    pub data: PathBuf,
    /// The login service.
    pub login: Login,
    /// The gateway's URL.
    pub gateway_base_url: String,
    /// The gateway's token.
    pub gateway_token: String,
    /// How many batches run concurrently.
    pub workers: usize,
    /// The interval of `sweep`.
    pub sweep_every: Duration,
    /// The port of Prometheus metrics on loopback; 0 takes a free port. Without it no metrics are served.
    pub metrics_port: Option<u16>,
    /// The issuer of the operators' tokens; without one, this host's own key.
    pub operators: Option<OperatorIssuer>,
    /// The operator's console.
    pub console: Option<ConsoleOptions>,
    /// Limits, lifetimes and retention.
    pub settings: Settings,
    /// The catalogue and the policies.
    pub policy: PolicyFiles,
    /// The unix socket on which a reverse proxy passes clients' requests on.
    pub socket: Option<PathBuf>,
    /// Free space in MiB below which new jobs are refused; 0 never refuses.
    pub min_free_mb: u64,
    /// Evaluates the alarms of one host, and sends them. Without it no alarm is evaluated.
    pub alerts: Option<AlertOptions>,
    /// Whether a new table begins in `full`. Otherwise it reads only until an operator opens it.
    pub opens_new_table: bool,
    /// Clock and randomness.
    pub runtime: Runtime,
}

impl Options {
    /// For development and tests: the WeChat stub, a free port on loopback, the system's clock.
    pub fn dev(data: PathBuf, gateway_base_url: String, gateway_token: String) -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            data,
            login: Login::Dev,
            gateway_base_url,
            gateway_token,
            workers: 4,
            sweep_every: Duration::from_secs(10),
            metrics_port: None,
            operators: None,
            console: None,
            settings: Settings::default(),
            policy: PolicyFiles::built_in(),
            socket: None,
            min_free_mb: 0,
            alerts: None,
            opens_new_table: true,
            runtime: Runtime::system(),
        }
    }
}
