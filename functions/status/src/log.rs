//! One line for each request, with field names from `telemetry::FIELDS`.

use std::time::Duration;

use shared::{
    http::{Answer, ApiError},
    request_id::RequestId,
    user_id::UserId,
};

use crate::routes::Route;

/// What became known of a request on the way to its answer.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) route: Option<Route>,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) user_id: Option<UserId>,
}

/// Our fault is an error, the client's is information, and a read that went well is worth a line only to who looks for it.
pub(crate) fn line(asked: &Asked, answered: &Result<Answer, ApiError>, took: Duration) {
    // The raw path is the client's text, and the query may hold a cursor.
    let route = asked.route.map_or("other", Route::name);
    let request_id = asked.request_id.map(tracing::field::display);
    let user_id = asked.user_id.map(tracing::field::display);
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match answered {
        Ok(answer) => {
            let status = answer.status();
            if status.is_server_error() {
                tracing::info!(
                    function = "status",
                    route,
                    status = status.as_u16(),
                    request_id,
                    user_id,
                    duration_ms,
                    "answered"
                );
            } else {
                tracing::debug!(
                    function = "status",
                    route,
                    status = status.as_u16(),
                    request_id,
                    user_id,
                    duration_ms,
                    "answered"
                );
            }
        }
        Err(error) => {
            let (status, code, inside) = (error.code.status(), error.code.text(), error.inside());
            if status.is_server_error() {
                tracing::error!(
                    function = "status",
                    route,
                    status = status.as_u16(),
                    code,
                    request_id,
                    user_id,
                    duration_ms,
                    error = inside,
                    "a read failed"
                );
            } else {
                tracing::info!(
                    function = "status",
                    route,
                    status = status.as_u16(),
                    code,
                    request_id,
                    user_id,
                    duration_ms,
                    reason = inside,
                    "refused"
                );
            }
        }
    }
}
