//! Verifying a chain from its records as published, one at a time: nothing but the last link is remembered.

use serde_json::Value;

use super::{AuditHead, ChainName};
use crate::{
    ids::{Digest, RequestId},
    json::canonical,
};

/// The first thing wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// A record is not of the expected shape.
    #[error("record {place} is not an audit record")]
    Unreadable {
        /// Place in the chain, from 1.
        place: u64,
    },
    /// A record is missing, repeated, moved, or belongs to another chain.
    #[error("record {place} is not the one that belongs there")]
    Misplaced {
        /// Place in the chain, from 1.
        place: u64,
    },
    /// A record does not name the digest of the one before: it, or the one before, was changed.
    #[error("record {place} does not follow from record {}", place - 1)]
    Unlinked {
        /// Place in the chain, from 1.
        place: u64,
    },
    /// The chain does not end in the given head: the last record was changed, or records were cut off.
    #[error("the chain does not end in its head: record {place} was changed, or records after it are missing")]
    Head {
        /// Place of the last record that is there.
        place: u64,
    },
}

/// Walks along a chain. Records are digested as given, unknown fields included: a field that was added is a change.
#[derive(Debug, Clone)]
pub struct Verifier {
    so_far: AuditHead,
    /// The records before are not kept: the first one is believed when it says what it follows.
    cut: bool,
    owner: Owner,
}

/// Whose chain it has to be. A chain is not asked whose it is: the whole chain of another job, with its head, is sound in
/// itself. A job's records name its request id; the user is part of the key that they are stored under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This job: each record names its `request_id`.
    Job(RequestId),
    /// This side chain: each record names its `chain`.
    Chain(ChainName),
}

impl Owner {
    /// The field of each record that names the owner, and its value.
    fn field(self) -> (&'static str, String) {
        match self {
            Self::Job(id) => ("request_id", id.to_string()),
            Self::Chain(name) => ("chain", name.to_string()),
        }
    }
}

impl Verifier {
    /// For the chain of this owner and no other.
    pub fn of(owner: Owner) -> Self {
        Self { so_far: AuditHead::EMPTY, cut: false, owner }
    }

    /// The same, for a chain whose records up to this place are not kept any more.
    #[must_use]
    pub fn after(self, place: u64) -> Self {
        Self { so_far: AuditHead { length: place, ..AuditHead::EMPTY }, cut: place > 0, ..self }
    }

    /// Takes the next record.
    pub fn next(&mut self, record: &Value) -> Result<AuditHead, ChainFault> {
        let place = self.so_far.length + 1;
        let seq = record.get("seq").and_then(Value::as_u64).ok_or(ChainFault::Unreadable { place })?;
        let prev = record.get("prev").and_then(Value::as_str).ok_or(ChainFault::Unreadable { place })?;
        let (field, owner) = self.owner.field();
        let named = record.get(field).and_then(Value::as_str).ok_or(ChainFault::Unreadable { place })?;
        if seq != place || named != owner {
            return Err(ChainFault::Misplaced { place });
        }
        if !std::mem::take(&mut self.cut) && prev != self.so_far.digest.to_string() {
            return Err(ChainFault::Unlinked { place });
        }
        self.so_far = AuditHead { length: place, digest: Digest::sha256(&canonical::canonical(record)) };
        Ok(self.so_far)
    }

    /// What the records so far end in.
    pub fn head(&self) -> AuditHead {
        self.so_far
    }

    /// Whether they end in `head`.
    pub fn ends_in(&self, head: AuditHead) -> Result<(), ChainFault> {
        if self.so_far == head { Ok(()) } else { Err(ChainFault::Head { place: self.so_far.length }) }
    }
}

/// Verifies that this is the whole chain of this owner, against its head. Names the first broken record.
pub fn verify(records: &[Value], owner: Owner, head: AuditHead) -> Result<(), ChainFault> {
    let mut verifier = Verifier::of(owner);
    for record in records {
        verifier.next(record)?;
    }
    verifier.ends_in(head)
}
