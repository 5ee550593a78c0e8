//! `local audit verify`: checks a chain without the service.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use shared::audit::{self, AuditHead};

use super::{Failure, output::say};
use crate::data::failed;

/// The answer of `GET /v1/jobs/{id}/audit`.
#[derive(Debug, Deserialize)]
pub(super) struct Chain {
    /// The job.
    pub(super) request_id: String,
    /// Every record, first to last.
    pub(super) records: Vec<Value>,
    head: Head,
}

/// The end of the chain, in its public spelling.
#[derive(Debug, Deserialize)]
struct Head {
    length: u64,
    digest: shared::digest::Digest,
}

impl Chain {
    /// Checks every link, and that every record is of this job.
    pub(super) fn verify(&self) -> Result<(), String> {
        let head = AuditHead { length: self.head.length, digest: self.head.digest };
        audit::verify(&self.records, head).map_err(|fault| fault.to_string())?;
        let foreign = self.records.iter().position(|record| record["request_id"] != *self.request_id);
        foreign.map_or(Ok(()), |place| Err(format!("record {} belongs to another job", place + 1)))
    }
}

/// Checks a saved answer.
pub(super) fn verify(file: &Path) -> Result<(), Failure> {
    let bytes = std::fs::read(file).map_err(failed(file, "read"))?;
    let chain: Chain = serde_json::from_slice(&bytes)
        .map_err(|error| format!("{} is not an audit answer: {error}", file.display()))?;
    chain.verify()?;
    say(format_args!("ok: {} records of job {}", chain.records.len(), chain.request_id));
    Ok(())
}
