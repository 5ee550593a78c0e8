//! Sends messages to a webhook. Its URL is all that a sender needs, so it is a secret: it is in no log and no error.

use std::{fmt, time::Duration};

use reqwest::{Client, RequestBuilder, Url, redirect};
use serde::Deserialize;
use serde_json::Value;

use super::Format;

/// The limit of one request.
const LIMIT: Duration = Duration::from_secs(10);
/// The most bytes of a response that are read.
const MAX_RESPONSE: usize = 16 * 1024;
/// The host of WeCom's robots. <https://developer.work.weixin.qq.com/document/path/91770>
const WECOM_HOST: &str = "qyapi.weixin.qq.com";

/// A URL that accepts messages.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    url: Url,
    format: Format,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({:?}, [redacted])", self.format)
    }
}

/// The text is no URL that may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must hold an https URL, or an http URL on loopback")]
pub struct NotAWebhook;

/// A request failed. No variant has the URL.
#[derive(Debug, thiserror::Error)]
pub enum WebhookFault {
    /// No response.
    #[error("it cannot be reached: {0}")]
    Unreachable(#[source] reqwest::Error),
    /// A response that is no success.
    #[error("it answers {0}")]
    Status(u16),
    /// The receiver answers with success, and says in the body that it has not taken the message. Of WeCom 93000: the
    /// robot was removed; 45009: too many messages; -1: the body has no errcode.
    #[error("it refuses the message (errcode {0})")]
    Refused(i64),
}

impl From<reqwest::Error> for WebhookFault {
    fn from(error: reqwest::Error) -> Self {
        Self::Unreachable(error.without_url())
    }
}

impl Webhook {
    /// Reads a URL. That of a WeCom robot gets WeCom's form whatever `format` says: WeCom refuses any other.
    pub fn parse(text: &str, format: Format) -> Result<Self, NotAWebhook> {
        let url = Url::parse(text.trim()).map_err(|_| NotAWebhook)?;
        let is_safe = match url.scheme() {
            "https" => url.has_host(),
            "http" => matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")),
            _ => false,
        };
        if !is_safe {
            return Err(NotAWebhook);
        }
        let format = if url.host_str() == Some(WECOM_HOST) { Format::Wecom } else { format };
        Ok(Self { url, format })
    }

    /// The form of its messages.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Sends a message, and once more after a pause if it was not taken.
    pub async fn post(&self, body: &Value, pause: Duration) -> Result<(), WebhookFault> {
        let request = |http: Client| {
            let post = http.post(self.url.clone()).header("content-type", "application/json");
            post.body(body.to_string())
        };
        if self.send(request).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        self.send(request).await
    }

    /// Calls the URL.
    pub async fn get(&self) -> Result<(), WebhookFault> {
        self.send(|http| http.get(self.url.clone())).await
    }

    /// One request on a connection of its own: a kept one would be closed by the other end before the next alarm.
    async fn send(&self, request: impl Fn(Client) -> RequestBuilder) -> Result<(), WebhookFault> {
        let http = Client::builder().timeout(LIMIT).redirect(redirect::Policy::none()).no_proxy().build()?;
        let mut response = request(http).send().await?;
        if !response.status().is_success() {
            return Err(WebhookFault::Status(response.status().as_u16()));
        }
        let mut bytes = Vec::new();
        // A body that breaks off has no errcode, which WeCom always gives and other receivers need not give.
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_RESPONSE {
                break;
            }
        }
        taken(self.format, &bytes)
    }
}

/// Whether the body of a successful response says that the message was taken. WeCom answers 200 to everything, and so do
/// receivers that follow its protocol.
fn taken(format: Format, body: &[u8]) -> Result<(), WebhookFault> {
    #[derive(Deserialize)]
    struct Response {
        errcode: i64,
    }
    let errcode = domain::json::foreign::<Response>(body).ok().map(|response| response.errcode);
    match (format, errcode) {
        (_, Some(0)) | (Format::Json, None) => Ok(()),
        (_, Some(errcode)) => Err(WebhookFault::Refused(errcode)),
        (Format::Wecom, None) => Err(WebhookFault::Refused(-1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_an_https_url_or_on_this_host_and_never_shows_itself() {
        let text = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=secret";
        let webhook = Webhook::parse(&format!("{text}\n"), Format::Wecom).unwrap();
        assert!(!format!("{webhook:?}").contains("secret"));
        assert!(Webhook::parse("http://127.0.0.1:8080/alerts", Format::Json).is_ok());
        for refused in ["", "none", "http://example.com/", "ftp://127.0.0.1/", "https://"] {
            assert!(Webhook::parse(refused, Format::Json).is_err(), "{refused}");
        }
    }

    #[test]
    fn the_url_of_a_wecom_robot_gets_the_form_of_wecom_whatever_the_configuration_says() {
        let format = |url: &str| Webhook::parse(url, Format::Json).unwrap().format();
        assert_eq!(format("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=secret"), Format::Wecom);
        assert_eq!(format("https://QYAPI.weixin.qq.com:443/cgi-bin/webhook/send?key=secret"), Format::Wecom);
        assert_eq!(format("https://example.com/qyapi.weixin.qq.com"), Format::Json);
    }

    #[test]
    fn a_message_with_another_errcode_than_0_is_refused_and_wecom_has_to_give_one() {
        let errcode = |format, body: &[u8]| match taken(format, body) {
            Ok(()) => 0,
            Err(WebhookFault::Refused(errcode)) => errcode,
            Err(fault) => panic!("{fault}"),
        };
        for format in [Format::Wecom, Format::Json] {
            assert_eq!(errcode(format, br#"{"errcode":0,"errmsg":"ok"}"#), 0);
            assert_eq!(errcode(format, br#"{"errcode":93000,"errmsg":"invalid webhook url"}"#), 93000);
        }
        for other in [&b""[..], b"<html>", b"{}", b"\xff"] {
            assert_eq!((errcode(Format::Wecom, other), errcode(Format::Json, other)), (-1, 0));
        }
    }
}
