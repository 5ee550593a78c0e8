//! Where a result is kept.

use serde::{Deserialize, Serialize};

use crate::ids::Digest;

/// Where the result of the last step is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResultRef {
    /// Small: canonical JSON, here, so that a poll reads one item.
    #[serde(rename = "i")]
    Inline(String),
    /// In a record of its own, named by its digest.
    #[serde(rename = "s")]
    Stored(Digest),
    /// Over the cap: the tool ran, its result was not kept.
    #[serde(rename = "o")]
    Omitted,
}
