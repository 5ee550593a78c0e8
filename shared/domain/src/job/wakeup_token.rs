//! Wake-up tokens: the gateway plugin shows one to `POST /v1/rings` to report that a job may have progressed.
//!
//! A valid token only sends a wake-up message; the worker still decides from the stored job. A lost, repeated or
//! forged request therefore costs at most one unneeded read, and no signing key is needed: the worker makes a random
//! secret, stores it in the intent, sends it with the round, and the plugin returns it.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::ids::{DigestKey, RequestId, UserId};

/// Secret of one round: 128 random bits, known to the worker, the table and the gateway only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WakeUpToken([u8; 16]);

/// The text is not a well-formed wake-up, or its token is not one of the job's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a wake-up")]
pub struct NotAWakeUp;

/// A parsed wake-up: `<user id>.<request id>.<secret>`.
#[derive(Debug, Clone)]
pub struct JobWakeUp {
    /// The user who owns the job.
    pub user_id: UserId,
    /// The request id of the job.
    pub request_id: RequestId,
    /// The token that authorizes the wake-up.
    pub secret: WakeUpToken,
}

impl WakeUpToken {
    /// Makes a token of random bytes.
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Compares two tokens by digests under a key used once, so that the time of the comparison reveals nothing about
    /// the bytes.
    pub fn is(&self, other: &Self, once: &DigestKey) -> bool {
        once.digest_bytes(&self.0) == once.digest_bytes(&other.0)
    }
}

impl fmt::Debug for WakeUpToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WakeUpToken")
    }
}

impl TryFrom<String> for WakeUpToken {
    type Error = NotAWakeUp;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAWakeUp)?;
        Ok(Self(bytes.try_into().map_err(|_| NotAWakeUp)?))
    }
}

impl From<WakeUpToken> for String {
    fn from(secret: WakeUpToken) -> Self {
        URL_SAFE_NO_PAD.encode(secret.0)
    }
}

impl JobWakeUp {
    /// The text form that is sent to the gateway.
    pub fn text(&self) -> String {
        format!("{}.{}.{}", self.user_id, self.request_id, String::from(self.secret.clone()))
    }
}

impl TryFrom<String> for JobWakeUp {
    type Error = NotAWakeUp;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut parts = text.splitn(3, '.');
        let mut next = || parts.next().ok_or(NotAWakeUp);
        Ok(Self {
            user_id: next()?.parse().map_err(|_| NotAWakeUp)?,
            request_id: next()?.parse().map_err(|_| NotAWakeUp)?,
            secret: next()?.to_owned().try_into()?,
        })
    }
}

impl<'de> Deserialize<'de> for JobWakeUp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wake() -> JobWakeUp {
        JobWakeUp {
            user_id: UserId::from_random([7; 16]),
            request_id: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap(),
            secret: WakeUpToken::from_random([250; 16]),
        }
    }

    #[test]
    fn it_comes_back_as_it_went_and_the_journal_takes_it() {
        let text = wake().text();
        assert!(text.len() <= 200 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b)), "{text}");
        let back = JobWakeUp::try_from(text).unwrap();
        assert_eq!((back.user_id, back.request_id, back.secret), (wake().user_id, wake().request_id, wake().secret));
    }

    #[test]
    fn only_the_whole_secret_is_the_same() {
        let once = DigestKey::from_random([1; 32]);
        let mut other = [250; 16];
        other[15] = 251;
        assert!(wake().secret.is(&WakeUpToken::from_random([250; 16]), &once));
        assert!(!wake().secret.is(&WakeUpToken::from_random(other), &once));
    }

    #[test]
    fn anything_else_is_none() {
        let whole = wake().text();
        let (ids, _) = whole.rsplit_once('.').unwrap();
        for text in
            ["", ".", "..", ids, &format!("{ids}."), &format!("{whole}A"), &format!("{whole}.x"), &format!("x{whole}")]
        {
            assert!(JobWakeUp::try_from((*text).to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn it_does_not_show_its_secret() {
        assert!(!format!("{:?}", wake()).contains(&String::from(wake().secret)));
    }
}
