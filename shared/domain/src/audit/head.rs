//! The head of an audit chain.

use serde::{Deserialize, Serialize};

use crate::ids::Digest;

/// Length and last digest of a chain. For a job it is stored in the job's item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Number of records.
    #[serde(rename = "n")]
    pub length: u64,
    /// Digest of the last record.
    #[serde(rename = "h")]
    pub digest: Digest,
}

impl AuditHead {
    /// The head of a chain without records.
    pub const EMPTY: Self = Self { length: 0, digest: Digest::ZERO };
}
