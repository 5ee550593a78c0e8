//! The secret documents: one for each function, because a permission to read a secret covers all of it.
//!
//! Everything that can be rotated is a list: the first value is used for anything new, and every value is accepted.
//! The times of rotation are stored under `rotation`, which functions do not read.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{non_empty::NonEmpty, openclaw::GatewayTokens, wechat::events::EventSecrets};
use domain::{
    access::session::{Audience, BadSessionKey, SessionSigner, SessionVerifier},
    audit::checkpoint::{CheckpointSigner, PublicKey},
    ids::DigestKey,
};

/// The document of edge-auth.
#[derive(Debug, Deserialize)]
pub struct EdgeSecrets {
    /// Keys of sessions with their private halves.
    pub sessions: SessionKeys,
    /// Keys of the digests under which logins are stored.
    pub logins: NonEmpty<DigestKey>,
    /// WeChat's app secrets.
    pub wechat: WechatSecrets,
}

/// The document of status: public keys, and the keys that seal cursors.
#[derive(Debug, Deserialize)]
pub struct StatusSecrets {
    /// Keys of sessions. Their private halves, if the document has them, are not parsed.
    pub sessions: PublicSessionKeys,
    /// Keys that seal cursors.
    pub cursors: NonEmpty<DigestKey>,
}

/// The document of the worker.
#[derive(Debug, Deserialize)]
pub struct WorkerSecrets {
    /// The gateway's tokens.
    pub openclaw: OpenclawSecrets,
    /// WeChat's app secrets. Without them no notification is sent.
    pub wechat: Option<WorkerWechat>,
}

/// WeChat's section of the worker's document.
#[derive(Debug, Deserialize)]
pub struct WorkerWechat {
    /// The app secrets. WeChat accepts one of them.
    pub app_secrets: NonEmpty<SecretString>,
}

/// The document of sweep.
#[derive(Debug, Deserialize)]
pub struct SweepSecrets {
    /// Keys of checkpoints with their private halves.
    pub checkpoints: SessionKeys,
}

/// WeChat's section.
#[derive(Debug, Deserialize)]
pub struct WechatSecrets {
    /// The app secrets. WeChat accepts one of them.
    pub app_secrets: NonEmpty<SecretString>,
    /// Token and key of the messages that WeChat pushes. Without them the service accepts no message.
    pub events: Option<EventSecrets>,
}

/// The gateway's section.
#[derive(Debug, Deserialize)]
pub struct OpenclawSecrets {
    /// Tokens with full operator access to the gateway, which accepts one of them.
    pub tokens: NonEmpty<SecretString>,
}

impl OpenclawSecrets {
    /// The tokens as the gateway's client takes them.
    pub fn tokens(self) -> GatewayTokens {
        GatewayTokens::new(self.tokens)
    }
}

/// Session keys with their private halves.
#[derive(Debug, Deserialize)]
pub struct SessionKeys {
    /// The `kid` of the key that signs.
    pub active: String,
    /// Every key that is accepted.
    pub keys: Vec<SessionKey>,
}

/// One session key.
#[derive(Debug, Deserialize)]
pub struct SessionKey {
    /// Key id.
    pub kid: String,
    /// base64url of the 32-byte public key.
    pub public: String,
    /// PKCS #8 PEM. Absent for a key that no longer signs.
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
    /// Key id.
    pub kid: String,
    /// base64url of the 32-byte public key.
    pub public: String,
}

impl SessionKeys {
    /// The signer of sessions.
    pub fn signer(&self, audience: &Audience) -> Result<SessionSigner, BadSessionKey> {
        SessionSigner::new(&self.active, self.active_pem()?, audience.clone())
    }

    /// The signer of checkpoints.
    pub fn checkpoint_signer(&self) -> Result<CheckpointSigner, BadSessionKey> {
        let announced = |key: &SessionKey| PublicKey { kid: key.kid.clone(), public: key.public.clone() };
        CheckpointSigner::new(&self.active, self.active_pem()?, self.keys.iter().map(announced).collect())
    }

    fn active_pem(&self) -> Result<&str, BadSessionKey> {
        let active = self.keys.iter().find(|key| key.kid == self.active);
        let pem = active.and_then(|key| key.private_pem.as_ref());
        pem.map(ExposeSecret::expose_secret).ok_or_else(|| BadSessionKey { kid: self.active.clone() })
    }

    /// The verifier of sessions.
    pub fn verifier(&self, audience: &Audience) -> Result<SessionVerifier, BadSessionKey> {
        SessionVerifier::new(self.keys.iter().map(|k| (k.kid.as_str(), k.public.as_str())), audience.clone())
    }
}

impl PublicSessionKeys {
    /// The verifier of sessions.
    pub fn verifier(&self, audience: &Audience) -> Result<SessionVerifier, BadSessionKey> {
        SessionVerifier::new(self.keys.iter().map(|k| (k.kid.as_str(), k.public.as_str())), audience.clone())
    }
}
