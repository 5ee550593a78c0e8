//! A ring: whoever runs something for a job has it looked at now.
//!
//! It says that there may be something to see, and nothing else. What is to be done stands in the table; a ring that is lost,
//! repeated or made up costs a look at most. So it needs no key: a secret goes out with what is sent, stands in its intent,
//! and comes back.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::ids::{DigestKey, RequestId, UserId};

/// What is known to who sent something and to who runs it. 128 random bits, shown to nobody else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RingSecret([u8; 16]);

/// The text is no ring, or not the secret of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a ring")]
pub struct NotARing;

/// Which job is to be looked at, and by what right: `<user id>.<request id>.<secret>`.
#[derive(Debug, Clone)]
pub struct Ring {
    /// Whose job.
    pub user_id: UserId,
    /// Which.
    pub request_id: RequestId,
    /// By what right.
    pub secret: RingSecret,
}

impl RingSecret {
    /// From random bytes.
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Whether both are the same. Compared under a key that is used once, so that the time it takes tells nothing.
    pub fn is(&self, other: &Self, once: &DigestKey) -> bool {
        once.digest_bytes(&self.0) == once.digest_bytes(&other.0)
    }
}

impl fmt::Debug for RingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RingSecret")
    }
}

impl TryFrom<String> for RingSecret {
    type Error = NotARing;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotARing)?;
        Ok(Self(bytes.try_into().map_err(|_| NotARing)?))
    }
}

impl From<RingSecret> for String {
    fn from(secret: RingSecret) -> Self {
        URL_SAFE_NO_PAD.encode(secret.0)
    }
}

impl Ring {
    /// As it goes out.
    pub fn text(&self) -> String {
        format!("{}.{}.{}", self.user_id, self.request_id, String::from(self.secret.clone()))
    }
}

impl TryFrom<String> for Ring {
    type Error = NotARing;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut parts = text.splitn(3, '.');
        let mut next = || parts.next().ok_or(NotARing);
        Ok(Self {
            user_id: next()?.parse().map_err(|_| NotARing)?,
            request_id: next()?.parse().map_err(|_| NotARing)?,
            secret: next()?.to_owned().try_into()?,
        })
    }
}

impl<'de> Deserialize<'de> for Ring {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Ring {
        Ring {
            user_id: UserId::from_random([7; 16]),
            request_id: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap(),
            secret: RingSecret::from_random([250; 16]),
        }
    }

    #[test]
    fn it_comes_back_as_it_went_and_the_journal_takes_it() {
        let text = ring().text();
        assert!(text.len() <= 200 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b)), "{text}");
        let back = Ring::try_from(text).unwrap();
        assert_eq!((back.user_id, back.request_id, back.secret), (ring().user_id, ring().request_id, ring().secret));
    }

    #[test]
    fn only_the_whole_secret_is_the_same() {
        let once = DigestKey::from_random([1; 32]);
        let mut other = [250; 16];
        other[15] = 251;
        assert!(ring().secret.is(&RingSecret::from_random([250; 16]), &once));
        assert!(!ring().secret.is(&RingSecret::from_random(other), &once));
    }

    #[test]
    fn anything_else_is_none() {
        let whole = ring().text();
        let (ids, _) = whole.rsplit_once('.').unwrap();
        for text in
            ["", ".", "..", ids, &format!("{ids}."), &format!("{whole}A"), &format!("{whole}.x"), &format!("x{whole}")]
        {
            assert!(Ring::try_from((*text).to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn it_does_not_show_its_secret() {
        assert!(!format!("{:?}", ring()).contains(&String::from(ring().secret)));
    }
}
