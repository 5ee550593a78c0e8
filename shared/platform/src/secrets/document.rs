//! The documents: one per function, because a right to read a secret is a right to read all of it.
//!
//! Whatever can be rotated is a list. The first is used for what is new, every listed one is accepted. When a key came and
//! when it went to the front is written beside the lists, under `rotation`; functions do not read that.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{non_empty::NonEmpty, openclaw::GatewayTokens};
use domain::{
    access::session::{Audience, BadSessionKey, SessionSigner, SessionVerifier},
    audit::checkpoint::{CheckpointSigner, PublicKey},
    ids::DigestKey,
};

/// What edge-auth may know.
#[derive(Debug, Deserialize)]
pub struct EdgeSecrets {
    /// Keys of sessions, private halves included.
    pub sessions: SessionKeys,
    /// Keys that turn an openid into the key of a login item.
    pub logins: NonEmpty<DigestKey>,
    /// WeChat's app secrets.
    pub wechat: WechatSecrets,
}

/// What status may know: public keys, and the keys that seal cursors.
#[derive(Debug, Deserialize)]
pub struct StatusSecrets {
    /// Keys of sessions. Their private halves, if the document has them, are not parsed.
    pub sessions: PublicSessionKeys,
    /// Seal cursors.
    pub cursors: NonEmpty<DigestKey>,
}

/// What the worker may know.
#[derive(Debug, Deserialize)]
pub struct WorkerSecrets {
    /// The gateway's tokens.
    pub openclaw: OpenclawSecrets,
}

/// What sweep may know.
#[derive(Debug, Deserialize)]
pub struct SweepSecrets {
    /// Keys of checkpoints, private halves included.
    pub checkpoints: SessionKeys,
}

/// WeChat's part.
#[derive(Debug, Deserialize)]
pub struct WechatSecrets {
    /// The app secrets. WeChat takes one of them.
    pub app_secrets: NonEmpty<SecretString>,
}

/// The gateway's part.
#[derive(Debug, Deserialize)]
pub struct OpenclawSecrets {
    /// Full operator access to the gateway, which takes one of them.
    pub tokens: NonEmpty<SecretString>,
}

impl WorkerSecrets {
    /// As the gateway's client takes them.
    pub fn tokens(self) -> GatewayTokens {
        GatewayTokens::new(self.openclaw.tokens)
    }
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
        SessionSigner::new(&self.active, self.active_pem()?, audience.clone())
    }

    /// Who signs checkpoints.
    pub fn checkpoint_signer(&self) -> Result<CheckpointSigner, BadSessionKey> {
        let announced = |key: &SessionKey| PublicKey { kid: key.kid.clone(), public: key.public.clone() };
        CheckpointSigner::new(&self.active, self.active_pem()?, self.keys.iter().map(announced).collect())
    }

    fn active_pem(&self) -> Result<&str, BadSessionKey> {
        let active = self.keys.iter().find(|key| key.kid == self.active);
        let pem = active.and_then(|key| key.private_pem.as_ref());
        pem.map(ExposeSecret::expose_secret).ok_or_else(|| BadSessionKey { kid: self.active.clone() })
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
