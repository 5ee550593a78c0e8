//! WeChat's subscribe messages: the access token, and `subscribeMessage.send`.
//!
//! The token comes from `getStableAccessToken` in normal mode, which gives every caller the same one. It is never
//! forced: that would end the token of all others, and WeChat permits it twenty times a day.
//!
//! Both URLs and bodies contain a secret or an openid. None of them is stored, logged or included in an error.

use std::time::Duration;

use domain::notification::Message;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{OpenId, WechatClient, number_or_text, post::PostAnswer};

/// WeChat renews its token five minutes before it ends.
const RENEWED_BEFORE: Duration = Duration::from_secs(300);
/// Longest token: WeChat asks to reserve 512 characters.
const MAX_TOKEN: usize = 2048;

/// WeChat's answer to a message: whether the message was sent. `docs/design/answers.md` has the same table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageAnswer {
    /// WeChat has taken it.
    Taken,
    /// The token is not valid, or no longer (40001, 40014, 42001): the message was not taken.
    TokenRefused,
    /// The message was not taken, and may be sent again later.
    Later(MessageDelay),
    /// The message was not taken, and never will be.
    Refused(MessageRefusal),
    /// The answer was lost, or cannot be read: the message may have been taken.
    Lost,
}

/// Why a message may be sent again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageDelay {
    /// No connection: nothing was sent.
    Unreachable,
    /// -1: system busy; 45011: the quota of the minute is used up.
    Busy,
    /// 43108: another message to the same user is on its way.
    Concurrent,
}

/// Why a message is never taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageRefusal {
    /// 40003: the openid is not one of this Mini Program.
    UserUnknown,
    /// 40037: the Mini Program has no such template.
    TemplateUnknown,
    /// 41030: the Mini Program has no such page.
    PageUnknown,
    /// 43101: the user has no credit for the template.
    NoCredit,
    /// 43107: the Mini Program may not send messages.
    Banned,
    /// 45009: the quota of the day is used up.
    Quota,
    /// 45168: a value has a word that WeChat does not permit.
    Word,
    /// 47003: a value does not fit its field.
    Value,
    /// 48001: the Mini Program may not call this API.
    NotPermitted,
    /// A code that is not documented for this call.
    Other,
}

impl MessageDelay {
    /// The stable code on a job.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "wechat_unreachable",
            Self::Busy => "wechat_busy",
            Self::Concurrent => "other_message",
        }
    }
}

impl MessageRefusal {
    /// The stable code on a job.
    pub const fn code(self) -> &'static str {
        match self {
            Self::UserUnknown => "user_unknown",
            Self::TemplateUnknown => "template_unknown",
            Self::PageUnknown => "page_unknown",
            Self::NoCredit => "no_credit",
            Self::Banned => "banned",
            Self::Quota => "quota",
            Self::Word => "word_refused",
            Self::Value => "value_refused",
            Self::NotPermitted => "not_permitted",
            Self::Other => "refused",
        }
    }

    /// Whether only an operator can help: a setting of this service, or its standing at WeChat, is wrong.
    pub const fn needs_an_operator(self) -> bool {
        match self {
            Self::TemplateUnknown
            | Self::PageUnknown
            | Self::Banned
            | Self::Word
            | Self::Value
            | Self::NotPermitted
            | Self::Other => true,
            Self::UserUnknown | Self::NoCredit | Self::Quota => false,
        }
    }
}

impl MessageAnswer {
    /// What an errcode means: the only place that has them.
    pub const fn of(errcode: i64) -> Self {
        match errcode {
            0 => Self::Taken,
            40001 | 40014 | 42001 => Self::TokenRefused,
            -1 | 45011 => Self::Later(MessageDelay::Busy),
            43108 => Self::Later(MessageDelay::Concurrent),
            40003 => Self::Refused(MessageRefusal::UserUnknown),
            40037 => Self::Refused(MessageRefusal::TemplateUnknown),
            41030 => Self::Refused(MessageRefusal::PageUnknown),
            43101 => Self::Refused(MessageRefusal::NoCredit),
            43107 => Self::Refused(MessageRefusal::Banned),
            45009 => Self::Refused(MessageRefusal::Quota),
            45168 => Self::Refused(MessageRefusal::Word),
            47003 => Self::Refused(MessageRefusal::Value),
            48001 => Self::Refused(MessageRefusal::NotPermitted),
            _ => Self::Refused(MessageRefusal::Other),
        }
    }
}

/// WeChat's access token, and for how long it may be used.
#[derive(Clone)]
pub struct FreshToken {
    /// The token.
    pub token: SecretString,
    /// How long it may be used. At its end WeChat may give another one.
    pub lasts: Duration,
}

impl std::fmt::Debug for FreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FreshToken").field("lasts", &self.lasts).finish_non_exhaustive()
    }
}

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// 40125, 40243: the secret is wrong or frozen.
    #[error("WeChat refuses the app secret (errcode {0})")]
    SecretRefused(i64),
    /// 40002, 40013, 40164, 41002, 41004, 43002, 89503, 89506, 89507: the app id, the address of this service or the
    /// request is refused.
    #[error("WeChat refuses this service's own configuration (errcode {0})")]
    Misconfigured(i64),
    /// 45009: the quota of the day is used up.
    #[error("WeChat gives no more tokens today (errcode 45009)")]
    Quota,
    /// WeChat is busy, or does not answer, or not in its protocol: later.
    #[error("WeChat gives no token now")]
    Later,
}

impl NoToken {
    const fn of(errcode: i64) -> Self {
        match errcode {
            40125 | 40243 => Self::SecretRefused(errcode),
            45009 => Self::Quota,
            40002 | 40013 | 40164 | 41002 | 41004 | 43002 | 89503 | 89506 | 89507 => Self::Misconfigured(errcode),
            // -1, 45011, and what is not documented for this call.
            _ => Self::Later,
        }
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Option<String>,
    #[serde(default, deserialize_with = "number_or_text")]
    expires_in: Option<i64>,
    #[serde(default, deserialize_with = "number_or_text")]
    errcode: Option<i64>,
    errmsg: Option<String>,
}

#[derive(Deserialize)]
struct SendAnswer {
    #[serde(default, deserialize_with = "number_or_text")]
    errcode: Option<i64>,
    errmsg: Option<String>,
}

impl WechatClient {
    /// The access token of the Mini Program, which is the same for every caller.
    pub async fn stable_token(&self, app_id: &str, app_secret: &SecretString) -> Result<FreshToken, NoToken> {
        let body = json!({
            "grant_type": "client_credential",
            "appid": app_id,
            "secret": app_secret.expose_secret(),
            "force_refresh": false,
        });
        let PostAnswer::Answer(answer) = self.post::<TokenAnswer>(self.stable_token.clone(), &body).await else {
            return Err(NoToken::Later);
        };
        match (answer.errcode, answer.access_token, answer.expires_in) {
            (Some(errcode), _, _) if errcode != 0 => {
                self.report("stable_token", errcode, answer.errmsg.as_deref());
                Err(NoToken::of(errcode))
            }
            (_, Some(token), Some(seconds)) if (1..=MAX_TOKEN).contains(&token.len()) && seconds > 0 => {
                let whole = Duration::from_secs(seconds.unsigned_abs());
                // In its last five minutes WeChat has another one already, and still takes this one.
                let lasts = if whole > RENEWED_BEFORE { whole - RENEWED_BEFORE } else { whole };
                Ok(FreshToken { token: token.into(), lasts })
            }
            _ => Err(NoToken::Later),
        }
    }

    /// Sends a message to a user. One request: a caller may repeat it only when it knows that WeChat has not taken it.
    pub async fn send_message(&self, token: &SecretString, to: &OpenId, message: &Message) -> MessageAnswer {
        let mut url = self.send_message.clone();
        url.query_pairs_mut().append_pair("access_token", token.expose_secret());
        let Ok(Value::Object(mut body)) = serde_json::to_value(message) else { return MessageAnswer::Lost };
        body.insert("touser".to_owned(), to.expose().into());
        match self.post::<SendAnswer>(url, &Value::Object(body)).await {
            PostAnswer::NotSent => MessageAnswer::Later(MessageDelay::Unreachable),
            PostAnswer::Lost | PostAnswer::Answer(SendAnswer { errcode: None, .. }) => MessageAnswer::Lost,
            PostAnswer::Answer(SendAnswer { errcode: Some(errcode), errmsg }) => {
                if errcode != 0 {
                    self.report("subscribe/send", errcode, errmsg.as_deref());
                }
                MessageAnswer::of(errcode)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errcode_of_the_page_is_decided_and_any_other_ends_the_message() {
        for (errcode, expected) in [
            (0, MessageAnswer::Taken),
            (40001, MessageAnswer::TokenRefused),
            (40014, MessageAnswer::TokenRefused),
            (42001, MessageAnswer::TokenRefused),
            (-1, MessageAnswer::Later(MessageDelay::Busy)),
            (45011, MessageAnswer::Later(MessageDelay::Busy)),
            (43108, MessageAnswer::Later(MessageDelay::Concurrent)),
            (40003, MessageAnswer::Refused(MessageRefusal::UserUnknown)),
            (40037, MessageAnswer::Refused(MessageRefusal::TemplateUnknown)),
            (41030, MessageAnswer::Refused(MessageRefusal::PageUnknown)),
            (43101, MessageAnswer::Refused(MessageRefusal::NoCredit)),
            (43107, MessageAnswer::Refused(MessageRefusal::Banned)),
            (45009, MessageAnswer::Refused(MessageRefusal::Quota)),
            (45168, MessageAnswer::Refused(MessageRefusal::Word)),
            (47003, MessageAnswer::Refused(MessageRefusal::Value)),
            (48001, MessageAnswer::Refused(MessageRefusal::NotPermitted)),
            (99999, MessageAnswer::Refused(MessageRefusal::Other)),
        ] {
            assert_eq!(MessageAnswer::of(errcode), expected, "{errcode}");
        }
        for (errcode, expected) in [
            (40125, NoToken::SecretRefused(40125)),
            (40243, NoToken::SecretRefused(40243)),
            (40164, NoToken::Misconfigured(40164)),
            (45009, NoToken::Quota),
            (-1, NoToken::Later),
            (45011, NoToken::Later),
        ] {
            assert_eq!(NoToken::of(errcode), expected, "{errcode}");
        }
    }
}
