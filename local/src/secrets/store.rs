//! The stores that an operator's commands use for the documents of secrets: a directory, one host's file, or Secrets
//! Manager.

use std::{collections::BTreeMap, path::PathBuf};

use domain::json;
use platform::{
    aws::{self, AwsSettings},
    secrets::{SecretSource, current_version},
};
use serde_json::Value;

use crate::{
    data::{DataError, failed, write_private},
    program,
    secrets::rotation::{Documents, Holder},
};

/// A document could not be read or written. The text never contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An I/O error.
    #[error(transparent)]
    File(#[from] DataError),
    /// The file exists and would be overwritten.
    #[error("{0} exists already and is not overwritten; choose another directory, or rotate what is there")]
    Exists(PathBuf),
    /// The document is not JSON.
    #[error("{0} is not a JSON document")]
    NotJson(String),
    /// An option is missing.
    #[error("the secret of {function} is needed: give --{function}-secret its ARN or name")]
    NotNamed {
        /// The function whose secret was not named.
        function: &'static str,
    },
    /// A request to Secrets Manager failed.
    #[error("{secret} cannot be {done}: {cause}")]
    Manager {
        /// The secret.
        secret: SecretSource,
        /// `read` or `written`.
        done: &'static str,
        /// The kind of failure and its code.
        cause: String,
    },
    /// The secret has no value.
    #[error("{0} has no value yet; fill it with `{program} secrets put`", program = program::name())]
    NoValue(SecretSource),
    /// The secret has another value.
    #[error("{0} has another value already; rotate it, or delete the value first if it is not in use")]
    Taken(SecretSource),
}

/// Where documents are stored.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of it, for as long as a command runs")]
pub enum SecretStore {
    /// `edge-auth.json`, `status.json`, `worker.json` and `sweep.json`.
    Directory(PathBuf),
    /// One document with all parts.
    File(PathBuf),
    /// One secret per function.
    Manager {
        /// Region, credentials and endpoint.
        aws: AwsSettings,
        /// ARN or name of each secret.
        ids: BTreeMap<Holder, String>,
    },
}

impl SecretStore {
    /// Reads the documents of `holders`. One host's file is returned as the document of the first of them.
    pub async fn read(&self, holders: &[Holder]) -> Result<Documents, StoreError> {
        let holders = match self {
            Self::File(_) => holders.get(..1).unwrap_or_default(),
            Self::Directory(_) | Self::Manager { .. } => holders,
        };
        let mut documents = Documents::new();
        for holder in holders {
            documents.insert(*holder, self.read_one(*holder).await?);
        }
        Ok(documents)
    }

    /// The documents that exist. An empty secret has none.
    pub async fn existing(&self) -> Result<Documents, StoreError> {
        let mut documents = Documents::new();
        for holder in Holder::ALL {
            let found = match self {
                Self::Manager { .. } => self.current(holder).await?,
                Self::Directory(_) | Self::File(_) if self.path(holder).is_file() => Some(self.read_one(holder).await?),
                Self::Directory(_) | Self::File(_) => None,
            };
            documents.extend(found.map(|document| (holder, document)));
        }
        Ok(documents)
    }

    async fn read_one(&self, holder: Holder) -> Result<Value, StoreError> {
        if let Self::Manager { .. } = self {
            let secret = self.source(holder)?;
            return self.current(holder).await?.ok_or(StoreError::NoValue(secret));
        }
        let path = self.path(holder);
        let bytes = std::fs::read(&path).map_err(failed(&path, "read"))?;
        json::kept(&bytes).map_err(|_| StoreError::NotJson(path.display().to_string()))
    }

    /// Replaces one document.
    pub async fn write(&self, holder: Holder, document: &Value) -> Result<(), StoreError> {
        let text = serde_json::to_string_pretty(document).expect("a JSON value serialises");
        let Self::Manager { aws, .. } = self else {
            return Ok(write_private(&self.path(holder), text.as_bytes())?);
        };
        let secret = self.source(holder)?;
        let put = aws.secrets_manager().put_secret_value().secret_id(self.id(holder)?).secret_string(text);
        let sent = put.send().await;
        sent.map(drop).map_err(|error| StoreError::Manager { secret, done: "written", cause: aws::cause(&error) })
    }

    /// Writes documents that do not exist yet. A file is never overwritten; a secret that has the same value already is
    /// left unchanged.
    pub async fn fill(&self, documents: &Documents) -> Result<(), StoreError> {
        for (holder, document) in documents {
            match self {
                Self::Directory(_) | Self::File(_) => {
                    let path = self.path(*holder);
                    if path.try_exists().map_err(failed(&path, "read"))? {
                        return Err(StoreError::Exists(path));
                    }
                }
                Self::Manager { .. } => {
                    if self.current(*holder).await?.is_some_and(|current| current != *document) {
                        return Err(StoreError::Taken(self.source(*holder)?));
                    }
                }
            }
        }
        // edge-auth, which signs sessions, comes last: by then every function can verify them.
        for (holder, document) in documents.iter().rev() {
            let is_there = matches!(self, Self::Manager { .. }) && self.current(*holder).await?.is_some();
            if !is_there {
                self.write(*holder, document).await?;
            }
        }
        Ok(())
    }

    /// The present value of a secret in Secrets Manager; `None` when it was never written.
    async fn current(&self, holder: Holder) -> Result<Option<Value>, StoreError> {
        let Self::Manager { aws, .. } = self else { return Ok(None) };
        let secret = self.source(holder)?;
        let version = match current_version(&aws.secrets_manager(), self.id(holder)?).await {
            Ok(version) => version,
            Err(error) => return Err(StoreError::Manager { secret, done: "read", cause: aws::cause(&error) }),
        };
        let Some(version) = version else { return Ok(None) };
        let text = version.secret_string.ok_or_else(|| StoreError::NotJson(secret.to_string()))?;
        json::kept(&text).map(Some).map_err(|_| StoreError::NotJson(secret.to_string()))
    }

    fn path(&self, holder: Holder) -> PathBuf {
        match self {
            Self::Directory(directory) => directory.join(format!("{}.json", holder.function())),
            Self::File(path) => path.clone(),
            Self::Manager { .. } => PathBuf::new(),
        }
    }

    fn id(&self, holder: Holder) -> Result<&str, StoreError> {
        let id = match self {
            Self::Manager { ids, .. } => ids.get(&holder),
            Self::Directory(_) | Self::File(_) => None,
        };
        id.map(String::as_str).ok_or(StoreError::NotNamed { function: holder.function() })
    }

    fn source(&self, holder: Holder) -> Result<SecretSource, StoreError> {
        Ok(SecretSource::Manager(self.id(holder)?.to_owned()))
    }
}
