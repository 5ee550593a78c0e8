//! Checks the session of a request against the user's item, which has the time of the last revocation.

use domain::{access::session::Session, limits::admission::UserState};
use platform::http::{ApiError, bearer::no_session};
use store::Table;

/// The user of a valid session: the user exists, and has not revoked the session.
pub async fn alive(session: &Session, table: &Table) -> Result<UserState, ApiError> {
    match table.user(session.user_id).await.map_err(ApiError::unavailable)? {
        None => Err(no_session("no_user")),
        Some(user) if user.revokes(session.began_at) => Err(no_session("revoked")),
        Some(user) => Ok(user),
    }
}
