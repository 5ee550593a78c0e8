//! Verifies a chain from its published records, one at a time, with constant memory.

use serde_json::Value;

use super::{AuditHead, ChainName};
use crate::{
    ids::{Digest, RequestId},
    json::canonical,
};

/// The first fault of a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// A record does not have the expected shape.
    #[error("record {place} is not an audit record")]
    Unreadable {
        /// Sequence number, from 1.
        place: u64,
    },
    /// A record is missing, repeated, out of order, or belongs to another chain.
    #[error("record {place} is not the one that belongs there")]
    Misplaced {
        /// Sequence number, from 1.
        place: u64,
    },
    /// A record does not contain the digest of the previous one: one of the two was changed.
    #[error("record {place} does not follow from record {}", place - 1)]
    Unlinked {
        /// Sequence number, from 1.
        place: u64,
    },
    /// The chain does not end in the given head: the last record was changed, or records after it are missing.
    #[error("the chain does not end in its head: record {place} was changed, or records after it are missing")]
    Head {
        /// Sequence number of the last record that is present.
        place: u64,
    },
}

/// Verifies records one by one. Unknown fields are part of the digest, so an added field is detected as a change.
#[derive(Debug, Clone)]
pub struct Verifier {
    so_far: AuditHead,
    /// The records before the first one are no longer kept, so its link to them cannot be checked.
    cut: bool,
    owner: Owner,
}

/// The expected owner of a chain. It has to be given: the complete chain of another job, with its head, is consistent
/// as well. Records of a job contain its request id; the user is part of the key that they are stored under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This job: each record names its `request_id`.
    Job(RequestId),
    /// This side chain: each record names its `chain`.
    Chain(ChainName),
}

impl Owner {
    /// The field of each record that contains the owner, and its value.
    fn field(self) -> (&'static str, String) {
        match self {
            Self::Job(id) => ("request_id", id.to_string()),
            Self::Chain(name) => ("chain", name.to_string()),
        }
    }
}

impl Verifier {
    /// A verifier for the chain of this owner.
    pub fn of(owner: Owner) -> Self {
        Self { so_far: AuditHead::EMPTY, cut: false, owner }
    }

    /// The same for a chain whose records up to this sequence number are no longer kept.
    #[must_use]
    pub fn after(self, place: u64) -> Self {
        Self { so_far: AuditHead { length: place, ..AuditHead::EMPTY }, cut: place > 0, ..self }
    }

    /// Verifies the next record, and returns the head after it.
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

    /// The head after the records so far.
    pub fn head(&self) -> AuditHead {
        self.so_far
    }

    /// Checks that the chain ends in `head`.
    pub fn ends_in(&self, head: AuditHead) -> Result<(), ChainFault> {
        if self.so_far == head { Ok(()) } else { Err(ChainFault::Head { place: self.so_far.length }) }
    }
}

/// Verifies that the records are the complete chain of this owner up to `head`. The error has the first faulty
/// record.
pub fn verify(records: &[Value], owner: Owner, head: AuditHead) -> Result<(), ChainFault> {
    let mut verifier = Verifier::of(owner);
    for record in records {
        verifier.next(record)?;
    }
    verifier.ends_in(head)
}
