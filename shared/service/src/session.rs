//! Whether the session of a request is still alive: the token says who, the user item whether it was revoked.

use domain::{access::session::Session, limits::admission::UserState};
use platform::http::{ApiError, bearer::no_session};
use store::Table;

/// The user of a session that is still alive: the user exists, and has not revoked it.
pub async fn alive(session: &Session, table: &Table) -> Result<UserState, ApiError> {
    match table.user(session.user_id).await.map_err(ApiError::unavailable)? {
        None => Err(no_session("no_user")),
        Some(user) if user.revokes(session.began_at) => Err(no_session("revoked")),
        Some(user) => Ok(user),
    }
}
