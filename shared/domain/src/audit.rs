//! The audit chain of a job: one record for each decision, intent and outcome, each naming the digest of the one before.
//!
//! Records are put first, under a key of their own; the job's next `rev` then names the new head. A record that the head
//! does not reach does not exist, so two writers cannot fork a chain. Records hold digests of arguments and results, keyed
//! with the job's own key, and no personal data.

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
