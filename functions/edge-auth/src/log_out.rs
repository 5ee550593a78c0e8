//! `DELETE /v1/sessions`: revokes every session of the user, on every device, for reads too.

use lambda_http::Request;
use platform::{
    http::{self, ApiError, Response},
    telemetry::RequestLog,
};
use service::session;

use crate::EdgeAuth;

/// Logs a user out. A revoked session may not: a stolen old token could otherwise end newer sessions.
pub(crate) async fn log_out(
    edge: &EdgeAuth,
    request: &Request,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let now = edge.runtime.now();
    let session = edge.session(request, now, log).await?;
    session::alive(&session, &edge.table).await?;
    // The session may have begun a little ahead of this clock, and has to be revoked too.
    let until = now.max(session.began_at);
    edge.table.revoke_sessions(session.user_id, until).await.map_err(ApiError::unavailable)?;
    Ok(http::no_content())
}
