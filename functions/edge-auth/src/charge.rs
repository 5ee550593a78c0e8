//! The user's rate.

use domain::{ids::UserId, limits::RateDecision};
use platform::http::{ApiError, Code};

use crate::EdgeAuth;

/// Charges a refused request. Returns the refusal, or 429 when the user's rate is used up.
pub(crate) async fn charged(edge: &EdgeAuth, user: UserId, refusal: ApiError) -> ApiError {
    charge(edge, user).await.err().unwrap_or(refusal)
}

/// Charges one request to the user's rate. Errors with 429 when the rate is used up.
pub(crate) async fn charge(edge: &EdgeAuth, user: UserId) -> Result<(), ApiError> {
    let (now, nonce, rate) = (edge.runtime.now(), edge.runtime.nonce(), edge.config.limits.submissions);
    match edge.table.charge_user(user, rate, now, &nonce).await.map_err(ApiError::unavailable)? {
        RateDecision::Pass(_) => Ok(()),
        RateDecision::Wait(wait) => Err(ApiError::new(Code::RateLimited).retry_after(wait)),
    }
}
