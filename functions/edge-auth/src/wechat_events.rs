//! `/v1/wechat/events`: messages that WeChat pushes. `GET` verifies the URL for WeChat's console, `POST` is a message.
//!
//! Only the signature is the authorization. Without `wechat.events` in the secret, both answer 404. A message is
//! answered when it is remembered: WeChat waits for five seconds, and repeats what is not answered with `success`.

use std::sync::Arc;

use domain::ids::{DigestKey, UserId};
use lambda_http::Request;
use platform::{
    http::{self, ApiError, Code, Response, body, query},
    metrics::{Dimension, Metric},
    wechat::{
        OpenId,
        events::{EventSecrets, PushQuery, Refused, UserChange, WechatEvent},
    },
};

use crate::{EdgeAuth, EdgeKeys, log_in};

/// The answer after which WeChat does not repeat a message.
const RECEIVED: &str = "success";
/// Longest `echostr`. WeChat's have about 20 digits.
const MAX_ECHO: usize = 128;

/// Returns the text that WeChat's console expects from the owner of the token.
pub(crate) async fn verify_url(edge: &EdgeAuth, request: &Request) -> Result<Response, ApiError> {
    let keys = edge.keys().await?;
    let once = DigestKey::from_random(edge.runtime.bytes());
    secrets(&keys)?.verify(&push_query(request)?, edge.runtime.now(), &once).map_err(refusal)?;
    let echo = parameter(request, "echostr")?;
    let plain = (1..=MAX_ECHO).contains(&echo.len()) && echo.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain { Ok(http::plain(echo)) } else { Err(ApiError::new(Code::EventRefused)) }
}

/// Receives a message.
pub(crate) async fn receive(edge: &EdgeAuth, request: &Request) -> Result<Response, ApiError> {
    let keys = edge.keys().await?;
    let (bytes, query, now) = (body::bytes(request)?, push_query(request)?, edge.runtime.now());
    let once = DigestKey::from_random(edge.runtime.bytes());
    let message = secrets(&keys)?.open(&query, bytes, &edge.config.wechat_app_id, now, &once).map_err(refusal)?;
    let event = WechatEvent::parse(&message);
    // Before the message is remembered: if the table does not answer here, WeChat sends it again.
    // The line comes first too: a marker whose write was not answered makes the repetition a duplicate, and a second
    // line is harmless where a missing one leaves the data of a user who has left.
    if let Some((reason, user_id)) = leaving_user(edge, &keys, event.as_ref()).await? {
        tracing::warn!(
            function = "edge-auth",
            user_id = user_id.map(tracing::field::display),
            reason,
            "a user's data has to be erased, which this version does not do by itself"
        );
    }
    // The message itself, not the push: WeChat encrypts a repetition anew.
    let digest = keys.logins.first().digest(&[b"wechat event", &message]);
    let remembered = edge.table.remember_event(digest, now, &edge.runtime.nonce()).await;
    if !remembered.map_err(ApiError::unavailable)? {
        count(edge, "duplicate");
        return Ok(http::plain(RECEIVED));
    }
    match &event {
        // A repetition would be no better, so it is not asked for.
        None => count(edge, "malformed"),
        Some(event) => event.reports().iter().for_each(|report| count(edge, report.name())),
    }
    Ok(http::plain(RECEIVED))
}

/// The event's name and the user of an event after which the user's data has to be erased. An openid that never logged
/// in has no user.
async fn leaving_user(
    edge: &EdgeAuth,
    keys: &Arc<EdgeKeys>,
    event: Option<&WechatEvent>,
) -> Result<Option<(&'static str, Option<UserId>)>, ApiError> {
    let (reason, change) = match event {
        Some(WechatEvent::AuthorizationRevoked(change)) => ("authorization_revoked", change),
        Some(WechatEvent::AuthorizationCancelled(change)) => ("authorization_cancelled", change),
        Some(
            WechatEvent::Subscriptions { .. }
            | WechatEvent::Deliveries { .. }
            | WechatEvent::MediaChecked(_)
            | WechatEvent::Unknown,
        )
        | None => return Ok(None),
    };
    let UserChange { openid } = change;
    Ok(Some((reason, user_of(edge, keys, openid).await?)))
}

async fn user_of(edge: &EdgeAuth, keys: &EdgeKeys, openid: &OpenId) -> Result<Option<UserId>, ApiError> {
    let found = edge.table.find_login(&log_in::logins(edge, keys, openid)).await;
    Ok(found.map_err(ApiError::unavailable)?.map(|(_, user)| user))
}

fn count(edge: &EdgeAuth, event: &'static str) {
    edge.runtime.measure(&[(Metric::WechatEvents, 1.0)], &[(Dimension::Event, event)]);
}

fn secrets(keys: &EdgeKeys) -> Result<&EventSecrets, ApiError> {
    keys.events.as_ref().ok_or_else(|| ApiError::new(Code::NotFound))
}

fn push_query(request: &Request) -> Result<PushQuery<'_>, ApiError> {
    Ok(PushQuery {
        signature: parameter(request, "signature")?,
        timestamp: parameter(request, "timestamp")?,
        nonce: parameter(request, "nonce")?,
        msg_signature: parameter(request, "msg_signature")?,
    })
}

/// A parameter; empty if it is absent. WeChat gives none twice.
fn parameter<'a>(request: &'a Request, name: &'static str) -> Result<&'a str, ApiError> {
    let value = query::once(request, name).map_err(|_| ApiError::new(Code::EventRefused))?;
    Ok(value.unwrap_or_default())
}

fn refusal(refused: Refused) -> ApiError {
    let code = match refused {
        Refused::Unreadable => Code::BodyInvalid,
        Refused::Time | Refused::Signature | Refused::NotEncrypted | Refused::Undecryptable | Refused::OtherApp => {
            Code::EventRefused
        }
    };
    ApiError::new(code).because(refused)
}
