//! The configuration of each function.

use std::time::Duration;

use super::{
    CheckpointTarget, ConfigError, Env, QueueConfig, TableConfig, audience, checkpoint_max_age, checkpoint_target,
    metrics_namespace, secrets,
};
use crate::{jwks::JwksSource, secrets::SecretSource};
use domain::{
    access::{operator_token::OperatorAudience, session::Audience},
    limits::{Rate, admission::Limits},
};

/// edge-auth's configuration.
#[derive(Debug, Clone)]
pub struct EdgeAuthConfig {
    /// The table.
    pub table: TableConfig,
    /// The queue.
    pub queue: QueueConfig,
    /// Where the secrets are.
    pub secrets: SecretSource,
    /// Who issues sessions.
    pub audience: Audience,
    /// How long a session lasts.
    pub session_lifetime: Duration,
    /// WeChat's API.
    pub wechat_base_url: String,
    /// The Mini Program's id.
    pub wechat_app_id: String,
    /// Limits of one user.
    pub limits: Limits,
    /// Logins from one address.
    pub login_rate: Rate,
    /// How old the last exported audit checkpoint may be when something destructive is done.
    pub checkpoint_max_age: Duration,
}

impl EdgeAuthConfig {
    /// From the environment.
    pub fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        let rate = |interval, default_ms, burst, default_burst| -> Result<Rate, ConfigError> {
            let burst = u32::try_from(env.number(burst, default_burst)?).unwrap_or(u32::MAX);
            Ok(Rate::new(Duration::from_millis(env.number(interval, default_ms)?), burst))
        };
        let places = |name, default| env.number(name, default).map(|many| usize::try_from(many).unwrap_or(usize::MAX));
        Ok(Self {
            table: TableConfig::from_env(env)?,
            queue: QueueConfig::from_env(env)?,
            secrets: secrets(env)?,
            audience: audience(env)?,
            session_lifetime: env.seconds("SESSION_LIFETIME_S", 7200)?,
            wechat_base_url: env.url("WECHAT_BASE_URL")?,
            wechat_app_id: env.text("WECHAT_APP_ID")?,
            limits: Limits {
                submissions: rate("SUBMIT_INTERVAL_MS", 500, "SUBMIT_BURST", 20)?,
                in_flight: places("MAX_IN_FLIGHT", 16)?,
                in_flight_long: places("MAX_IN_FLIGHT_LONG", 3)?,
                conversations: places("MAX_CONVERSATIONS", 100)?,
            },
            login_rate: rate("LOGIN_INTERVAL_MS", 2000, "LOGIN_BURST", 60)?,
            checkpoint_max_age: checkpoint_max_age(env)?,
        })
    }
}

/// status's configuration.
#[derive(Debug, Clone)]
pub struct StatusConfig {
    /// The table.
    pub table: TableConfig,
    /// Where the secrets are.
    pub secrets: SecretSource,
    /// Who issues sessions.
    pub audience: Audience,
    /// The longest poll. A held poll on Lambda costs as much as 25 short ones, so it is short there.
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
            long_poll_cap: env.seconds("LONG_POLL_MAX_S", 3)?,
            checkpoint_max_age: checkpoint_max_age(env)?,
        })
    }
}

/// The worker's configuration.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The table.
    pub table: TableConfig,
    /// The queue.
    pub queue: QueueConfig,
    /// Where the secrets are.
    pub secrets: SecretSource,
    /// The gateway.
    pub openclaw_base_url: String,
    /// Whether writes may go to a gateway without a journal, where any doubt ends as `unknown`.
    pub unjournaled_writes: bool,
    /// How many jobs of one batch run at once.
    pub concurrency: usize,
    /// How old the last exported audit checkpoint may be when something destructive is done.
    pub checkpoint_max_age: Duration,
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
            concurrency: usize::try_from(env.number("WORKER_CONCURRENCY", 4)?).unwrap_or(1).max(1),
            checkpoint_max_age: checkpoint_max_age(env)?,
        })
    }
}

/// sweep's configuration.
#[derive(Debug, Clone)]
pub struct SweepConfig {
    /// The table.
    pub table: TableConfig,
    /// The queue.
    pub queue: QueueConfig,
    /// The gateway, asked for its health without a credential.
    pub openclaw_base_url: String,
    /// How many jobs one run wakes at most.
    pub wakes_per_run: usize,
    /// Where the secrets are.
    pub secrets: SecretSource,
    /// How often the ends of the audit chains are signed.
    pub checkpoint_every: Duration,
    /// How many ends one checkpoint names at most.
    pub ends_per_checkpoint: usize,
    /// Where checkpoints are exported to.
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
            checkpoint_every: env.seconds("CHECKPOINT_EVERY_S", 300)?,
            ends_per_checkpoint: domain::audit::checkpoint::MOST_ENDS,
            checkpoints_to: checkpoint_target(env)?,
        })
    }
}

/// operator's configuration. It has no secret: operators' keys are public, and their lists' cursors only name places.
#[derive(Debug, Clone)]
pub struct OperatorConfig {
    /// The table.
    pub table: TableConfig,
    /// The queue.
    pub queue: QueueConfig,
    /// Where messages are that no worker could handle.
    pub dead_letter_queue_url: String,
    /// Whose tokens count.
    pub audience: OperatorAudience,
    /// Where the keys are that sign them.
    pub jwks: JwksSource,
    /// How old the last exported audit checkpoint may be when something destructive is done.
    pub checkpoint_max_age: Duration,
    /// The namespace of CloudWatch's metrics, for the charts; without one there are none.
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
            metrics_namespace: metrics_namespace(env)?,
        })
    }
}
