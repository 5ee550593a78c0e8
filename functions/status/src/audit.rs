//! `GET /v1/jobs/{id}/audit`: the audit chain of the user's own job, with everything needed to verify it offline.

use domain::{audit::checkpoint::End, ids::RequestId, job::Job};
use platform::http::{self, ApiError, Code, Response};
use serde::Serialize;
use serde_json::Value;

use crate::Status;

#[derive(Serialize)]
struct Chain {
    request_id: RequestId,
    /// The canonical values that were digested.
    records: Vec<Value>,
    head: End,
    /// The key of the digests of arguments and results. `None` once the payload is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest_key: Option<String>,
}

/// The head counts more records than the table has.
#[derive(Debug, thiserror::Error)]
#[error("the audit chain should have {expected} records, {found} are there")]
struct ChainTooShort {
    expected: u64,
    found: usize,
}

/// Returns the chain. Missing records are an error, so that a truncated chain cannot be mistaken for a whole one.
pub(crate) async fn audit(status: &Status, job: &Job) -> Result<Response, ApiError> {
    let (user, id) = (job.user_id, job.request_id);
    let (chain, key) =
        tokio::join!(status.table.audit_chain(user, id, job.audit), status.table.digest_key(user, id, job.fingerprint));
    let (records, key) = (chain?, key?);
    if records.len() as u64 != job.audit.length {
        let fault = ChainTooShort { expected: job.audit.length, found: records.len() };
        return Err(ApiError::new(Code::Internal).because(fault));
    }
    Ok(http::ok(&Chain { request_id: id, records, head: job.audit.into(), digest_key: key.map(Into::into) }))
}
