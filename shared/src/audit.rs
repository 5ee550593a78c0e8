//! The audit chain of a job: one record for each decision, intent and outcome, each naming the digest of the one before.
//!
//! Records are put first, under a key of their own; the job's next `rev` then names the new head. A record that the head
//! does not reach does not exist, so two writers cannot fork a chain. Records hold digests of arguments and results, keyed
//! with the job's own key, and no personal data.

use serde::{Deserialize, Serialize};

use crate::{canonical, digest::Digest, intent::CallKey, job::Job, request_id::RequestId, timestamp::Timestamp};

mod beside;
mod event;
mod verify;

pub use beside::{ChainName, ChainRecord, OperatorActor, OperatorEvent, RefusalEvent};
pub use event::{AgentCall, AuditEvent, ProposalDecision, StepDecision};
pub use verify::{ChainFault, Verifier, verify};

/// The end of a chain, kept in the job item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// How many records there are.
    #[serde(rename = "n")]
    pub length: u64,
    /// The digest of the last one.
    #[serde(rename = "h")]
    pub digest: Digest,
}

impl AuditHead {
    /// The head of a chain without records.
    pub const EMPTY: Self = Self { length: 0, digest: Digest::ZERO };
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The job's owner.
    User,
    /// A worker.
    Worker,
    /// An operator.
    Operator,
}

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

impl<'a> AuditContext<'a> {
    /// About the step at the cursor of a job.
    pub fn at_cursor(job: &'a Job, at: Timestamp, actor: Actor, policy_version: &'a str) -> Self {
        let CallKey { request_id, step, round, .. } = job.call_key();
        let tool = job.step().map_or("", |step| step.tool.as_str());
        Self { request_id, at, actor, step, round, tool, policy_version }
    }
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
