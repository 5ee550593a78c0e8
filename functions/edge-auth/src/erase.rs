//! `DELETE /v1/users/me`: records the erasure of the user, refuses every session from now on, and wakes a worker, which
//! runs it. WeChat's events about users who leave record it, too.
//!
//! The request carries a fresh `wx.login` code, so that a stolen session token alone cannot erase anything. Once the
//! erasure is recorded, the answer is 202 with its report, also for a repetition, whose session is not valid any more:
//! the report has no personal data, and the signature of the session names the user.

use std::time::Duration;

use domain::{
    erasure::{Erasure, ErasureReason},
    ids::{Digest, RequestId, Timestamp, UserId},
};
use lambda_http::Request;
use platform::{
    http::{self, ApiError, Code, Response, body},
    queue::WakeUpMessage,
    telemetry::RequestLog,
    wechat::LoginCode,
};
use serde::Deserialize;
use service::session;

use crate::{EdgeAuth, charge, log_in};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    code: LoginCode,
}

pub(crate) async fn erase(edge: &EdgeAuth, request: &Request, log: &mut RequestLog<'_>) -> Result<Response, ApiError> {
    let now = edge.runtime.now();
    let session = edge.session(request, now, log).await?;
    let user = session.user_id;
    let Body { code } = body::read(request, r#"{"code": from wx.login}"#)?;
    let erasure = match known(edge, user).await? {
        Some(erasure) => erasure,
        None => match session::alive(&session, &edge.table).await {
            Ok(_) => {
                charge::charge(edge, user, now).await?;
                let logins = is_the_user(edge, user, &code).await?;
                recorded(edge, user, ErasureReason::UserRequest, logins, now).await?
            }
            // A concurrent request may have begun the erasure, and ended this session, since it was read.
            Err(refusal) => known(edge, user).await?.ok_or(refusal)?,
        },
    };
    log.request_id = Some(erasure.id);
    begin(edge, user, &erasure).await?;
    Ok(http::accepted(&erasure.view(user)))
}

async fn known(edge: &EdgeAuth, user: UserId) -> Result<Option<Erasure>, ApiError> {
    edge.table.erasure(user).await.map_err(ApiError::unavailable)
}

/// Exchanges the login code, which WeChat accepts once, and requires that it belongs to the user. Returns the logins.
async fn is_the_user(edge: &EdgeAuth, user: UserId, code: &LoginCode) -> Result<Vec<Digest>, ApiError> {
    let keys = edge.keys().await?;
    let openid = log_in::openid_of(edge, &keys, code).await?;
    let logins = log_in::logins(edge, &keys, &openid);
    match edge.table.find_login(&logins).await.map_err(ApiError::unavailable)? {
        Some((_, found)) if found == user => Ok(logins),
        Some(_) | None => Err(ApiError::new(Code::ErasureOtherUser)),
    }
}

/// Records an erasure, and begins it. Errors when the table does not answer: the caller repeats the request.
pub(crate) async fn record_and_begin(
    edge: &EdgeAuth,
    user: UserId,
    why: ErasureReason,
    logins: Vec<Digest>,
    now: Timestamp,
) -> Result<Erasure, ApiError> {
    let erasure = match known(edge, user).await? {
        Some(erasure) => erasure,
        None => recorded(edge, user, why, logins, now).await?,
    };
    begin(edge, user, &erasure).await?;
    Ok(erasure)
}

async fn recorded(
    edge: &EdgeAuth,
    user: UserId,
    why: ErasureReason,
    logins: Vec<Digest>,
    now: Timestamp,
) -> Result<Erasure, ApiError> {
    let erasure = Erasure::new(RequestId::made(now, edge.runtime.bytes()), why, logins, now);
    let erasure = edge.table.begin_erasure(user, erasure).await.map_err(ApiError::unavailable)?;
    tracing::info!(
        function = "edge-auth", user_id = %user, request_id = %erasure.id, reason = why.name(), "a user is erased"
    );
    Ok(erasure)
}

/// Ends the user's sessions at once, and wakes the worker that does the rest. If the message is lost, `sweep` sends
/// another one within a minute.
async fn begin(edge: &EdgeAuth, user: UserId, erasure: &Erasure) -> Result<(), ApiError> {
    if erasure.finished_at.is_some() {
        return Ok(());
    }
    edge.table.mark_erased(user, erasure.id).await.map_err(ApiError::unavailable)?;
    let message = WakeUpMessage::of_erasure(user, erasure.id);
    if let Err(error) = edge.queue.wake(&message, Duration::ZERO).await {
        edge.runtime.count(platform::metrics::Metric::WakeUpFailures);
        tracing::warn!(
            function = "edge-auth", request_id = %erasure.id, error = %error, "an erasure was recorded, but not woken; sweep wakes it"
        );
    }
    Ok(())
}
