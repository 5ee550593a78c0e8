//! WeChat's login: exchanges a code of `wx.login` for an openid.
//!
//! A code is valid once. Only a response tells whether WeChat has used it, so a request is repeated at most once, and
//! only when it certainly had no effect: WeChat reported "busy", or no connection was made. After a timeout or a
//! reset the code may have been used, and a repetition would then always be refused; the client gets a new code by
//! another `wx.login`.
//!
//! The request's URL contains the app secret and the code, the response a session key. None of them is stored, logged
//! or included in an error.

use std::{fmt, time::Duration};

use reqwest::{Client, Response, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::runtime::Runtime;
use domain::{
    ids::{Digest, DigestKey},
    json,
    limits::Backoff,
};

pub mod content_safety;
mod errcode;
pub mod events;
pub mod notifications;
mod post;
pub mod risk;

/// Timeout of a connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum duration of one login, including the repetition.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than the idle timeouts of the network, so that a pooled connection is not one that the other end has
/// closed.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Maximum size of a response. Usual ones have some 200 bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Delay before the repetition.
const REPEAT: Backoff = Backoff { base: Duration::from_millis(300), cap: Duration::from_millis(300) };

/// A code from `wx.login`: valid once, for five minutes.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct LoginCode(String);

/// The text cannot be a login code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a login code is 1 to {} visible ASCII characters", LoginCode::MAX_LEN)]
pub struct NotALoginCode;

impl LoginCode {
    /// Four times the length of today's codes.
    pub const MAX_LEN: usize = 128;
}

impl TryFrom<String> for LoginCode {
    type Error = NotALoginCode;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_visible_ascii(&text) { Ok(Self(text)) } else { Err(NotALoginCode) }
    }
}

impl fmt::Debug for LoginCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginCode([redacted])")
    }
}

/// The user's identity within one Mini Program. Personal data, so it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenId(String);

impl OpenId {
    /// From the user's item.
    pub fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// From a message of WeChat; `None` if it cannot be an openid.
    pub fn parse(text: &str) -> Option<Self> {
        is_visible_ascii(text).then(|| Self(text.to_owned()))
    }

    /// The keyed digest under which the login of this user in this Mini Program is stored.
    pub fn login(&self, app_id: &str, key: &DigestKey) -> Digest {
        key.digest(&[b"login", app_id.as_bytes(), self.0.as_bytes()])
    }

    /// The text, for messages to the user.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OpenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenId([redacted])")
    }
}

fn is_visible_ascii(text: &str) -> bool {
    (1..=LoginCode::MAX_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Why there is no openid, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum WechatError {
    /// The code is invalid, used or expired: the user logs in again.
    #[error("WeChat rejects the login code (errcode {errcode})")]
    CodeRejected {
        /// 40029, 40163 or 42003, by WeChat's documentation; see [`errcode`].
        errcode: i64,
    },
    /// WeChat has blocked the user as a high risk: not repeated.
    #[error("WeChat blocks the user (errcode 40226)")]
    Blocked,
    /// One of WeChat's quotas, for a minute or a day, is exhausted.
    #[error("WeChat limits logins (errcode {errcode})")]
    Limited {
        /// 45011 or 45009.
        errcode: i64,
        /// Delay after which a repetition may succeed.
        wait: Duration,
    },
    /// WeChat reported "busy" twice in succession.
    #[error("WeChat is busy (errcode -1)")]
    Busy,
    /// App id, secret, address or request of this service is wrong: no login works until an operator acts.
    #[error("WeChat refuses this service's own configuration (errcode {errcode})")]
    Misconfigured {
        /// WeChat's code.
        errcode: i64,
    },
    /// The response does not follow WeChat's protocol: HTML, empty, too long, or with neither openid nor errcode.
    #[error("WeChat's answer cannot be read: {reason} (status {status})")]
    Unintelligible {
        /// What is wrong with the response.
        reason: &'static str,
        /// HTTP status of the response.
        status: u16,
    },
    /// No connection, a timeout, or a broken connection.
    #[error("WeChat cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// An errcode that this version does not know.
    #[error("WeChat refuses the login (errcode {errcode})")]
    Other {
        /// WeChat's code.
        errcode: i64,
    },
}

impl WechatError {
    /// reqwest's errors contain the URL, and so the secret and the code.
    fn from_transport(error: reqwest::Error) -> Self {
        Self::Unreachable(error.without_url())
    }

    /// Whether another app secret may work: this one is wrong or frozen.
    pub fn refuses_the_secret(&self) -> bool {
        matches!(self, Self::Misconfigured { errcode: 40125 | 40243 })
    }

    /// Whether the code was certainly not used.
    fn left_the_code_unused(&self) -> bool {
        match self {
            Self::Busy => true,
            Self::Unreachable(error) => error.is_connect() && !error.is_timeout(),
            Self::CodeRejected { .. }
            | Self::Blocked
            | Self::Limited { .. }
            | Self::Misconfigured { .. }
            | Self::Unintelligible { .. }
            | Self::Other { .. } => false,
        }
    }
}

/// The client cannot be built. Stops the start.
#[derive(Debug, thiserror::Error)]
pub enum BadWechatClient {
    /// The base URL is invalid.
    #[error("WeChat's base URL is not a URL")]
    BaseUrl,
    /// There are no root certificates for TLS.
    #[error("the HTTP client for WeChat cannot be built")]
    Http(#[source] reqwest::Error),
}

/// Client of WeChat's API. Built once, since it pools connections.
#[derive(Debug, Clone)]
pub struct WechatClient {
    http: Client,
    code_to_session: Url,
    stable_token: Url,
    send_message: Url,
    check_text: Url,
    rank_risk: Url,
    function: &'static str,
    runtime: Runtime,
}

impl WechatClient {
    /// A client of the API at `base_url`; `function` is the one that its log lines name.
    pub fn new(function: &'static str, base_url: &str, runtime: Runtime) -> Result<Self, BadWechatClient> {
        let base_url = base_url.trim_end_matches('/');
        let url = |path: &str| Url::parse(&format!("{base_url}{path}")).map_err(|_| BadWechatClient::BaseUrl);
        let code_to_session = url("/sns/jscode2session")?;
        let (stable_token, send_message) = (url("/cgi-bin/stable_token")?, url("/cgi-bin/message/subscribe/send")?);
        let (check_text, rank_risk) = (url("/wxa/msg_sec_check")?, url("/wxa/getuserriskrank")?);
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            // A redirect would send the secret to another host.
            .redirect(redirect::Policy::none())
            // Repetitions are decided below. Proxy settings are not taken from the environment, which only
            // `config/env.rs` reads.
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .map_err(BadWechatClient::Http)?;
        Ok(Self { http, code_to_session, stable_token, send_message, check_text, rank_risk, function, runtime })
    }

    /// Exchanges a login code for the user's openid. The session key in the response is dropped unread.
    pub async fn code_to_session(
        &self,
        app_id: &str,
        app_secret: &SecretString,
        code: &LoginCode,
    ) -> Result<OpenId, WechatError> {
        let mut url = self.code_to_session.clone();
        url.query_pairs_mut()
            .append_pair("appid", app_id)
            .append_pair("secret", app_secret.expose_secret())
            .append_pair("js_code", &code.0)
            .append_pair("grant_type", "authorization_code");
        let deadline = Instant::now() + TOTAL_TIMEOUT;
        match self.ask(url.clone(), deadline).await {
            Err(error) if error.left_the_code_unused() => {
                sleep(REPEAT.wait(0, self.runtime.number())).await;
                self.ask(url, deadline).await
            }
            answer => answer,
        }
    }

    /// WeChat's support identifies a request by its rid; the rest of an errmsg is never logged.
    fn report(&self, call: &'static str, errcode: i64, errmsg: Option<&str>) {
        let rid = errmsg.and_then(rid).unwrap_or("none");
        tracing::info!(function = self.function, route = call, errcode, rid, "WeChat refuses a call");
    }

    async fn ask(&self, url: Url, deadline: Instant) -> Result<OpenId, WechatError> {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let request = self.http.get(url).timeout(remaining);
        let response = request.send().await.map_err(WechatError::from_transport)?;
        let status = response.status();
        let unintelligible = |reason| WechatError::Unintelligible { reason, status: status.as_u16() };
        // WeChat refuses with status 200 as well, so any other status is from a proxy.
        if !status.is_success() {
            return Err(unintelligible("not a success"));
        }
        let body = read_capped(response).await?.ok_or_else(|| unintelligible("too long"))?;
        // The content type is often text/plain, or wrong, so it is not checked.
        let answer: SessionAnswer = json::foreign(&body).map_err(|_| unintelligible("not the expected JSON"))?;
        match (answer.errcode, answer.openid) {
            (Some(errcode), _) if errcode != 0 => {
                self.report("code2session", errcode, answer.errmsg.as_deref());
                Err(WechatError::from_errcode(errcode))
            }
            (_, Some(openid)) => OpenId::parse(&openid).ok_or_else(|| unintelligible("an unusable openid")),
            (_, None) => Err(unintelligible("neither openid nor errcode")),
        }
    }
}

/// The body; `None` when it is over the cap.
async fn read_capped(mut response: Response) -> Result<Option<Vec<u8>>, WechatError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(WechatError::from_transport)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The fields that are read of a response. There is none for `session_key`, so it is dropped.
#[derive(Deserialize)]
struct SessionAnswer {
    openid: Option<String>,
    #[serde(default, deserialize_with = "number_or_text")]
    errcode: Option<i64>,
    errmsg: Option<String>,
}

fn number_or_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let number = match Value::deserialize(deserializer)? {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.map(Some).ok_or_else(|| serde::de::Error::custom("errcode is no whole number"))
}

/// The id of WeChat's own log at the end of an errmsg. The rest of an errmsg is never logged.
fn rid(errmsg: &str) -> Option<&str> {
    let (_, rid) = errmsg.rsplit_once("rid: ")?;
    let shaped = (1..=64).contains(&rid.len()) && rid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    shaped.then_some(rid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_code_is_parsed_at_the_edge() {
        for good in ["a", "0a1B2c~!", &"c".repeat(128)] {
            assert!(LoginCode::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", " ", "a b", "a\n", "a\0", "\u{7f}", "码", &"c".repeat(129)] {
            assert_eq!(LoginCode::try_from(bad.to_owned()).unwrap_err(), NotALoginCode, "{bad:?}");
        }
        assert_eq!(NotALoginCode.to_string(), "a login code is 1 to 128 visible ASCII characters");
    }

    #[test]
    fn codes_and_openids_never_print() {
        let code = LoginCode::try_from("the-code".to_owned()).unwrap();
        assert_eq!(
            format!("{code:?} {:?}", OpenId("the-openid".to_owned())),
            "LoginCode([redacted]) OpenId([redacted])"
        );
    }

    #[test]
    fn only_a_rid_is_taken_from_an_errmsg() {
        for (errmsg, expected) in [
            ("invalid code, rid: 617833f5-4d39a245-36d3a896", Some("617833f5-4d39a245-36d3a896")),
            ("code blocked rid: 60000000-00000000-00000003", Some("60000000-00000000-00000003")),
            ("missing code, hints: [ req_id: QkacMBore-rt6w3 ]", None),
            ("rid: ", None),
            ("rid: 617833f5 and the openid oGZUI0egBJY1zhBYw2KhdUfwVJJE", None),
        ] {
            assert_eq!(rid(errmsg), expected, "{errmsg}");
        }
    }
}
