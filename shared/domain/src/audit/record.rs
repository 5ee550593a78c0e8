//! Records of a job's chain.

use serde::{Deserialize, Serialize};

use super::{AuditEvent, AuditHead};
use crate::{
    ids::{Actor, Digest, RequestId, Timestamp},
    json::{canonical, is_default},
};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Version of the format.
    pub v: u32,
    /// Request id of the job.
    pub request_id: RequestId,
    /// Sequence number in the chain, from 1.
    pub seq: u64,
    /// Time of the event, RFC 3339.
    pub at: String,
    /// Who caused the event.
    pub actor: Actor,
    /// Index of the submitted step at the cursor.
    pub step: usize,
    /// Position within that step; absent for what was submitted.
    #[serde(skip_serializing_if = "is_default", default)]
    pub round: u32,
    /// The tool of that step, or the agent.
    pub tool: String,
    /// Version of the policies that decided.
    pub policy_version: String,
    /// The event.
    #[serde(flatten)]
    pub event: AuditEvent,
    /// Digest of the previous record; 43 `A` for the first.
    pub prev: Digest,
}

/// The fields of a record besides its event.
#[derive(Debug, Clone, Copy)]
pub struct AuditContext<'a> {
    /// Request id of the job.
    pub request_id: RequestId,
    /// Time of the event.
    pub at: Timestamp,
    /// Who caused the event.
    pub actor: Actor,
    /// Index of the submitted step.
    pub step: usize,
    /// Position within that step.
    pub round: u32,
    /// The tool, or the agent.
    pub tool: &'a str,
    /// Version of the policies.
    pub policy_version: &'a str,
}

impl AuditRecord {
    /// The successor of `head`.
    pub fn after(head: AuditHead, context: AuditContext<'_>, event: AuditEvent) -> Self {
        Self {
            v: 1,
            request_id: context.request_id,
            seq: head.length + 1,
            at: context.at.to_string(),
            actor: context.actor,
            step: context.step,
            round: context.round,
            tool: context.tool.to_owned(),
            policy_version: context.policy_version.to_owned(),
            event,
            prev: head.digest,
        }
    }

    /// The canonical bytes that are stored, digested and published.
    pub fn canonical(&self) -> Vec<u8> {
        canonical::canonical(&serde_json::to_value(self).expect("a record has string keys only"))
    }

    /// The head of the chain after this record.
    pub fn head(&self) -> AuditHead {
        self.head_by(&self.canonical())
    }

    /// The same by its canonical bytes, for a caller that has made them: making them costs more than their digest.
    pub fn head_by(&self, canonical: &[u8]) -> AuditHead {
        AuditHead { length: self.seq, digest: Digest::sha256(canonical) }
    }
}

#[cfg(test)]
mod tests;
