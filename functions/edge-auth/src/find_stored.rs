//! The stage *find stored* of a submission: a request id whose job is known gets this job, and nothing is charged.

use domain::{
    access::session::Session,
    ids::{RequestId, Timestamp, UserId},
    job::submission::Submission,
    limits::admission::UserState,
};
use http::header;
use platform::{
    http::{self as answers, ApiError, Code, Response},
    metrics::Metric,
};
use service::session::{self, OwnJob};
use store::Stored;

use crate::{EdgeAuth, poll_headers::point_to};

/// The user of the session, and the job of this id. Both are read with strong consistency, by one request. A session
/// that was revoked is refused before anything else.
pub(crate) async fn find(
    edge: &EdgeAuth,
    session: &Session,
    id: RequestId,
) -> Result<(UserState, Option<Stored>), ApiError> {
    let OwnJob { user, job } = session::alive_with_new_id(session, &edge.table, id).await?;
    Ok((user, job.map_err(ApiError::unavailable)?))
}

/// Reads the job of this id again, with strong consistency.
pub(crate) async fn find_again(edge: &EdgeAuth, user: UserId, id: RequestId) -> Result<Option<Stored>, ApiError> {
    edge.table.job(user, id).await.map_err(ApiError::unavailable)
}

/// Invariant 6, *same id, same request*: the same payload gets the stored job, another payload is refused. For a job
/// that is due a wake-up message is sent again, so that a client's retry makes up for a lost one.
pub(crate) async fn replay(
    edge: &EdgeAuth,
    stored: &Stored,
    submission: &Submission,
    now: Timestamp,
) -> Result<Response, ApiError> {
    let Stored::Job(job) = stored else {
        return Err(ApiError::try_again());
    };
    let key =
        edge.table.digest_key(job.user_id, job.request_id, job.fingerprint).await.map_err(ApiError::unavailable)?;
    // An erased payload has no digest key to compare with, so the stored job is returned.
    if key.as_ref().is_some_and(|key| submission.fingerprint(key) != job.fingerprint) {
        return Err(ApiError::new(Code::KeyReused));
    }
    edge.jobs().wake_if_due(job).await;
    let view = edge.render(job, now).await?;
    let mut answer = answers::ok(&view);
    answers::set(&mut answer, header::HeaderName::from_static("idempotent-replayed"), "true");
    edge.runtime.count(Metric::JobsReplayed);
    Ok(point_to(answer, job, &view))
}
