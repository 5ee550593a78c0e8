//! `GET /v1/operator/jobs/{job}`: one job by its support code, with its audit chain.

use domain::{
    audit::checkpoint::End,
    ids::{Digest, RequestId, UserId, parse_support_code, support_code},
    job::Job,
    view::{JobView, MessageView},
};
use futures_util::future::BoxFuture;
use platform::{
    http::{self, ApiError, Code, Response},
    telemetry::RequestLog,
};
use serde::Serialize;
use serde_json::Value;
use service::jobs::{known_job, render_job};

use crate::Operator;

#[derive(Serialize)]
struct OneJob {
    job: String,
    user_id: UserId,
    view: JobView,
    /// Messages of WeChat about the job.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<MessageView>,
    audit: Chain,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<Anchor>,
}

#[derive(Serialize)]
struct Chain {
    /// As stored, without verification here: the client verifies them, and a chain that was tampered with is shown as
    /// it is.
    records: Vec<Value>,
    head: End,
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

/// The user and the job that a support code names. From then on the log line of the request contains both.
pub(crate) fn named(code: &str, log: &mut RequestLog<'_>) -> Result<(UserId, RequestId), ApiError> {
    let (user, id) = parse_support_code(code).ok_or_else(|| ApiError::new(Code::NotFound))?;
    (log.user_id, log.request_id) = (Some(user), Some(id));
    Ok((user, id))
}

impl Operator {
    /// Reads a job with strong consistency.
    pub(crate) async fn job(&self, user: UserId, id: RequestId) -> Result<Box<Job>, ApiError> {
        known_job(self.table.job(user, id).await?)
    }

    /// The response that shows a job.
    ///
    /// Boxed here: in a debug build the frames of its callers would have room for all that is read.
    pub(crate) fn shown<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Response, ApiError>> {
        Box::pin(self.show_job(job))
    }

    /// The response to an accepted decision. Sends a wake-up message when the job may run, also for a repeated decision:
    /// the first message may have been lost.
    pub(crate) async fn woken(&self, job: &Job) -> Result<Response, ApiError> {
        self.jobs().wake_if_due(job).await;
        self.shown(job).await
    }

    async fn show_job(&self, job: &Job) -> Result<Response, ApiError> {
        let now = self.runtime.now();
        let (view, notices, records, anchor) = tokio::join!(
            render_job(&self.table, self.policy.catalogue(), job, now),
            self.table.notices(job),
            self.table.audit_chain(job.user_id, job.request_id, job.audit),
            self.anchor(job),
        );
        Ok(http::ok(&OneJob {
            job: support_code(job.user_id, job.request_id),
            user_id: job.user_id,
            view: view?,
            messages: notices?.iter().map(|(notice, record)| MessageView::of(*notice, record, now)).collect(),
            audit: Chain { records: records?, head: job.audit.into() },
            anchor: anchor?,
        }))
    }
}

/// Returns one job.
pub(crate) async fn show(operator: &Operator, code: &str, log: &mut RequestLog<'_>) -> Result<Response, ApiError> {
    let (user, id) = named(code, log)?;
    let job = operator.job(user, id).await?;
    operator.shown(&job).await
}
