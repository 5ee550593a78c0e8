//! The user's rate.

use domain::{
    ids::{Timestamp, UserId},
    limits::RateDecision,
};
use platform::http::{ApiError, Code};

use crate::EdgeAuth;

/// Charges a refused request. Returns the refusal, or 429 when the user's rate is used up.
pub(crate) async fn charged(edge: &EdgeAuth, user: UserId, now: Timestamp, refusal: ApiError) -> ApiError {
    charge(edge, user, now).await.err().unwrap_or(refusal)
}

/// Charges one request to the user's rate. Errors with 429 when the rate is used up.
pub(crate) async fn charge(edge: &EdgeAuth, user: UserId, now: Timestamp) -> Result<(), ApiError> {
    let (nonce, rate) = (edge.runtime.nonce(), edge.config.limits.submissions);
    match edge.table.charge_user(user, rate, now, &nonce).await.map_err(ApiError::unavailable)? {
        RateDecision::Pass(_) => Ok(()),
        RateDecision::Wait(wait) => Err(ApiError::new(Code::RateLimited).retry_after(wait)),
    }
}
