//! `DELETE /v1/sessions`: every session of the user dies, on every device, for reads too.

use lambda_http::Request;
use shared::{
    bearer,
    http::{self, Answer, ApiError},
};

use crate::EdgeAuth;

/// Logs a user out. A session that is dead already may not do it: a stolen old token would end the sessions after it.
pub(crate) async fn log_out(edge: &EdgeAuth, request: &Request) -> Result<Answer, ApiError> {
    let now = edge.world.now();
    let session = bearer::authenticate(request.headers(), &edge.keys()?.verifier, now)?;
    let user = edge.table.user(session.user_id).await.map_err(ApiError::unavailable)?;
    match user {
        None => return Err(bearer::no_session("no_user")),
        Some(user) if user.revokes(session.began_at) => return Err(bearer::no_session("revoked")),
        Some(_) => {}
    }
    // A session may have begun a little ahead of this clock. It dies nevertheless.
    let until = now.max(session.began_at);
    edge.table.revoke_sessions(session.user_id, until).await.map_err(ApiError::unavailable)?;
    Ok(http::no_content())
}
