//! The configuration, read from the environment once at start: here what several functions need, in `functions` the
//! rest. Only `env` reads variables.
//!
//! A missing or invalid variable stops the function; the error has its name. No variable falls back to a fake
//! service.

use std::{path::PathBuf, time::Duration};

use aws_credential_types::Credentials;

use crate::{aws::AwsSettings, metrics::emf::CloudMetrics, secrets::SecretSource};
use domain::{access::session::Audience, alarms::Level};

pub mod defaults;
mod env;
mod functions;

pub use env::{ConfigError, Env};
pub use functions::{EdgeAuthConfig, OperatorConfig, StatusConfig, SweepConfig, WorkerConfig};

/// `METRICS_NAMESPACE`, the namespace in CloudWatch, and `METRICS_LEVEL`, `basic` or `full`, which is the default.
/// Without a namespace nothing is measured.
pub fn cloud_metrics(env: &Env<'_>) -> Result<Option<CloudMetrics>, ConfigError> {
    let level = match env.0("METRICS_LEVEL").as_deref() {
        None | Some("full") => Level::Full,
        Some("basic") => Level::Basic,
        Some(_) => return Err(ConfigError::Invalid { name: "METRICS_LEVEL", expected: "basic or full" }),
    };
    Ok(metrics_namespace(env)?.map(|namespace| CloudMetrics { namespace, level }))
}

fn metrics_namespace(env: &Env<'_>) -> Result<Option<String>, ConfigError> {
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

/// `RELEASE`, the name of the deployment. Absent outside the cloud.
pub fn release(env: &Env<'_>) -> Option<String> {
    env.0("RELEASE")
}

/// Configuration of access to the table.
#[derive(Debug, Clone)]
pub struct TableConfig {
    /// Settings of the AWS clients.
    pub aws: AwsSettings,
    /// The table's name.
    pub table: String,
    /// How long records are kept after their job has ended. Longer than the age window of request ids.
    pub retention: Duration,
}

impl TableConfig {
    /// `TABLE_NAME`, `RETENTION_DAYS`, and the standard `AWS_*`.
    pub fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        let days = env.number("RETENTION_DAYS", defaults::RETENTION_DAYS)?;
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

/// Configuration of functions that send wake-up messages.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// The queue's URL.
    pub url: String,
    /// Whether messages have their user as message group.
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

/// `CHECKPOINT_MAX_AGE_S`: maximum age of the last exported checkpoint for a destructive call. At most one day.
fn checkpoint_max_age(env: &Env<'_>) -> Result<Duration, ConfigError> {
    let age = env.seconds("CHECKPOINT_MAX_AGE_S", defaults::CHECKPOINT_MAX_AGE_S)?;
    if !(1..=86_400).contains(&age.as_secs()) {
        return Err(ConfigError::Invalid { name: "CHECKPOINT_MAX_AGE_S", expected: "1 to 86400" });
    }
    Ok(age)
}

/// Target of exported checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointTarget {
    /// A directory: `CHECKPOINT_DIR`.
    Directory(PathBuf),
    /// An S3 bucket: `CHECKPOINT_BUCKET`.
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

#[cfg(test)]
mod tests;
