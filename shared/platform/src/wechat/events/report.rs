//! What a pushed message reports. WeChat writes numbers as numbers or as texts, and a list with one entry as the entry
//! alone.

use serde_json::Value;

use super::fields;
use crate::wechat::OpenId;

/// Longest text that is taken from a message: ids have some 50 characters.
const MAX_TEXT: usize = 256;

/// A pushed message that this service knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WechatEvent {
    /// `subscribe_msg_popup_event`: the user answered a dialog. `subscribe_msg_change_event`: the user changed an
    /// answer later.
    Subscriptions {
        /// The user.
        openid: OpenId,
        /// The answers, one for each template.
        answers: Vec<Subscription>,
    },
    /// `subscribe_msg_sent_event`: whether messages that were sent were delivered.
    Deliveries {
        /// The user.
        openid: OpenId,
        /// One for each message.
        deliveries: Vec<Delivery>,
    },
    /// `user_authorization_revoke`: the user has withdrawn the consent to the use of personal data.
    AuthorizationRevoked(UserChange),
    /// `user_authorization_cancellation`: the user has deleted the account at WeChat.
    AuthorizationCancelled(UserChange),
    /// `wxa_media_check`: the result of a check of a picture or a sound.
    MediaChecked(MediaCheck),
    /// Any other message, which is only counted.
    Unknown,
}

/// An answer to a subscription dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The template.
    pub template_id: String,
    /// Whether messages of this template are accepted: `accept`. Any other status is a refusal.
    pub accepted: bool,
}

/// Delivery of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The template.
    pub template_id: String,
    /// 0 when the message was delivered.
    pub errcode: i64,
}

/// A change that concerns all data of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserChange {
    /// The user.
    pub openid: OpenId,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaCheck {
    /// Names the check.
    pub trace_id: String,
    /// 0 when the file was checked; -1008: it could not be downloaded.
    pub errcode: i64,
    /// Whether WeChat has no objection: `suggest` is `pass`.
    pub passed: bool,
}

/// One thing that a message reports, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// A template was accepted.
    SubscribeAccepted,
    /// A template was refused.
    SubscribeRefused,
    /// A message was delivered.
    MessageDelivered,
    /// A message was not delivered.
    MessageFailed,
    /// The user has withdrawn the consent.
    AuthorizationRevoked,
    /// The user has deleted the account.
    AuthorizationCancelled,
    /// A file has passed its check.
    MediaPassed,
    /// A file has not passed, or could not be checked.
    MediaHeld,
    /// A message that this version does not know.
    Unknown,
}

impl Report {
    /// Every report.
    pub const ALL: [Self; 9] = [
        Self::SubscribeAccepted,
        Self::SubscribeRefused,
        Self::MessageDelivered,
        Self::MessageFailed,
        Self::AuthorizationRevoked,
        Self::AuthorizationCancelled,
        Self::MediaPassed,
        Self::MediaHeld,
        Self::Unknown,
    ];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SubscribeAccepted => "subscribe_accepted",
            Self::SubscribeRefused => "subscribe_refused",
            Self::MessageDelivered => "message_delivered",
            Self::MessageFailed => "message_failed",
            Self::AuthorizationRevoked => "authorization_revoked",
            Self::AuthorizationCancelled => "authorization_cancelled",
            Self::MediaPassed => "media_passed",
            Self::MediaHeld => "media_held",
            Self::Unknown => "unknown",
        }
    }
}

impl WechatEvent {
    /// Parses a message. `None` if it is unreadable, or if a known event lacks what its page promises.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let message = fields::read(message)?;
        match text(&message, "Event").as_deref() {
            Some("subscribe_msg_popup_event") => subscriptions(&message, "SubscribeMsgPopupEvent"),
            Some("subscribe_msg_change_event") => subscriptions(&message, "SubscribeMsgChangeEvent"),
            Some("subscribe_msg_sent_event") => deliveries(&message),
            Some("user_authorization_revoke") => user_change(&message).map(Self::AuthorizationRevoked),
            Some("user_authorization_cancellation") => user_change(&message).map(Self::AuthorizationCancelled),
            Some("wxa_media_check") => media_check(&message).map(Self::MediaChecked),
            Some(_) | None => Some(Self::Unknown),
        }
    }

    /// What the message reports: one for each entry of its list.
    pub fn reports(&self) -> Vec<Report> {
        match self {
            Self::Subscriptions { answers, .. } => answers.iter().map(Subscription::report).collect(),
            Self::Deliveries { deliveries, .. } => deliveries.iter().map(Delivery::report).collect(),
            Self::AuthorizationRevoked(_) => vec![Report::AuthorizationRevoked],
            Self::AuthorizationCancelled(_) => vec![Report::AuthorizationCancelled],
            Self::MediaChecked(check) if check.passed && check.errcode == 0 => vec![Report::MediaPassed],
            Self::MediaChecked(_) => vec![Report::MediaHeld],
            Self::Unknown => vec![Report::Unknown],
        }
    }
}

impl Subscription {
    const fn report(&self) -> Report {
        if self.accepted { Report::SubscribeAccepted } else { Report::SubscribeRefused }
    }
}

impl Delivery {
    const fn report(&self) -> Report {
        if self.errcode == 0 { Report::MessageDelivered } else { Report::MessageFailed }
    }
}

fn subscriptions(message: &Value, wrapper: &str) -> Option<WechatEvent> {
    let answer = |entry: &Value| {
        let accepted = text(entry, "SubscribeStatusString")? == "accept";
        Some(Subscription { template_id: text(entry, "TemplateId")?, accepted })
    };
    let answers = entries(message, wrapper)?.iter().map(answer).collect::<Option<_>>()?;
    Some(WechatEvent::Subscriptions { openid: openid(message, "FromUserName")?, answers })
}

fn deliveries(message: &Value) -> Option<WechatEvent> {
    let delivery = |entry: &Value| {
        Some(Delivery { template_id: text(entry, "TemplateId")?, errcode: number(entry, "ErrorCode")? })
    };
    let deliveries = entries(message, "SubscribeMsgSentEvent")?.iter().map(delivery).collect::<Option<_>>()?;
    Some(WechatEvent::Deliveries { openid: openid(message, "FromUserName")?, deliveries })
}

fn user_change(message: &Value) -> Option<UserChange> {
    Some(UserChange { openid: openid(message, "OpenID").or_else(|| openid(message, "FromUserName"))? })
}

fn media_check(message: &Value) -> Option<MediaCheck> {
    let errcode = number(message, "errcode")?;
    // Without a file there is no result.
    let suggest = message.get("result").and_then(|result| text(result, "suggest"));
    Some(MediaCheck { trace_id: text(message, "trace_id")?, errcode, passed: suggest.as_deref() == Some("pass") })
}

/// The entries of `List`: in XML within an element of its own, in JSON with or without it; one object or several. At
/// least one.
fn entries<'a>(message: &'a Value, wrapper: &str) -> Option<&'a [Value]> {
    let inner = message.get(wrapper).unwrap_or(message);
    let list = inner.get("List").unwrap_or(inner);
    let all = list.as_array().map_or_else(|| std::slice::from_ref(list), Vec::as_slice);
    (!all.is_empty()).then_some(all)
}

fn openid(message: &Value, name: &str) -> Option<OpenId> {
    OpenId::parse(&text(message, name)?)
}

/// A text that is not empty, or a number as text.
fn text(value: &Value, name: &str) -> Option<String> {
    let text = match value.get(name)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (1..=MAX_TEXT).contains(&text.len()).then_some(text)
}

fn number(value: &Value, name: &str) -> Option<i64> {
    text(value, name)?.parse().ok()
}
