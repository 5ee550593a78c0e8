//! The audit chain of a job: one record for each decision, intent and outcome, which contains the digest of the
//! previous one.
//!
//! A record is put first, under a key of its own; the next `rev` of the job then stores the new head. Readers ignore
//! records that the head does not lead to, so two concurrent writers cannot fork a chain. Records contain digests of
//! arguments and results under the job's own key, and no personal data.

pub mod checkpoint;
mod event;
mod head;
mod record;
mod side_chains;
mod verify;

pub use event::{AgentCall, AuditEvent, ProposalDecision, StepDecision};
pub use head::AuditHead;
pub use record::{AuditContext, AuditRecord};
pub use side_chains::{ChainName, ChainRecord, OperatorActor, OperatorEvent, RefusalEvent};
pub use verify::{ChainFault, Owner, Verifier, verify};
