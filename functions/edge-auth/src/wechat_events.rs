//! `/v1/wechat/events`: messages that WeChat pushes. `GET` verifies the URL for WeChat's console, `POST` is a message.
//!
//! Only the signature is the authorization. Without `wechat.events` in the secret, both answer 404. A message is
//! answered when it is remembered: WeChat waits for five seconds, and repeats what is not answered with `success`.

use std::sync::Arc;

use domain::{
    erasure::ErasureReason,
    ids::{Digest, DigestKey, Timestamp, UserId},
};
use lambda_http::Request;
use platform::{
    http::{self, ApiError, Code, Response, body, query},
    metrics::{Dimension, Metric},
    wechat::{
        OpenId,
        events::{EventSecrets, PushQuery, Refused, UserChange, WechatEvent},
    },
};

use crate::{EdgeAuth, EdgeKeys, erase, log_in};

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
    // The message itself, not the push: WeChat encrypts a repetition anew.
    let digest = keys.logins.first().digest(&[b"wechat event", &message]);
    // Before the message is remembered: if the table does not answer here, WeChat sends it again.
    erase_leaving_user(edge, &keys, event.as_ref(), (digest, now)).await?;
    let remembered = edge.table.remember_event(digest, now, &edge.runtime.nonce()).await;
    if !remembered.map_err(ApiError::unavailable)? {
        count(edge, "duplicate");
        return Ok(http::plain(RECEIVED));
    }
    if let Some(event) = &event {
        correct_credits(edge, &keys, event).await;
    }
    match &event {
        // A repetition would be unreadable too, so the answer is `success`.
        None => count(edge, "malformed"),
        Some(event) => event.reports().iter().for_each(|report| count(edge, report.name())),
    }
    Ok(http::plain(RECEIVED))
}

/// Records the erasure of a user who has closed the WeChat account. An openid that never logged in has no
/// user, and so no data. A message that is remembered is not acted on again: the same person may have logged in since,
/// as a new user.
async fn erase_leaving_user(
    edge: &EdgeAuth,
    keys: &Arc<EdgeKeys>,
    event: Option<&WechatEvent>,
    (digest, now): (Digest, Timestamp),
) -> Result<(), ApiError> {
    let change = match event {
        Some(WechatEvent::AuthorizationCancelled(change)) => change,
        Some(
            // It names one permission (camera, location, microphone ...), and the service stores nothing that these give.
            WechatEvent::AuthorizationRevoked(_)
            | WechatEvent::Subscriptions { .. }
            | WechatEvent::Deliveries { .. }
            | WechatEvent::MediaChecked(_)
            | WechatEvent::Unknown,
        )
        | None => return Ok(()),
    };
    // A plain signature does not cover the body: a recorded push could be sent again with another user's openid.
    if !secrets(keys)?.is_safe_mode() {
        tracing::warn!(
            function = "edge-auth",
            reason = "authorization_cancelled",
            "a user closed the WeChat account and was not erased: the message is not encrypted"
        );
        return Ok(());
    }
    if edge.table.remembers_event(digest).await.map_err(ApiError::unavailable)? {
        return Ok(());
    }
    let UserChange { openid } = change;
    let logins = log_in::logins(edge, keys, openid);
    if let Some(user) = user_of(edge, &logins).await? {
        erase::record_and_begin(edge, user, ErasureReason::AuthorizationCancelled, logins, now).await?;
    }
    Ok(())
}

/// Corrects the credits of a user for the templates that the settings know: an acceptance that the client could not
/// report, a refusal, or a message that was not delivered. A failure is not repeated: a wrong count costs one refusal
/// of WeChat at most, after which it is right.
async fn correct_credits(edge: &EdgeAuth, keys: &EdgeKeys, event: &WechatEvent) {
    let (openid, reported): (&OpenId, Vec<(&str, bool)>) = match event {
        WechatEvent::Subscriptions { openid, answers } => {
            (openid, answers.iter().map(|answer| (answer.template_id.as_str(), answer.accepted)).collect())
        }
        WechatEvent::Deliveries { openid, deliveries } => {
            let failed = deliveries.iter().filter(|delivery| delivery.errcode != 0);
            (openid, failed.map(|delivery| (delivery.template_id.as_str(), false)).collect())
        }
        WechatEvent::AuthorizationRevoked(_)
        | WechatEvent::AuthorizationCancelled(_)
        | WechatEvent::MediaChecked(_)
        | WechatEvent::Unknown => return,
    };
    let known = |template: &str| edge.policy.notifications().by_template(template).is_some();
    let reported: Vec<(&str, bool)> = reported.into_iter().filter(|(template, _)| known(template)).collect();
    if reported.is_empty() {
        return;
    }
    let corrected = async {
        let Some(user) = user_of(edge, &log_in::logins(edge, keys, openid)).await? else { return Ok(()) };
        for (template, accepted) in reported {
            edge.table.correct_credits(user, template, accepted).await.map_err(ApiError::unavailable)?;
        }
        Ok::<(), ApiError>(())
    };
    if let Err(error) = corrected.await {
        let error = error.inside();
        tracing::warn!(
            function = "edge-auth",
            code = "credits_not_corrected",
            error,
            "WeChat's report about credits was not stored"
        );
    }
}

async fn user_of(edge: &EdgeAuth, logins: &[Digest]) -> Result<Option<UserId>, ApiError> {
    let found = edge.table.find_login(logins).await;
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
