//! The end of an audit chain.

use serde::{Deserialize, Serialize};

use crate::ids::Digest;

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
