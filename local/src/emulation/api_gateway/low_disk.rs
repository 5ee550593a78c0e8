//! What changes while the disk of the table is nearly full: new jobs are refused, and readiness says why.

use std::time::Duration;

use domain::json;
use http::{Method, StatusCode};
use lambda_http::Body;
use platform::http::{ApiError, Code, Response};
use serde_json::Value;

/// After which time a client repeats its submission: an operator has to make room first.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Whether a request is a submission, or asks for readiness.
pub(super) fn concerns(method: &Method, path: &str) -> bool {
    (method == Method::POST && path == "/v1/jobs") || (method == Method::GET && path == "/readyz")
}

/// The response to a submission. Nothing was recorded, so the client repeats the same request later.
pub(super) fn refusal() -> ApiError {
    ApiError::new(Code::Unavailable).retry_after(RETRY_AFTER)
}

/// The response of readiness with `disk_low` among what fails.
pub(super) fn not_ready(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let text = match &body {
        Body::Text(text) => text.as_bytes(),
        Body::Binary(bytes) => bytes,
        _ => &[],
    };
    let Ok(mut readiness) = json::kept::<Value>(text) else { return Response::from_parts(parts, body) };
    if let Some(failing) = readiness["failing"].as_array_mut() {
        failing.push("disk_low".into());
    }
    readiness["ready"] = false.into();
    parts.status = StatusCode::SERVICE_UNAVAILABLE;
    Response::from_parts(parts, Body::Text(readiness.to_string()))
}
