//! Checks the session of a request against the user's item, which has the time of the last revocation.

use domain::{access::session::Session, ids::RequestId, limits::admission::UserState};
use platform::http::{ApiError, Code, bearer::no_session};
use store::{KnownId, Stored, Table, TableError, UserAndJob};

/// The user of a valid session: the user exists, and has not revoked the session.
pub async fn alive(session: &Session, table: &Table) -> Result<UserState, ApiError> {
    check(session, table.user(session.user_id).await.map_err(ApiError::unavailable)?)
}

/// The user of a valid session, with one of their jobs.
#[derive(Debug)]
pub struct OwnJob {
    /// The user.
    pub user: UserState,
    /// The job, if it can be read; `None` if there is none.
    pub job: Result<Option<Stored>, TableError>,
}

/// The user of a valid session and their job of this id, by one request to the table. Invariant 10, *own data only*:
/// the job is read in the user's partition, so another user's job is not found.
pub async fn alive_with_job(session: &Session, table: &Table, id: RequestId) -> Result<OwnJob, ApiError> {
    let UserAndJob { user, job } = table.user_and_job(session.user_id, id).await.map_err(ApiError::unavailable)?;
    Ok(OwnJob { user: check(session, user)?, job })
}

/// The same for an id that may start a job. An id that an erased user has used may not: a login after the erasure leads
/// to a new user, and the job would run again.
pub async fn alive_with_new_id(session: &Session, table: &Table, id: RequestId) -> Result<OwnJob, ApiError> {
    let KnownId { own: UserAndJob { user, job }, used } =
        table.known_id(session.user_id, id).await.map_err(ApiError::unavailable)?;
    let user = check(session, user)?;
    if used && matches!(job, Ok(None)) {
        return Err(ApiError::new(Code::RequestIdErased));
    }
    Ok(OwnJob { user, job })
}

/// The same for an id in a path. An id that is malformed has no job, and is `not_found` for a valid session only, like
/// one without a job.
pub async fn alive_with_named_job(session: &Session, table: &Table, id: Option<RequestId>) -> Result<OwnJob, ApiError> {
    match id {
        Some(id) => alive_with_job(session, table, id).await,
        None => {
            alive(session, table).await?;
            Err(ApiError::new(Code::NotFound))
        }
    }
}

fn check(session: &Session, user: Option<UserState>) -> Result<UserState, ApiError> {
    match user {
        None => Err(no_session("no_user")),
        Some(user) if user.revokes(session.began_at) => Err(no_session("revoked")),
        Some(user) => Ok(user),
    }
}
