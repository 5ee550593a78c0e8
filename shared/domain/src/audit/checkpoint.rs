//! Checkpoints: signed statements of the heads of all audit chains, each with the digest of the previous one. A chain
//! that was truncated or rewritten afterwards no longer contains the signed heads.

use std::{collections::BTreeMap, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    access::session::BadSessionKey,
    audit::AuditHead,
    ids::{Digest, Timestamp, UserId},
    json::canonical,
};

/// Maximum number of heads in one checkpoint: about 250 kB, of the 400 kB that an item may have.
pub const MOST_ENDS: usize = 2000;
/// Age of a marker from which its chain can be read. The marker is put before the change; after this time the change
/// has been made or never will be, since it is longer than the longest run of a function plus the difference of
/// clocks.
pub const SETTLED_AFTER: Duration = Duration::from_secs(120);
/// How far before its own time the first checkpoint starts.
pub const FIRST_LOOKS_BACK: Duration = Duration::from_secs(3600);
/// Markers are stored by the minute.
const MINUTE: Duration = Duration::from_secs(60);

/// The head of a chain, in the public format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Number of records.
    pub length: u64,
    /// Digest of the last record.
    pub digest: Digest,
}

impl From<AuditHead> for End {
    fn from(head: AuditHead) -> Self {
        Self { length: head.length, digest: head.digest }
    }
}

impl From<End> for AuditHead {
    fn from(end: End) -> Self {
        Self { length: end.length, digest: end.digest }
    }
}

/// Head of a job's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEnd {
    /// Support code of the job.
    pub job: String,
    /// The head.
    #[serde(flatten)]
    pub end: End,
}

/// Head of the chain of a user's refusals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEnd {
    /// The user.
    pub user: UserId,
    /// The head.
    #[serde(flatten)]
    pub end: End,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// Key id.
    pub kid: String,
    /// The 32 bytes of the key in base64url.
    pub public: String,
}

/// How far the markers have been read: all minutes before `minute`, and the markers of that minute up to `after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Start of a minute.
    pub minute: Timestamp,
    /// Sort key of the last marker of that minute that was read.
    pub after: Option<String>,
}

impl Position {
    /// The start of the minute of `at`.
    pub fn at(at: Timestamp) -> Self {
        Self { minute: floor(at), after: None }
    }

    /// The start of the next minute.
    #[must_use]
    pub fn next_minute(&self) -> Self {
        Self { minute: self.minute.plus(MINUTE), after: None }
    }
}

fn floor(at: Timestamp) -> Timestamp {
    const MINUTE_MS: i64 = 60_000;
    Timestamp::from_millis(at.millis().div_euclid(MINUTE_MS) * MINUTE_MS)
}

/// The signed part of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Version of the format.
    pub v: u32,
    /// Number of the checkpoint, from 1.
    pub seq: u64,
    /// Start of the covered markers, RFC 3339: the end of the previous checkpoint.
    pub from: String,
    /// End of the covered markers, RFC 3339.
    pub to: String,
    /// Last covered marker of the minute `to`; absent: none is covered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<String>,
    /// When it was signed, RFC 3339.
    pub at: String,
    /// SHA-256 of the previous checkpoint, as exported; 43 `A` for the first.
    pub prev: Digest,
    /// Head of the operators' chain.
    pub operators: End,
    /// Heads of jobs' chains.
    pub heads: Vec<JobEnd>,
    /// Heads of the chains of refusals.
    pub refusals: Vec<UserEnd>,
    /// Public keys that may sign the next checkpoint. A verifier learns a new key from a checkpoint that an old key
    /// signed.
    pub keys: Vec<PublicKey>,
    /// Id of the key that signs this one.
    pub kid: String,
}

/// A statement with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The signed part.
    #[serde(flatten)]
    pub statement: Statement,
    /// Ed25519 over the statement's canonical bytes (RFC 8785), base64url.
    pub signature: String,
}

/// The heads of one checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ends {
    /// Heads of jobs' chains.
    pub heads: Vec<JobEnd>,
    /// Heads of the chains of refusals.
    pub refusals: Vec<UserEnd>,
}

impl Checkpoint {
    /// The canonical bytes that are stored, exported and digested.
    pub fn canonical(&self) -> Vec<u8> {
        canonical::canonical(&serde_json::to_value(self).expect("a checkpoint has string keys only"))
    }

    /// The digest that the next checkpoint contains.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.canonical())
    }

    /// Name of the exported file.
    pub fn file_name(&self) -> String {
        file_name(self.statement.seq)
    }

    /// When it was signed.
    pub fn signed_at(&self) -> Option<Timestamp> {
        time(&self.statement.at)
    }

    /// The end of the covered markers.
    pub fn reaches(&self) -> Option<Position> {
        Some(Position { minute: time(&self.statement.to)?, after: self.statement.after.clone() })
    }
}

/// Name of the exported file of a checkpoint.
pub fn file_name(seq: u64) -> String {
    format!("{seq:012}.json")
}

fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(&Value::from(text)).ok()
}

/// Signs checkpoints.
pub struct CheckpointSigner {
    kid: String,
    key: EncodingKey,
    keys: Vec<PublicKey>,
}

impl std::fmt::Debug for CheckpointSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckpointSigner").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl CheckpointSigner {
    /// Made of the id and the PKCS #8 PEM of the signing key, and all public keys to announce.
    pub fn new(kid: &str, private_pem: &str, keys: Vec<PublicKey>) -> Result<Self, BadSessionKey> {
        let bad = || BadSessionKey { kid: kid.to_owned() };
        let key = EncodingKey::from_ed_pem(private_pem.as_bytes()).map_err(|_| bad())?;
        Ok(Self { kid: kid.to_owned(), key, keys })
    }

    /// Signs the current heads as the successor of `before`.
    pub fn sign(
        &self,
        before: Option<&Checkpoint>,
        from: &Position,
        to: &Position,
        at: Timestamp,
        operators: AuditHead,
        ends: Ends,
    ) -> Result<Checkpoint, BadSessionKey> {
        let statement = Statement {
            v: 1,
            seq: before.map_or(0, |before| before.statement.seq) + 1,
            from: from.minute.to_string(),
            to: to.minute.to_string(),
            after: to.after.clone(),
            at: at.to_string(),
            prev: before.map_or(Digest::ZERO, Checkpoint::digest),
            operators: operators.into(),
            heads: ends.heads,
            refusals: ends.refusals,
            keys: self.keys.clone(),
            kid: self.kid.clone(),
        };
        let bytes = canonical::canonical(&serde_json::to_value(&statement).expect("a statement has string keys only"));
        let signature = jsonwebtoken::crypto::sign(&bytes, &self.key, Algorithm::EdDSA)
            .map_err(|_| BadSessionKey { kid: self.kid.clone() })?;
        Ok(Checkpoint { statement, signature })
    }
}

/// The first fault of a list of checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointFault {
    /// A checkpoint does not have the expected shape.
    #[error("checkpoint {0} is not a checkpoint")]
    Unreadable(u64),
    /// A checkpoint is missing, repeated or out of order.
    #[error("checkpoint {found} stands where {expected} belongs")]
    Misplaced {
        /// The number that was found.
        found: u64,
        /// The number that was expected.
        expected: u64,
    },
    /// It does not contain the digest of the previous one.
    #[error("checkpoint {0} does not follow from the one before")]
    Unlinked(u64),
    /// Its range of markers does not start where the previous one ends.
    #[error("checkpoint {0} does not begin where the one before stopped")]
    Gap(u64),
    /// Its key was not announced by an earlier checkpoint, and is not trusted.
    #[error(
        "checkpoint {seq} is signed with {kid:?}, which is neither among the keys nor announced by a checkpoint before"
    )]
    UnknownKey {
        /// Number of the checkpoint.
        seq: u64,
        /// Key id.
        kid: String,
    },
    /// Its signature does not verify.
    #[error("the signature of checkpoint {0} does not verify")]
    Signature(u64),
}

/// Verifies checkpoints one by one, with constant memory besides the keys.
pub struct CheckpointVerifier {
    keys: BTreeMap<String, DecodingKey>,
    last: Option<(u64, Digest, String)>,
}

impl std::fmt::Debug for CheckpointVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckpointVerifier").field("kids", &self.keys.keys()).finish_non_exhaustive()
    }
}

impl CheckpointVerifier {
    /// A verifier that trusts these keys.
    pub fn new(keys: &[PublicKey]) -> Result<Self, BadSessionKey> {
        let mut verifier = Self { keys: BTreeMap::new(), last: None };
        keys.iter().try_for_each(|key| verifier.trust(key))?;
        Ok(verifier)
    }

    fn trust(&mut self, PublicKey { kid, public }: &PublicKey) -> Result<(), BadSessionKey> {
        let key = DecodingKey::from_ed_components(public).map_err(|_| BadSessionKey { kid: kid.clone() })?;
        // A trusted key is never replaced by an announced one with the same id.
        self.keys.entry(kid.clone()).or_insert(key);
        Ok(())
    }

    /// Verifies the next checkpoint, as exported. The first one may have any number, since earlier ones may be
    /// archived.
    pub fn next(&mut self, value: &Value) -> Result<Checkpoint, CheckpointFault> {
        let expected = self.last.as_ref().map_or(1, |(seq, ..)| seq + 1);
        let checkpoint: Checkpoint =
            serde_json::from_value(value.clone()).map_err(|_| CheckpointFault::Unreadable(expected))?;
        let Checkpoint { statement, signature } = &checkpoint;
        let seq = statement.seq;
        let key = self.keys.get(&statement.kid);
        let key = key.ok_or_else(|| CheckpointFault::UnknownKey { seq, kid: statement.kid.clone() })?;
        // Unknown fields are part of what was signed.
        let mut signed = value.clone();
        signed.as_object_mut().map(|fields| fields.remove("signature"));
        let verified = jsonwebtoken::crypto::verify(signature, &canonical::canonical(&signed), key, Algorithm::EdDSA);
        if !verified.unwrap_or(false) {
            return Err(CheckpointFault::Signature(seq));
        }
        if let Some((_, digest, to)) = &self.last {
            if seq != expected {
                return Err(CheckpointFault::Misplaced { found: seq, expected });
            }
            if statement.prev != *digest {
                return Err(CheckpointFault::Unlinked(seq));
            }
            if statement.from != *to {
                return Err(CheckpointFault::Gap(seq));
            }
        } else if (seq == 1) != (statement.prev == Digest::ZERO) {
            return Err(CheckpointFault::Unlinked(seq));
        }
        for key in &statement.keys {
            self.trust(key).map_err(|_| CheckpointFault::Unreadable(seq))?;
        }
        self.last = Some((seq, Digest::sha256(&canonical::canonical(value)), statement.to.clone()));
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests;
