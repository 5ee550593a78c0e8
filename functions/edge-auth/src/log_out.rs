//! `DELETE /v1/sessions`: every session of the user dies, on every device, for reads too.

use lambda_http::Request;
use platform::{
    http::{self, ApiError, Response},
    telemetry::RequestLog,
};
use service::session;

use crate::EdgeAuth;

/// Logs a user out. A session that is dead already may not do it: a stolen old token would end the sessions after it.
pub(crate) async fn log_out(
    edge: &EdgeAuth,
    request: &Request,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let now = edge.runtime.now();
    let session = edge.session(request, log).await?;
    session::alive(&session, &edge.table).await?;
    // A session may have begun a little ahead of this clock. It dies nevertheless.
    let until = now.max(session.began_at);
    edge.table.revoke_sessions(session.user_id, until).await.map_err(ApiError::unavailable)?;
    Ok(http::no_content())
}
