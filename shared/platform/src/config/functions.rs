//! The configuration of each function.

use std::time::Duration;

use super::{
    CheckpointTarget, ConfigError, Env, QueueConfig, TableConfig, audience, checkpoint_max_age, checkpoint_target,
    cloud_metrics, defaults, secrets,
};
use crate::{jwks::JwksSource, metrics::emf::CloudMetrics, secrets::SecretSource};
use domain::{
    access::{operator_token::OperatorAudience, session::Audience},
    alarms::Level,
    limits::{Rate, admission::Limits},
};

/// Configuration of edge-auth.
#[derive(Debug, Clone)]
pub struct EdgeAuthConfig {
    /// The table.
    pub table: TableConfig,
    /// The queue.
    pub queue: QueueConfig,
    /// Source of the secrets.
    pub secrets: SecretSource,
    /// Issuer and audience of sessions.
    pub audience: Audience,
    /// Lifetime of a session.
    pub session_lifetime: Duration,
    /// WeChat's API.
    pub wechat_base_url: String,
    /// The Mini Program's id.
    pub wechat_app_id: String,
    /// Limits of one user.
    pub limits: Limits,
    /// Rate of logins from one address.
    pub login_rate: Rate,
    /// Maximum age of the last exported audit checkpoint for a destructive call.
    pub checkpoint_max_age: Duration,
}

impl EdgeAuthConfig {
    /// From the environment.
    pub fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        let rate = |interval, default_ms, burst, default_burst| -> Result<Rate, ConfigError> {
            let burst = u32::try_from(env.number(burst, u64::from(default_burst))?).unwrap_or(u32::MAX);
            Ok(Rate::new(Duration::from_millis(env.number(interval, default_ms)?), burst))
        };
        let places = |name, default: u16| {
            env.number(name, default.into()).map(|many| usize::try_from(many).unwrap_or(usize::MAX))
        };
        Ok(Self {
            table: TableConfig::from_env(env)?,
            queue: QueueConfig::from_env(env)?,
            secrets: secrets(env)?,
            audience: audience(env)?,
            session_lifetime: env.seconds("SESSION_LIFETIME_S", defaults::SESSION_LIFETIME_S)?,
            wechat_base_url: env.url("WECHAT_BASE_URL")?,
            wechat_app_id: env.text("WECHAT_APP_ID")?,
            limits: Limits {
                submissions: rate(
                    "SUBMIT_INTERVAL_MS",
                    defaults::SUBMIT_INTERVAL_MS,
                    "SUBMIT_BURST",
                    defaults::SUBMIT_BURST,
                )?,
                in_flight: places("MAX_IN_FLIGHT", defaults::MAX_IN_FLIGHT)?,
                in_flight_long: places("MAX_IN_FLIGHT_LONG", defaults::MAX_IN_FLIGHT_LONG)?,
                conversations: places("MAX_CONVERSATIONS", defaults::MAX_CONVERSATIONS)?,
            },
            login_rate: rate("LOGIN_INTERVAL_MS", defaults::LOGIN_INTERVAL_MS, "LOGIN_BURST", defaults::LOGIN_BURST)?,
            checkpoint_max_age: checkpoint_max_age(env)?,
        })
    }
}

/// Configuration of status.
#[derive(Debug, Clone)]
pub struct StatusConfig {
    /// The table.
    pub table: TableConfig,
    /// Source of the secrets.
    pub secrets: SecretSource,
    /// Issuer and audience of sessions.
    pub audience: Audience,
    /// Maximum duration of a long poll. A held poll on Lambda costs as much as 25 short ones, so it is short there.
    pub long_poll_cap: Duration,
    /// How old the last exported audit checkpoint may be when something destructive is done.
    pub checkpoint_max_age: Duration,
}

impl StatusConfig {
    /// From the environment.
    pub fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            table: TableConfig::from_env(env)?,
            secrets: secrets(env)?,
            audience: audience(env)?,
            long_poll_cap: env.seconds("LONG_POLL_MAX_S", defaults::LONG_POLL_MAX_S)?,
            checkpoint_max_age: checkpoint_max_age(env)?,
        })
    }
}

/// Configuration of the worker.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The table.
    pub table: TableConfig,
    /// The queue.
    pub queue: QueueConfig,
    /// Source of the secrets.
    pub secrets: SecretSource,
    /// URL of the gateway.
    pub openclaw_base_url: String,
    /// Whether writes may be sent to a gateway without a journal. Every lost response then ends as `unknown`.
    pub unjournaled_writes: bool,
    /// Number of jobs of one batch that run concurrently.
    pub concurrency: usize,
    /// Maximum age of the last exported audit checkpoint for a destructive call.
    pub checkpoint_max_age: Duration,
    /// WeChat's API, for notifications.
    pub wechat_base_url: String,
    /// The Mini Program's id.
    pub wechat_app_id: String,
}

impl WorkerConfig {
    /// From the environment.
    pub fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            table: TableConfig::from_env(env)?,
            queue: QueueConfig::from_env(env)?,
            secrets: secrets(env)?,
            openclaw_base_url: env.url("OPENCLAW_BASE_URL")?,
            unjournaled_writes: env.switch("UNJOURNALED_WRITES", false)?,
            concurrency: usize::try_from(env.number("WORKER_CONCURRENCY", defaults::WORKER_CONCURRENCY.into())?)
                .unwrap_or(1)
                .max(1),
            checkpoint_max_age: checkpoint_max_age(env)?,
            wechat_base_url: env.url("WECHAT_BASE_URL")?,
            wechat_app_id: env.text("WECHAT_APP_ID")?,
        })
    }
}

/// Configuration of sweep.
#[derive(Debug, Clone)]
pub struct SweepConfig {
    /// The table.
    pub table: TableConfig,
    /// The queue.
    pub queue: QueueConfig,
    /// URL of the gateway, whose health is checked without a token.
    pub openclaw_base_url: String,
    /// Maximum number of jobs that one run wakes.
    pub wakes_per_run: usize,
    /// Source of the secrets.
    pub secrets: SecretSource,
    /// Interval of checkpoints.
    pub checkpoint_every: Duration,
    /// Maximum number of heads in one checkpoint.
    pub ends_per_checkpoint: usize,
    /// Target of exported checkpoints.
    pub checkpoints_to: CheckpointTarget,
}

impl SweepConfig {
    /// From the environment.
    pub fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            table: TableConfig::from_env(env)?,
            queue: QueueConfig::from_env(env)?,
            openclaw_base_url: env.url("OPENCLAW_BASE_URL")?,
            wakes_per_run: usize::try_from(env.number("SWEEP_RINGS_PER_RUN", 3000)?).unwrap_or(3000),
            secrets: secrets(env)?,
            checkpoint_every: env.seconds("CHECKPOINT_EVERY_S", defaults::CHECKPOINT_EVERY_S)?,
            ends_per_checkpoint: domain::audit::checkpoint::MOST_ENDS,
            checkpoints_to: checkpoint_target(env)?,
        })
    }
}

/// Configuration of operator. It has no secret: the operators' keys are public, and cursors of their lists are not
/// sealed.
#[derive(Debug, Clone)]
pub struct OperatorConfig {
    /// The table.
    pub table: TableConfig,
    /// The queue.
    pub queue: QueueConfig,
    /// URL of the dead-letter queue.
    pub dead_letter_queue_url: String,
    /// The accepted issuer and audience of operators' tokens.
    pub audience: OperatorAudience,
    /// Location of the issuer's keys.
    pub jwks: JwksSource,
    /// Maximum age of the last exported audit checkpoint for a destructive call.
    pub checkpoint_max_age: Duration,
    /// Namespace of CloudWatch's metrics, for the charts; `None` where they are not published: they are at level `full`.
    pub metrics_namespace: Option<String>,
}

impl OperatorConfig {
    /// From the environment.
    pub fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        let jwks = JwksSource::parse(&env.text("OPERATOR_JWKS")?);
        let expected = "an https URL, an http URL on loopback, or an absolute path";
        Ok(Self {
            table: TableConfig::from_env(env)?,
            queue: QueueConfig::from_env(env)?,
            dead_letter_queue_url: env.text("DEAD_LETTER_QUEUE_URL")?,
            audience: OperatorAudience {
                issuer: env.text("OPERATOR_ISSUER")?,
                audience: env.text("OPERATOR_AUDIENCE")?,
                roles_claim: env.0("OPERATOR_ROLES_CLAIM").unwrap_or_else(|| "roles".to_owned()),
            },
            jwks: jwks.ok_or(ConfigError::Invalid { name: "OPERATOR_JWKS", expected })?,
            checkpoint_max_age: checkpoint_max_age(env)?,
            metrics_namespace: charts(cloud_metrics(env)?),
        })
    }
}

/// The namespace that charts are drawn from: the series of level `basic` are too few for them.
fn charts(published: Option<CloudMetrics>) -> Option<String> {
    published.filter(|published| published.level == Level::Full).map(|published| published.namespace)
}
