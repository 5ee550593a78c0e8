//! Keyed digests. A bare hash of `{"amount":500}` is the amount, so every digest of user data is an HMAC.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// 32 bytes: a SHA-256 or an HMAC-SHA256. Shown and stored as base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// The text is not 32 bytes of base64url.
#[derive(Debug, thiserror::Error)]
#[error("not a digest")]
pub struct NotADigest;

impl Digest {
    /// The plain SHA-256 of bytes that are no secret: links of an audit chain.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The start of the chain: what the first record names as its predecessor.
    pub const ZERO: Self = Self([0; 32]);
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Digest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotADigest)?;
        Ok(Self(bytes.try_into().map_err(|_| NotADigest)?))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// A secret for keyed digests. A job has its own, random, kept with its payload, given to its owner, destroyed at erasure.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DigestKey([u8; 32]);

impl DigestKey {
    /// From random bytes.
    pub const fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// HMAC-SHA256 of `parts`, each preceded by its length so that no two lists of parts collide.
    pub fn digest(&self, parts: &[&[u8]]) -> Digest {
        let mut mac = self.mac();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Digest(mac.finalize().into_bytes().into())
    }

    /// Plain HMAC-SHA256 of one message, as any other HMAC implementation computes it: what an owner verifies offline.
    pub fn digest_bytes(&self, message: &[u8]) -> Digest {
        let mut mac = self.mac();
        mac.update(message);
        Digest(mac.finalize().into_bytes().into())
    }

    fn mac(&self) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length")
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey([redacted])")
    }
}

impl TryFrom<String> for DigestKey {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Digest::try_from(text).map(|digest| Self(digest.0))
    }
}

impl From<DigestKey> for String {
    fn from(key: DigestKey) -> Self {
        URL_SAFE_NO_PAD.encode(key.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let key = DigestKey::from_random([7; 32]);
        assert_ne!(key.digest(&[b"ab", b"c"]), key.digest(&[b"a", b"bc"]));
        assert_eq!(key.digest(&[b"ab", b"c"]), key.digest(&[b"ab", b"c"]));
        assert_ne!(key.digest(&[b"ab"]), DigestKey::from_random([8; 32]).digest(&[b"ab"]));
    }

    #[test]
    fn the_plain_form_is_the_rfc_4231_hmac() {
        // RFC 4231, test case 2, key padded to our fixed length with zero bytes, which HMAC itself would do.
        let mut key = [0_u8; 32];
        key[..4].copy_from_slice(b"Jefe");
        let digest = DigestKey::from_random(key).digest_bytes(b"what do ya want for nothing?");
        assert_eq!(digest.to_string(), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM");
    }

    #[test]
    fn a_key_never_prints() {
        assert_eq!(format!("{:?}", DigestKey::from_random([7; 32])), "DigestKey([redacted])");
    }
}
