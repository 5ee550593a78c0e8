//! Checkpoints: signed statements of where the audit chains ended, each naming the digest of the one before. A chain that
//! was cut or written anew no longer passes through the ends that were signed.

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

/// How many ends one checkpoint names at most: about 250 kB, of the 400 that an item may have.
pub const MOST_ENDS: usize = 2000;
/// A chain's end is noted before the change that makes it; so long after, the change has been made or never will be.
/// Longer than any function runs, and clocks differ by less than the rest.
pub const SETTLED_AFTER: Duration = Duration::from_secs(120);
/// Where the first checkpoint of all begins: so long before it.
pub const FIRST_LOOKS_BACK: Duration = Duration::from_secs(3600);
/// Notes are kept by the minute.
const MINUTE: Duration = Duration::from_secs(60);

/// The end of a chain, in its public spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How many records there are.
    pub length: u64,
    /// The digest of the last one.
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

/// The end of a job's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEnd {
    /// Support code of the job.
    pub job: String,
    /// Where its chain ended.
    #[serde(flatten)]
    pub end: End,
}

/// The end of the chain of what a user was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEnd {
    /// Whose.
    pub user: UserId,
    /// Where it ended.
    #[serde(flatten)]
    pub end: End,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// Its id.
    pub kid: String,
    /// base64url of its 32 bytes.
    pub public: String,
}

/// How far the notes of grown chains were read: all of every minute before `minute`, and those of that minute up to `after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The beginning of a minute.
    pub minute: Timestamp,
    /// The last note of that minute that was read.
    pub after: Option<String>,
}

impl Position {
    /// The beginning of the minute that `at` is in.
    pub fn at(at: Timestamp) -> Self {
        Self { minute: floor(at), after: None }
    }

    /// The beginning of the next minute.
    #[must_use]
    pub fn next_minute(&self) -> Self {
        Self { minute: self.minute.plus(MINUTE), after: None }
    }
}

fn floor(at: Timestamp) -> Timestamp {
    const MINUTE_MS: i64 = 60_000;
    Timestamp::from_millis(at.millis().div_euclid(MINUTE_MS) * MINUTE_MS)
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Version of this shape.
    pub v: u32,
    /// Its place among all checkpoints, from 1.
    pub seq: u64,
    /// Ends noted from here on, RFC 3339: where the one before stopped.
    pub from: String,
    /// Up to here, RFC 3339.
    pub to: String,
    /// The last note of the minute `to` that is in it; absent: none is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<String>,
    /// When it was signed, RFC 3339.
    pub at: String,
    /// SHA-256 of the checkpoint before, as exported; 43 `A` for the first.
    pub prev: Digest,
    /// Where the chain of what operators did ended.
    pub operators: End,
    /// Where the chains of jobs ended.
    pub heads: Vec<JobEnd>,
    /// Where the chains of refusals ended.
    pub refusals: Vec<UserEnd>,
    /// Every key that may sign the next one, so that a rotation needs no other announcement.
    pub keys: Vec<PublicKey>,
    /// The key that signs this one.
    pub kid: String,
}

/// A statement with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What is signed.
    #[serde(flatten)]
    pub statement: Statement,
    /// Ed25519 over the statement's canonical bytes (RFC 8785), base64url.
    pub signature: String,
}

/// What one checkpoint says of the chains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ends {
    /// Of jobs.
    pub heads: Vec<JobEnd>,
    /// Of refusals.
    pub refusals: Vec<UserEnd>,
}

impl Checkpoint {
    /// The canonical bytes that are stored, exported and digested.
    pub fn canonical(&self) -> Vec<u8> {
        canonical::canonical(&serde_json::to_value(self).expect("a checkpoint has string keys only"))
    }

    /// What the next one names.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.canonical())
    }

    /// Its file's name.
    pub fn file_name(&self) -> String {
        file_name(self.statement.seq)
    }

    /// When it was signed.
    pub fn signed_at(&self) -> Option<Timestamp> {
        time(&self.statement.at)
    }

    /// How far it reaches.
    pub fn reaches(&self) -> Option<Position> {
        Some(Position { minute: time(&self.statement.to)?, after: self.statement.after.clone() })
    }
}

/// The name of an exported checkpoint.
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
    /// From the id of the key that signs, the PKCS #8 PEM of its private half, and every key that is announced.
    pub fn new(kid: &str, private_pem: &str, keys: Vec<PublicKey>) -> Result<Self, BadSessionKey> {
        let bad = || BadSessionKey { kid: kid.to_owned() };
        let key = EncodingKey::from_ed_pem(private_pem.as_bytes()).map_err(|_| bad())?;
        Ok(Self { kid: kid.to_owned(), key, keys })
    }

    /// Signs where the chains end now, after `before`.
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

/// The first thing wrong with a list of checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointFault {
    /// Not of the expected shape.
    #[error("checkpoint {0} is not a checkpoint")]
    Unreadable(u64),
    /// One is missing, repeated or moved.
    #[error("checkpoint {found} stands where {expected} belongs")]
    Misplaced {
        /// Its number.
        found: u64,
        /// The number that belongs there.
        expected: u64,
    },
    /// It does not name the digest of the one before.
    #[error("checkpoint {0} does not follow from the one before")]
    Unlinked(u64),
    /// It does not begin where the one before stopped.
    #[error("checkpoint {0} does not begin where the one before stopped")]
    Gap(u64),
    /// Nobody announced its key.
    #[error(
        "checkpoint {seq} is signed with {kid:?}, which is neither among the keys nor announced by a checkpoint before"
    )]
    UnknownKey {
        /// Its number.
        seq: u64,
        /// The key's id.
        kid: String,
    },
    /// Its signature does not verify.
    #[error("the signature of checkpoint {0} does not verify")]
    Signature(u64),
}

/// Walks along checkpoints. Nothing but the last link and the keys is remembered.
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
    /// With the keys that are trusted.
    pub fn new(keys: &[PublicKey]) -> Result<Self, BadSessionKey> {
        let mut verifier = Self { keys: BTreeMap::new(), last: None };
        keys.iter().try_for_each(|key| verifier.trust(key))?;
        Ok(verifier)
    }

    fn trust(&mut self, PublicKey { kid, public }: &PublicKey) -> Result<(), BadSessionKey> {
        let key = DecodingKey::from_ed_components(public).map_err(|_| BadSessionKey { kid: kid.clone() })?;
        // A key that is trusted already is not replaced by one of the same name.
        self.keys.entry(kid.clone()).or_insert(key);
        Ok(())
    }

    /// Takes the next checkpoint, as exported. The first may be any: those before it may be kept elsewhere.
    pub fn next(&mut self, value: &Value) -> Result<Checkpoint, CheckpointFault> {
        let expected = self.last.as_ref().map_or(1, |(seq, ..)| seq + 1);
        let checkpoint: Checkpoint =
            serde_json::from_value(value.clone()).map_err(|_| CheckpointFault::Unreadable(expected))?;
        let Checkpoint { statement, signature } = &checkpoint;
        let seq = statement.seq;
        let key = self.keys.get(&statement.kid);
        let key = key.ok_or_else(|| CheckpointFault::UnknownKey { seq, kid: statement.kid.clone() })?;
        // What was signed is what is there, unknown fields included.
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
