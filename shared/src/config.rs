//! The environment, read once at start. The only reader of environment variables.
//!
//! A missing or unreadable value stops the function with the variable's name. There is no fallback to anything fake.

use std::{path::PathBuf, time::Duration};

use aws_credential_types::Credentials;

use crate::{
    admission::Limits, aws::AwsSettings, jwks::JwksSource, operator::OperatorAudience, rate_limit::Rate,
    secrets::SecretSource, session::Audience,
};

/// A variable that stops the start.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// It is not there.
    #[error("the environment variable {0} is needed")]
    Missing(&'static str),
    /// None of two is there, or both are.
    #[error("exactly one of the environment variables {0} and {1} is needed")]
    OneOf(&'static str, &'static str),
    /// It cannot be read.
    #[error("the environment variable {name} must be {expected}")]
    Invalid {
        /// Its name.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

/// What finds a variable by its name.
type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Looks variables up.
pub struct Env<'a>(Box<Lookup<'a>>);

impl std::fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}

impl<'a> Env<'a> {
    /// The process's own environment.
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
    pub fn process() -> Self {
        Self(Box::new(|name| std::env::var(name).ok().filter(|value| !value.is_empty())))
    }

    /// Any other.
    pub fn from_fn(lookup: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self(Box::new(lookup))
    }

    fn text(&self, name: &'static str) -> Result<String, ConfigError> {
        self.0(name).ok_or(ConfigError::Missing(name))
    }

    fn number(&self, name: &'static str, default: u64) -> Result<u64, ConfigError> {
        match self.0(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| ConfigError::Invalid { name, expected: "a whole number" }),
        }
    }

    fn switch(&self, name: &'static str, default: bool) -> Result<bool, ConfigError> {
        match self.0(name).as_deref() {
            None => Ok(default),
            Some("on") => Ok(true),
            Some("off") => Ok(false),
            Some(_) => Err(ConfigError::Invalid { name, expected: "on or off" }),
        }
    }

    fn url(&self, name: &'static str) -> Result<String, ConfigError> {
        let text = self.text(name)?;
        let parsed = reqwest::Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        parsed
            .map(|_| text.trim_end_matches('/').to_owned())
            .ok_or(ConfigError::Invalid { name, expected: "an http or https URL" })
    }

    fn seconds(&self, name: &'static str, default: u64) -> Result<Duration, ConfigError> {
        self.number(name, default).map(Duration::from_secs)
    }
}

/// The namespace of CloudWatch's metrics, `METRICS_NAMESPACE`. Without one nothing is measured.
pub fn metrics_namespace(env: &Env<'_>) -> Result<Option<String>, ConfigError> {
    let legal = |text: &String| {
        let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#:".contains(&byte);
        text.len() <= 255 && text.bytes().all(of_a_name) && !text.starts_with("AWS/") && !text.starts_with(':')
    };
    let expected = "up to 255 of the letters, digits and .-_/#: that CloudWatch takes, and not begin with AWS/";
    match env.0("METRICS_NAMESPACE") {
        None => Ok(None),
        Some(text) if legal(&text) => Ok(Some(text)),
        Some(_) => Err(ConfigError::Invalid { name: "METRICS_NAMESPACE", expected }),
    }
}

/// What every function that touches the table needs.
#[derive(Debug, Clone)]
pub struct TableConfig {
    /// Where AWS is.
    pub aws: AwsSettings,
    /// The table's name.
    pub table: String,
    /// How long records outlive their job. Longer than the age window of request ids.
    pub retention: Duration,
}

impl TableConfig {
    /// `TABLE_NAME`, `RETENTION_DAYS`, and the standard `AWS_*`.
    pub fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        let days = env.number("RETENTION_DAYS", 30)?;
        if !(2..=3650).contains(&days) {
            return Err(ConfigError::Invalid { name: "RETENTION_DAYS", expected: "2 to 3650" });
        }
        Ok(Self { aws: aws(env)?, table: env.text("TABLE_NAME")?, retention: Duration::from_secs(days * 86_400) })
    }
}

/// The standard `AWS_*`.
pub fn aws(env: &Env<'_>) -> Result<AwsSettings, ConfigError> {
    let endpoint = |name: &str| env.0(name).or_else(|| env.0("AWS_ENDPOINT_URL"));
    Ok(AwsSettings {
        region: env.text("AWS_REGION")?,
        dynamodb_endpoint: endpoint("AWS_ENDPOINT_URL_DYNAMODB"),
        sqs_endpoint: endpoint("AWS_ENDPOINT_URL_SQS"),
        secrets_manager_endpoint: endpoint("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
        s3_endpoint: endpoint("AWS_ENDPOINT_URL_S3"),
        cloudwatch_endpoint: endpoint("AWS_ENDPOINT_URL_CLOUDWATCH"),
        credentials: Credentials::new(
            env.text("AWS_ACCESS_KEY_ID")?,
            env.text("AWS_SECRET_ACCESS_KEY")?,
            env.0("AWS_SESSION_TOKEN"),
            None,
            "environment",
        ),
        http_client: None,
    })
}

/// `SECRETS_FILE` on one host, `SECRET_ID` in the cloud.
fn secrets(env: &Env<'_>) -> Result<SecretSource, ConfigError> {
    let (file, id) = ("SECRETS_FILE", "SECRET_ID");
    match (env.0(file), env.0(id)) {
        (Some(path), None) => Ok(SecretSource::File(path.into())),
        (None, Some(id)) => Ok(SecretSource::Manager(id)),
        (None, None) | (Some(_), Some(_)) => Err(ConfigError::OneOf(file, id)),
    }
}

/// What every function that rings needs.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// The queue's address.
    pub url: String,
    /// Whether messages carry their user as message group.
    pub fair: bool,
}

impl QueueConfig {
    /// `QUEUE_URL`, `FAIR_QUEUE`.
    pub fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        Ok(Self { url: env.text("QUEUE_URL")?, fair: env.switch("FAIR_QUEUE", true)? })
    }
}

/// `SESSION_ISSUER`, `SESSION_AUDIENCE`.
fn audience(env: &Env<'_>) -> Result<Audience, ConfigError> {
    Ok(Audience { issuer: env.text("SESSION_ISSUER")?, audience: env.text("SESSION_AUDIENCE")? })
}

/// `CHECKPOINT_MAX_AGE_S`: how old the last exported audit checkpoint may be when something destructive is done. A day at
/// most: what is proven a day late is not proven.
fn checkpoint_max_age(env: &Env<'_>) -> Result<Duration, ConfigError> {
    let age = env.seconds("CHECKPOINT_MAX_AGE_S", CHECKPOINT_MAX_AGE_S)?;
    if !(1..=86_400).contains(&age.as_secs()) {
        return Err(ConfigError::Invalid { name: "CHECKPOINT_MAX_AGE_S", expected: "1 to 86400" });
    }
    Ok(age)
}

/// `CHECKPOINT_MAX_AGE_S` where nothing is said: three of the sweeper's checkpoints.
pub const CHECKPOINT_MAX_AGE_S: u64 = 900;

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
                in_flight: usize::try_from(env.number("MAX_IN_FLIGHT", 16)?).unwrap_or(usize::MAX),
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

/// Where checkpoints are exported to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointTarget {
    /// A directory: `CHECKPOINT_DIR`.
    Directory(PathBuf),
    /// A bucket of S3: `CHECKPOINT_BUCKET`.
    Bucket(String),
}

/// `CHECKPOINT_DIR` on one host, `CHECKPOINT_BUCKET` in the cloud.
fn checkpoint_target(env: &Env<'_>) -> Result<CheckpointTarget, ConfigError> {
    let (directory, bucket) = ("CHECKPOINT_DIR", "CHECKPOINT_BUCKET");
    match (env.0(directory), env.0(bucket)) {
        (Some(path), None) => Ok(CheckpointTarget::Directory(path.into())),
        (None, Some(name)) => Ok(CheckpointTarget::Bucket(name)),
        (None, None) | (Some(_), Some(_)) => Err(ConfigError::OneOf(directory, bucket)),
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
    /// How many jobs one run rings at most.
    pub rings_per_run: usize,
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
            rings_per_run: usize::try_from(env.number("SWEEP_RINGS_PER_RUN", 500)?).unwrap_or(500),
            secrets: secrets(env)?,
            checkpoint_every: env.seconds("CHECKPOINT_EVERY_S", 300)?,
            ends_per_checkpoint: crate::checkpoint::MOST_ENDS,
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

#[cfg(test)]
mod tests;
