//! Sources of secret documents: a file on one host, Secrets Manager in the cloud.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use aws_sdk_secretsmanager::{
    Client,
    error::SdkError,
    operation::get_secret_value::{GetSecretValueError, GetSecretValueOutput},
};
use secrecy::SecretString;

use crate::aws::{self, AwsSettings};
use domain::{access::session::BadSessionKey, ids::Timestamp};

/// Location of a function's document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file: `SECRETS_FILE`.
    File(PathBuf),
    /// A secret of Secrets Manager, by ARN or name: `SECRET_ID`.
    Manager(String),
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the secrets file {}", path.display()),
            Self::Manager(id) => write!(f, "the secret {id}"),
        }
    }
}

/// Why a document cannot be used, with its source and a remedy. Never contains anything of the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    /// The document does not exist.
    #[error("{source_name} does not exist; {remedy}")]
    Missing {
        /// Name of the source.
        source_name: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The secret was created and has no value yet.
    #[error("{0} has no value yet; fill it with `local secrets put`")]
    NoValue(String),
    /// The source cannot be read now, or not by this function.
    #[error("{source_name} cannot be read: {cause}")]
    Unreadable {
        /// Name of the source.
        source_name: String,
        /// Kind of the failure and its code.
        cause: String,
    },
    /// The document does not have the fields that this function needs.
    #[error(
        "{source_name} does not have the shape that this function needs (line {line}, column {column}); compare it with \
         what `local secrets new` makes"
    )]
    Shape {
        /// Name of the source.
        source_name: String,
        /// Line of the fault.
        line: usize,
        /// Column of the fault.
        column: usize,
    },
    /// A key in the document cannot be used.
    #[error("{source_name} cannot be used: {fault}")]
    Key {
        /// Name of the source.
        source_name: String,
        /// The key and its fault.
        fault: BadSessionKey,
    },
}

/// Result of a read.
pub(super) struct Read {
    /// The document.
    pub(super) text: SecretString,
    /// When this version of the document was created.
    pub(super) made_at: Timestamp,
}

/// A source that can be read.
#[derive(Debug)]
pub(super) struct Reader {
    source: SecretSource,
    client: Option<Client>,
}

impl Reader {
    pub(super) fn new(source: SecretSource, aws: &AwsSettings) -> Self {
        let client = matches!(source, SecretSource::Manager(_)).then(|| aws.secrets_manager());
        Self { source, client }
    }

    /// Name of the source, for errors.
    pub(super) fn name(&self) -> String {
        self.source.to_string()
    }

    pub(super) async fn read(&self) -> Result<Read, SecretsError> {
        match (&self.source, &self.client) {
            (SecretSource::Manager(id), Some(client)) => read_secret(client, id).await,
            (SecretSource::File(path), _) => read_file(path),
            (SecretSource::Manager(_), None) => Err(self.unreadable("there is no client".to_owned())),
        }
    }

    fn unreadable(&self, cause: String) -> SecretsError {
        SecretsError::Unreadable { source_name: self.name(), cause }
    }
}

fn read_file(path: &Path) -> Result<Read, SecretsError> {
    let name = || SecretSource::File(path.to_owned()).to_string();
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => SecretsError::Missing {
            source_name: name(),
            remedy: "make it with `local secrets new`, or correct SECRETS_FILE",
        },
        // The error's own message has no content of the file either, but is not needed.
        kind => SecretsError::Unreadable { source_name: name(), cause: kind.to_string() },
    };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let changed = std::fs::metadata(path).and_then(|file| file.modified()).map_err(failed)?;
    let since_1970 = changed.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Ok(Read { text: text.into(), made_at: Timestamp::from_millis(0).plus(since_1970) })
}

async fn read_secret(client: &Client, id: &str) -> Result<Read, SecretsError> {
    let name = || SecretSource::Manager(id.to_owned()).to_string();
    let version = current_version(client, id).await.map_err(|error| match error.as_service_error() {
        Some(GetSecretValueError::ResourceNotFoundException(_)) => SecretsError::Missing {
            source_name: name(),
            remedy: "deploy the stack that makes it, or correct SECRET_ID or the region",
        },
        _ => SecretsError::Unreadable { source_name: name(), cause: aws::cause(&error) },
    })?;
    let version = version.ok_or_else(|| SecretsError::NoValue(name()))?;
    let made_at = version.created_date.and_then(|date| date.to_millis().ok()).unwrap_or_default();
    // This service never writes a binary value.
    let text = version.secret_string.ok_or_else(|| SecretsError::NoValue(name()))?;
    Ok(Read { text: text.into(), made_at: Timestamp::from_millis(made_at) })
}

/// The current version of a secret; `None` when it has no value yet.
pub async fn current_version(
    client: &Client,
    id: &str,
) -> Result<Option<GetSecretValueOutput>, Box<SdkError<GetSecretValueError>>> {
    match client.get_secret_value().secret_id(id).send().await {
        // The emulator used for rehearsals returns an empty value, or none, for a secret without a value.
        Ok(version) => {
            let filled =
                version.secret_string().is_some_and(|text| !text.is_empty()) || version.secret_binary().is_some();
            Ok(filled.then_some(version))
        }
        // Secrets Manager has the same error for a missing secret and a missing version; only the message
        // distinguishes them.
        Err(error) => match error.as_service_error() {
            Some(GetSecretValueError::ResourceNotFoundException(absent))
                if absent.message().is_some_and(|message| message.contains("staging label")) =>
            {
                Ok(None)
            }
            _ => Err(Box::new(error)),
        },
    }
}
