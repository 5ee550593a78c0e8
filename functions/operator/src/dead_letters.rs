//! `GET /v1/operator/dead-letters`: how many messages no worker could process. They are read and moved back with SQS's
//! own means; the reconciler wakes their jobs in any case.

use platform::http::{self, ApiError, Response};
use serde_json::json;

use crate::Operator;

/// Returns the approximate number of messages in the dead-letter queue.
pub(crate) async fn count(operator: &Operator) -> Result<Response, ApiError> {
    let count = operator.dead_letters.count().await.map_err(ApiError::unavailable)?;
    Ok(http::ok(&json!({ "count": count })))
}
