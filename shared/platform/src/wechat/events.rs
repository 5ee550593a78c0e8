//! Messages that WeChat pushes to the service: whether WeChat sent them, and what they report.
//!
//! WeChat signs each push with the token of its console: `signature` is over token, time and nonce, and in safe mode
//! `msg_signature` also covers the encrypted message. The plain `signature` does not cover the body, so when a key
//! for safe mode is listed, only encrypted messages are accepted; otherwise a push in a foreign log could be repeated
//! with another message.
//!
//! Source: WeChat's page on message push, whose examples are vectors in `tests/vectors/wechat.json`.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use crate::non_empty::NonEmpty;
use domain::ids::{DigestKey, Timestamp};

pub mod envelope;
mod fields;
mod report;
pub mod signature;

pub use envelope::EncodingAesKey;
pub use report::{Delivery, MediaCheck, Report, Subscription, UserChange, WechatEvent};

/// How far the time of a push may be from the service's clock. A copy of a push is refused afterwards, and until then
/// recognised as a duplicate.
pub const REPLAY_WINDOW: Duration = Duration::from_secs(300);

/// What WeChat's console has as Token and `EncodingAESKey`. Each is a list, so that it can be changed without refusing
/// a message: both values are listed while the console is changed.
#[derive(Debug, Deserialize)]
pub struct EventSecrets {
    /// The accepted tokens.
    pub tokens: NonEmpty<SecretString>,
    /// The accepted keys of safe mode. Without one, messages are accepted in plain mode.
    #[serde(default)]
    pub encoding_aes_keys: Vec<EncodingAesKey>,
}

/// The query of a push.
#[derive(Debug, Clone, Copy)]
pub struct PushQuery<'a> {
    /// Signature of token, time and nonce.
    pub signature: &'a str,
    /// Seconds since 1970.
    pub timestamp: &'a str,
    /// Random text.
    pub nonce: &'a str,
    /// Signature that also covers the encrypted message; empty in plain mode.
    pub msg_signature: &'a str,
}

/// Why a push is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The time is no number, or too far from the service's clock.
    #[error("the time of the push is outside the window")]
    Time,
    /// No listed token gives this signature.
    #[error("the signature does not match")]
    Signature,
    /// The body is neither a JSON object nor an XML document without a document type.
    #[error("the body is no message")]
    Unreadable,
    /// Safe mode is configured, and the message is not encrypted.
    #[error("the message is not encrypted")]
    NotEncrypted,
    /// No listed key decrypts the message.
    #[error("the message cannot be decrypted")]
    Undecryptable,
    /// The message is for another Mini Program.
    #[error("the message is for another app id")]
    OtherApp,
}

impl EventSecrets {
    /// Whether the signature of a message covers its body.
    pub fn is_safe_mode(&self) -> bool {
        !self.encoding_aes_keys.is_empty()
    }

    /// Checks the request by which WeChat's console verifies the URL. `once` is a random key, see
    /// [`signature::matches`].
    pub fn verify(&self, query: &PushQuery<'_>, now: Timestamp, once: &DigestKey) -> Result<(), Refused> {
        in_window(query.timestamp, now)?;
        self.check(query.signature, &[query.timestamp, query.nonce], once)
    }

    /// The message of a push to the app `app_id`, as WeChat wrote it: decrypted in safe mode.
    pub fn open(
        &self,
        query: &PushQuery<'_>,
        body: &[u8],
        app_id: &str,
        now: Timestamp,
        once: &DigestKey,
    ) -> Result<Vec<u8>, Refused> {
        in_window(query.timestamp, now)?;
        if !self.is_safe_mode() {
            self.check(query.signature, &[query.timestamp, query.nonce], once)?;
            return Ok(body.to_vec());
        }
        let outer = fields::read(body).ok_or(Refused::Unreadable)?;
        let encrypted = outer.get("Encrypt").and_then(Value::as_str).ok_or(Refused::NotEncrypted)?;
        self.check(query.msg_signature, &[query.timestamp, query.nonce, encrypted], once)?;
        self.decrypt(encrypted, app_id)
    }

    fn check(&self, given: &str, signed: &[&str], once: &DigestKey) -> Result<(), Refused> {
        let by = |token: &SecretString| signature::matches(given, token.expose_secret(), signed, once);
        // Every token is tried, so that the duration does not tell which one matched.
        let matched = self.tokens.iter().fold(false, |matched, token| matched | by(token));
        if matched { Ok(()) } else { Err(Refused::Signature) }
    }

    fn decrypt(&self, encrypted: &str, app_id: &str) -> Result<Vec<u8>, Refused> {
        let opened = self.encoding_aes_keys.iter().find_map(|key| envelope::open(encrypted, key));
        let opened = opened.ok_or(Refused::Undecryptable)?;
        if opened.app_id == app_id.as_bytes() { Ok(opened.message) } else { Err(Refused::OtherApp) }
    }
}

fn in_window(timestamp: &str, now: Timestamp) -> Result<(), Refused> {
    let digits = (1..=12).contains(&timestamp.len()) && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: i64 = timestamp.parse().ok().filter(|_| digits).ok_or(Refused::Time)?;
    let sent = Timestamp::from_millis(seconds * 1000);
    if now.since(sent).max(sent.since(now)) <= REPLAY_WINDOW { Ok(()) } else { Err(Refused::Time) }
}

#[cfg(test)]
mod tests;
