//! Verifying a chain from its records as published, one at a time: nothing but the last link is remembered.

use serde_json::Value;

use super::AuditHead;
use crate::{ids::Digest, json::canonical};

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
    named_by: &'static str,
    name: Option<String>,
}

impl Verifier {
    /// For the chain of a job: each record names its `request_id`.
    pub fn of_job() -> Self {
        Self { so_far: AuditHead::EMPTY, cut: false, named_by: "request_id", name: None }
    }

    /// For a chain beside the jobs: each record names its `chain`.
    pub fn of_chain() -> Self {
        Self { named_by: "chain", ..Self::of_job() }
    }

    /// The same, for a chain of this name and no other.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
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
        let name = record.get(self.named_by).and_then(Value::as_str).ok_or(ChainFault::Unreadable { place })?;
        if seq != place || self.name.get_or_insert_with(|| name.to_owned()) != name {
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

/// Verifies the whole chain of a job against its head. Names the first broken record.
pub fn verify(records: &[Value], head: AuditHead) -> Result<(), ChainFault> {
    let mut verifier = Verifier::of_job();
    for record in records {
        verifier.next(record)?;
    }
    verifier.ends_in(head)
}
