//! Secrets: a JSON document, read anew at most every five minutes. Each function parses only the part that it may know.
//!
//! Two keys of a kind may be listed at once, so that rotation needs no outage: what is new is signed or digested with the
//! first, and both are accepted.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use secrecy::SecretString;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    clock::World,
    digest::DigestKey,
    session::{Audience, BadSessionKey, SessionSigner, SessionVerifier},
    timestamp::Timestamp,
};

/// How old a cached secret may be.
pub const MAX_AGE: Duration = Duration::from_secs(300);

/// What edge-auth may know.
#[derive(Debug, Deserialize)]
pub struct EdgeSecrets {
    /// Keys of sessions, private halves included.
    pub sessions: SessionKeys,
    /// Keys that turn an openid into the key of a login item. New logins use the first; all are tried.
    pub logins: Vec<DigestKey>,
    /// WeChat's app secret.
    pub wechat: WechatSecret,
}

/// What status may know: public keys, and the key that seals cursors.
#[derive(Debug, Deserialize)]
pub struct StatusSecrets {
    /// Keys of sessions. Their private halves, if the document has them, are not parsed.
    pub sessions: PublicSessionKeys,
    /// Seals cursors.
    pub cursors: DigestKey,
}

/// What the worker may know.
#[derive(Debug, Deserialize)]
pub struct WorkerSecrets {
    /// The gateway's token.
    pub openclaw: OpenclawSecret,
}

/// WeChat's part.
#[derive(Debug, Deserialize)]
pub struct WechatSecret {
    /// The app secret.
    pub app_secret: SecretString,
}

/// The gateway's part.
#[derive(Debug, Deserialize)]
pub struct OpenclawSecret {
    /// Full operator access to the gateway.
    pub token: SecretString,
}

/// Session keys with their private halves.
#[derive(Debug, Deserialize)]
pub struct SessionKeys {
    /// The `kid` that signs.
    pub active: String,
    /// Every key that is accepted.
    pub keys: Vec<SessionKey>,
}

/// One session key.
#[derive(Debug, Deserialize)]
pub struct SessionKey {
    /// Its id.
    pub kid: String,
    /// base64url of the 32-byte public key.
    pub public: String,
    /// PKCS #8 PEM. Absent for a key that is only still accepted.
    pub private_pem: Option<SecretString>,
}

/// Session keys without their private halves.
#[derive(Debug, Deserialize)]
pub struct PublicSessionKeys {
    /// Every key that is accepted.
    pub keys: Vec<PublicSessionKey>,
}

/// One public session key.
#[derive(Debug, Deserialize)]
pub struct PublicSessionKey {
    /// Its id.
    pub kid: String,
    /// base64url of the 32-byte public key.
    pub public: String,
}

impl SessionKeys {
    /// Who mints.
    pub fn signer(&self, audience: &Audience) -> Result<SessionSigner, BadSessionKey> {
        let active = || self.keys.iter().find(|key| key.kid == self.active);
        let pem = active().and_then(|key| key.private_pem.as_ref());
        let pem = pem.ok_or_else(|| BadSessionKey { kid: self.active.clone() })?;
        SessionSigner::new(&self.active, secrecy::ExposeSecret::expose_secret(pem), audience.clone())
    }

    /// Who verifies.
    pub fn verifier(&self, audience: &Audience) -> Result<SessionVerifier, BadSessionKey> {
        SessionVerifier::new(self.keys.iter().map(|k| (k.kid.as_str(), k.public.as_str())), audience.clone())
    }
}

impl PublicSessionKeys {
    /// Who verifies.
    pub fn verifier(&self, audience: &Audience) -> Result<SessionVerifier, BadSessionKey> {
        SessionVerifier::new(self.keys.iter().map(|k| (k.kid.as_str(), k.public.as_str())), audience.clone())
    }
}

/// Secrets that cannot be had. Says where and what kind of fault, never what the document holds.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file cannot be read.
    #[error("the secrets file cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// The document is not what this function needs.
    #[error("the secrets document does not have the expected shape (line {line}, column {column})")]
    Shape {
        /// Line of the fault.
        line: usize,
        /// Column of the fault.
        column: usize,
    },
    /// A key in it cannot be used.
    #[error(transparent)]
    Key(#[from] BadSessionKey),
}

/// Where secrets come from, and what was made of them, for at most [`MAX_AGE`].
pub struct Secrets<T> {
    file: PathBuf,
    cached: Mutex<Option<(Timestamp, Arc<T>)>>,
}

impl<T> std::fmt::Debug for Secrets<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("file", &self.file).finish_non_exhaustive()
    }
}

impl<T> Secrets<T> {
    /// From a file.
    pub fn file(file: PathBuf) -> Self {
        Self { file, cached: Mutex::new(None) }
    }

    /// What `make` turns the parsed document into: from the cache, or read anew. A document that cannot be read now leaves
    /// the last good one in use.
    pub async fn get<D: DeserializeOwned>(
        &self,
        world: &World,
        make: impl FnOnce(D) -> Result<T, SecretsError>,
    ) -> Result<Arc<T>, SecretsError> {
        let now = world.now();
        let mut cached = self.cached.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((read_at, value)) = cached.as_ref()
            && now.since(*read_at) < MAX_AGE
        {
            return Ok(value.clone());
        }
        match (self.read().and_then(make), cached.as_ref()) {
            (Ok(value), _) => {
                let value = Arc::new(value);
                *cached = Some((now, value.clone()));
                Ok(value)
            }
            (Err(error), Some((_, last_good))) => {
                tracing::error!(error = %error, "secrets cannot be refreshed; the last good ones stay in use");
                Ok(last_good.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Makes the next [`get`](Self::get) read anew: somebody refused what we hold.
    pub fn expire(&self) {
        if let Some((read_at, _)) = self.cached.lock().unwrap_or_else(std::sync::PoisonError::into_inner).as_mut() {
            *read_at = Timestamp::from_millis(0);
        }
    }

    fn read<D: DeserializeOwned>(&self) -> Result<D, SecretsError> {
        let bytes = std::fs::read(&self.file).map_err(SecretsError::Unreadable)?;
        serde_json::from_slice(&bytes).map_err(|e| SecretsError::Shape { line: e.line(), column: e.column() })
    }
}
