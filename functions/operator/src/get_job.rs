//! `GET /v1/operator/jobs/{job}`: one job by its support code, with its audit chain.

use domain::{
    audit::AuditHead,
    ids::{Digest, RequestId, UserId, parse_support_code, support_code},
    job::Job,
    view::JobView,
};
use platform::{
    http::{self, ApiError, Code, Response},
    telemetry::RequestLog,
};
use serde::Serialize;
use serde_json::Value;
use service::jobs::render_job;
use store::Stored;

use crate::{Operator, fault};

#[derive(Serialize)]
struct OneJob {
    job: String,
    user_id: UserId,
    view: JobView,
    audit: Chain,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<Anchor>,
}

#[derive(Serialize)]
struct Chain {
    /// As stored, without verification here: the client verifies them, and a chain that was tampered with is shown as
    /// it is.
    records: Vec<Value>,
    head: Head,
}

/// The head of a chain, as it is published.
#[derive(Debug, Serialize)]
pub(crate) struct Head {
    length: u64,
    digest: Digest,
}

/// The entry of a signed checkpoint for the chain.
#[derive(Debug, Serialize)]
pub(crate) struct Anchor {
    /// Number of the checkpoint.
    pub(crate) checkpoint: u64,
    /// Length of the chain at the time of the checkpoint.
    pub(crate) length: u64,
    /// Digest of its last record at that time.
    pub(crate) digest: Digest,
}

impl From<AuditHead> for Head {
    fn from(head: AuditHead) -> Self {
        Self { length: head.length, digest: head.digest }
    }
}

/// The user and the job that a support code names. From then on the log line of the request contains both.
pub(crate) fn named(code: &str, log: &mut RequestLog<'_>) -> Result<(UserId, RequestId), ApiError> {
    let (user, id) = parse_support_code(code).ok_or_else(|| ApiError::new(Code::NotFound))?;
    (log.user_id, log.request_id) = (Some(user), Some(id));
    Ok((user, id))
}

impl Operator {
    /// Reads a job with strong consistency.
    pub(crate) async fn job(&self, user: UserId, id: RequestId) -> Result<Box<Job>, ApiError> {
        match self.table.job(user, id).await.map_err(fault)? {
            Some(Stored::Job(job)) => Ok(job),
            Some(Stored::Newer) => Err(ApiError::try_again()),
            None => Err(ApiError::new(Code::NotFound)),
        }
    }

    /// The response that shows a job.
    pub(crate) async fn shown(&self, job: &Job) -> Result<Response, ApiError> {
        let (view, records, anchor) = tokio::join!(
            render_job(&self.table, self.policy.catalogue(), job, self.runtime.now()),
            self.table.audit_chain(job.user_id, job.request_id, job.audit),
            self.anchor(job),
        );
        Ok(http::ok(&OneJob {
            job: support_code(job.user_id, job.request_id),
            user_id: job.user_id,
            view: view.map_err(fault)?,
            audit: Chain { records: records.map_err(fault)?, head: job.audit.into() },
            anchor: anchor.map_err(fault)?,
        }))
    }
}

/// Returns one job.
pub(crate) async fn show(operator: &Operator, code: &str, log: &mut RequestLog<'_>) -> Result<Response, ApiError> {
    let (user, id) = named(code, log)?;
    let job = operator.job(user, id).await?;
    operator.shown(&job).await
}
