//! `POST /v1/sessions`: exchanges a code from `wx.login` for a session token.
//!
//! The client's address is charged before WeChat is called, so that made-up codes cannot use up the app's quota there.

use std::{net::IpAddr, sync::Arc, time::Duration};

use domain::{
    ids::{Digest, DigestKey, Timestamp, UserId},
    limits::{RateDecision, admission::UserState},
    risk::LimitChange,
};
use lambda_http::{Request, RequestExt, request::RequestContext};
use platform::{
    http::{self, ApiError, Code, Response, body},
    metrics::{Dimension, Metric},
    telemetry::RequestLog,
    wechat::{LoginCode, OpenId, WechatError},
};
use serde::Deserialize;
use serde_json::json;

use crate::{EdgeAuth, EdgeKeys, risk, wake_held::wake_held};

/// When a user whose erasure has just begun may try to log in again.
const ERASURE_TAKES: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogIn {
    code: LoginCode,
}

/// Logs a user in. A user is created when no login key finds the openid.
pub(crate) async fn log_in(edge: &EdgeAuth, request: &Request, log: &mut RequestLog<'_>) -> Result<Response, ApiError> {
    let outcome = new_session(edge, request, log).await;
    let name = match &outcome {
        Ok(_) => "ok",
        Err(error) if error.code == Code::Internal => "misconfigured",
        Err(error) if error.code.status().is_server_error() => "unavailable",
        Err(_) => "refused",
    };
    edge.runtime.measure(&[(Metric::Logins, 1.0)], &[(Dimension::Outcome, name)]);
    outcome
}

async fn new_session(edge: &EdgeAuth, request: &Request, log: &mut RequestLog<'_>) -> Result<Response, ApiError> {
    let code = parse(request)?;
    let keys = edge.keys().await?;
    let address = source_ip(request);
    charge_address(edge, &address_digest(keys.logins.first(), address), edge.runtime.now()).await?;

    let openid = openid_of(edge, &keys, &code).await?;
    let logins = logins(edge, &keys, &openid);
    let limit = risk::limit(edge, &keys, (&openid, &logins), address).await?;

    // Read after WeChat's answers, which may take seconds: a worker compares this time with that of its last look.
    let now = edge.runtime.now();
    let (user_id, user) = record(edge, &logins, (&openid, limit), now, log).await?;
    // Sessions that began at or before `not_before` are revoked, and this login came after the revocation that was just
    // read.
    let began_at = now.max(user.not_before.plus(Duration::from_millis(1)));
    let (token, session) = keys
        .signer
        .mint(user_id, began_at, edge.config.session_lifetime)
        .map_err(|error| ApiError::new(Code::Internal).because(error))?;
    wake_held(edge, user_id, &user).await;
    Ok(http::created(&json!({
        "token": token,
        "token_type": "Bearer",
        "expires_at": session.expires_at.to_string(),
        "user_id": user_id,
    })))
}

/// Finds the user of an openid, or creates one, and records the login. A login of a user who is being erased
/// is refused until every request id of that user is stored as used: a new user could repeat such a request. Afterwards
/// the login leads to a new user.
async fn record(
    edge: &EdgeAuth,
    logins: &[Digest],
    (openid, limit): (&OpenId, LimitChange),
    now: Timestamp,
    log: &mut RequestLog<'_>,
) -> Result<(UserId, UserState), ApiError> {
    let fresh = UserId::from_random(edge.runtime.bytes());
    let user_id = edge.table.find_or_create_login(logins, fresh).await.map_err(ApiError::unavailable)?;
    log.user_id = Some(user_id);
    let user = edge.table.record_login(user_id, openid.expose(), limit, now).await.map_err(ApiError::unavailable)?;
    if user.erasure.is_none() {
        return Ok((user_id, user));
    }
    if !user.unlinked {
        return Err(ApiError::new(Code::ErasureOpen).retry_after(ERASURE_TAKES));
    }
    // The login was found before the erasure deleted it, or a concurrent login has stored it again under another key.
    let fresh = UserId::from_random(edge.runtime.bytes());
    for login in logins {
        if !edge.table.move_login(*login, user_id, fresh).await.map_err(ApiError::unavailable)? {
            return Err(ApiError::try_again());
        }
    }
    log.user_id = Some(fresh);
    let user = edge.table.record_login(fresh, openid.expose(), limit, now).await.map_err(ApiError::unavailable)?;
    Ok((fresh, user))
}

/// Exchanges the login code for its openid at WeChat, which accepts a code once.
pub(crate) async fn openid_of(edge: &EdgeAuth, keys: &Arc<EdgeKeys>, code: &LoginCode) -> Result<OpenId, ApiError> {
    let answer = ask_wechat(edge, keys, code).await;
    answer.map_err(|error| {
        match &error {
            WechatError::Misconfigured { errcode } => tracing::error!(
                function = "edge-auth",
                errcode,
                "WeChat refuses this service's configuration: no user can log in"
            ),
            WechatError::Limited { errcode, .. } => {
                tracing::warn!(function = "edge-auth", errcode, "a quota of WeChat for logins is used up");
            }
            WechatError::CodeRejected { .. }
            | WechatError::Blocked
            | WechatError::Busy
            | WechatError::Unintelligible { .. }
            | WechatError::Unreachable(_)
            | WechatError::Other { .. } => {}
        }
        refusal(error)
    })
}

/// The digests under which an openid is stored: one for each login key.
pub(crate) fn logins(edge: &EdgeAuth, keys: &EdgeKeys, openid: &OpenId) -> Vec<Digest> {
    let app_id = edge.config.wechat_app_id.as_str();
    keys.logins.iter().map(|key| openid.login(app_id, key)).collect()
}

/// Tries the listed app secrets in order. WeChat checks the secret before the code, so a refused secret does not spend
/// the code. When every secret is refused, the cached ones may be outdated: they are read again and tried once more.
async fn ask_wechat(edge: &EdgeAuth, keys: &Arc<EdgeKeys>, code: &LoginCode) -> Result<OpenId, WechatError> {
    let refused = match show_each_secret(edge, keys, code).await {
        Err(error) if error.refuses_the_secret() => error,
        answer => return answer,
    };
    edge.secrets.expire(&edge.runtime);
    match edge.keys().await {
        Ok(fresh) if !Arc::ptr_eq(&fresh, keys) => show_each_secret(edge, &fresh, code).await,
        _ => Err(refused),
    }
}

async fn show_each_secret(edge: &EdgeAuth, keys: &EdgeKeys, code: &LoginCode) -> Result<OpenId, WechatError> {
    let app_id = edge.config.wechat_app_id.as_str();
    let mut answer = edge.wechat.code_to_session(app_id, keys.app_secrets.first(), code).await;
    for secret in keys.app_secrets.iter().skip(1) {
        match &answer {
            Err(error) if error.refuses_the_secret() => {
                answer = edge.wechat.code_to_session(app_id, secret, code).await;
            }
            _ => break,
        }
    }
    answer
}

fn parse(request: &Request) -> Result<LoginCode, ApiError> {
    let body: LogIn = body::read(request, r#"{"code": …} with 1 to 128 visible ASCII characters"#)?;
    Ok(body.code)
}

async fn charge_address(edge: &EdgeAuth, address: &Digest, now: Timestamp) -> Result<(), ApiError> {
    let nonce = edge.runtime.nonce();
    let charged = edge.table.charge_address(address, edge.config.login_rate, now, &nonce).await;
    match charged.map_err(ApiError::unavailable)? {
        RateDecision::Pass(_) => Ok(()),
        RateDecision::Wait(wait) => Err(ApiError::new(Code::RateLimited).retry_after(wait)),
    }
}

/// The client's address as API Gateway saw it. Forwarding headers are ignored, since a client can set them.
fn source_ip(request: &Request) -> Option<IpAddr> {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref()?.parse().ok(),
        _ => None,
    }
}

/// Keyed digest of an address, so that the address itself is not stored. An IPv6 address counts by its /64, which one
/// household has as a whole; all requests without an address share one digest.
fn address_digest(key: &DigestKey, address: Option<IpAddr>) -> Digest {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => key.digest(&[b"address", &address.octets()]),
        Some(IpAddr::V6(address)) => key.digest(&[b"address", &address.octets()[..8]]),
        None => key.digest(&[b"address"]),
    }
}

/// Maps an error of WeChat to the error for the client.
fn refusal(error: WechatError) -> ApiError {
    let (code, retry_after) = match &error {
        WechatError::CodeRejected { .. } => (Code::LoginCodeRejected, None),
        WechatError::Blocked => (Code::LoginBlocked, None),
        WechatError::Limited { wait, .. } => (Code::LoginLimited, Some(*wait)),
        WechatError::Misconfigured { .. } => (Code::Internal, None),
        WechatError::Busy
        | WechatError::Unreachable(_)
        | WechatError::Unintelligible { .. }
        | WechatError::Other { .. } => (Code::WechatUnavailable, Some(Duration::from_secs(1))),
    };
    let answer = ApiError::new(code).because(error);
    match retry_after {
        Some(wait) => answer.retry_after(wait),
        None => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::Body;

    #[test]
    fn a_body_is_a_code_and_nothing_else() {
        let parse = |body: &str| {
            let mut request = Request::new(Body::from(body));
            request.headers_mut().insert("content-type", "application/json".parse().unwrap());
            parse(&request).err()
        };
        assert!(parse(r#"{"code":"0a1B2c3D"}"#).is_none());
        for body in [
            "{}",
            "[]",
            "null",
            r#""0a1B2c3D""#,
            r#"{"code":null}"#,
            r#"{"code":7}"#,
            r#"{"code":""}"#,
            r#"{"code":"a b"}"#,
            r#"{"Code":"0a1B2c3D"}"#,
            r#"{"code":"0a1B2c3D","openid":"o"}"#,
        ] {
            let error = parse(body).expect(body);
            assert_eq!(error.code, Code::BodyInvalid, "{body}");
            assert!(!format!("{:?}", error.into_response().body()).contains("0a1B2c3D"), "{body}");
        }
    }

    #[test]
    fn an_address_is_one_ipv4_or_a_64_of_ipv6() {
        let key = DigestKey::from_random([7; 32]);
        let digest = |text: &str| address_digest(&key, text.parse().ok());
        for (one, other, same) in [
            ("203.0.113.9", "203.0.113.9", true),
            ("203.0.113.9", "203.0.113.10", false),
            ("203.0.113.9", "::ffff:203.0.113.9", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("", "not an address", true),
            ("", "203.0.113.9", false),
            ("", "::", false),
        ] {
            assert_eq!(digest(one) == digest(other), same, "{one} {other}");
        }
    }

    #[test]
    fn each_refusal_of_wechat_has_its_code_and_its_wait() {
        let unintelligible = WechatError::Unintelligible { reason: "too long", status: 200 };
        for (error, code, wait) in [
            (WechatError::CodeRejected { errcode: 40029 }, Code::LoginCodeRejected, None),
            (WechatError::Blocked, Code::LoginBlocked, None),
            (
                WechatError::Limited { errcode: 45009, wait: Duration::from_secs(3600) },
                Code::LoginLimited,
                Some("3600"),
            ),
            (WechatError::Misconfigured { errcode: 40125 }, Code::Internal, None),
            (WechatError::Busy, Code::WechatUnavailable, Some("1")),
            (WechatError::Other { errcode: 48001 }, Code::WechatUnavailable, Some("1")),
            (unintelligible, Code::WechatUnavailable, Some("1")),
        ] {
            let text = error.to_string();
            let refusal = refusal(error);
            assert_eq!(refusal.code, code, "{text}");
            assert_eq!(refusal.inside(), Some(text));
            let answer = refusal.into_response();
            assert_eq!(answer.headers().get("retry-after").map(|value| value.to_str().unwrap()), wait);
        }
    }
}
