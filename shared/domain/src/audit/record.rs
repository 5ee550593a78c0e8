//! The records of a job's chain.

use serde::{Deserialize, Serialize};

use super::{AuditEvent, AuditHead};
use crate::{
    ids::{Actor, Digest, RequestId, Timestamp},
    json::canonical,
};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Version of this shape.
    pub v: u32,
    /// The job.
    pub request_id: RequestId,
    /// Its place in the chain, from 1.
    pub seq: u64,
    /// When, RFC 3339.
    pub at: String,
    /// Who.
    pub actor: Actor,
    /// The submitted step at the cursor.
    pub step: usize,
    /// The place within that step; absent for what was submitted.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub round: u32,
    /// The tool of that step, or the agent.
    pub tool: String,
    /// The catalogue that was decided by.
    pub policy_version: String,
    /// What.
    #[serde(flatten)]
    pub event: AuditEvent,
    /// Digest of the record before; 43 `A` for the first.
    pub prev: Digest,
}

/// What a record says beside its event.
#[derive(Debug, Clone, Copy)]
pub struct AuditContext<'a> {
    /// The job.
    pub request_id: RequestId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// Which submitted step.
    pub step: usize,
    /// Which place within it.
    pub round: u32,
    /// Which tool.
    pub tool: &'a str,
    /// Which catalogue.
    pub policy_version: &'a str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl AuditRecord {
    /// The record that follows `head`.
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

    /// The head of the chain that ends with this record.
    pub fn head(&self) -> AuditHead {
        AuditHead { length: self.seq, digest: Digest::sha256(&self.canonical()) }
    }
}

#[cfg(test)]
mod tests;
