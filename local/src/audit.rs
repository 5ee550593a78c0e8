//! Verifies audit chains and checkpoints without the service, from the table or from an export of it. Only one chain at
//! a time is in memory, however many there are.

mod anchors;
mod export;
mod keys;
mod source;
mod verify;

pub use export::{Exported, export};
pub use keys::trusted_keys;
pub use source::{AuditError, Source};
pub use verify::{Report, Scope, Verification, run};
