//! Client of the OpenClaw gateway: through its journal ([`journal`]), and, where it has none, by its own tool call
//! ([`direct`]). Both return a [`CallAnswer`].
//!
//! The gateway's response does not say whether a tool ran. What each status proves was measured with the pinned
//! version; the comment on each match arm states it.

use std::time::Duration;

use reqwest::Client;
use serde_json::Value;

use crate::{
    http::retry_after,
    metrics::{self, Dimension, Metric},
    runtime::Runtime,
};
use domain::{job::JournalId, json::Omission};

mod content;
pub mod direct;
pub mod journal;
mod passing;
mod tokens;
pub mod turns;

pub use content::Content;
pub use tokens::GatewayTokens;

/// The gateway closes idle connections after 5 s. Reuse of a connection that it has just closed would fail with a
/// reset, which looks like an unknown outcome.
const POOL_IDLE: Duration = Duration::from_secs(4);
/// Maximum number of bytes that are read of a response.
const ANSWER_CAP: usize = 1024 * 1024;

/// A client for the gateway at one address.
#[derive(Debug, Clone)]
pub struct Gateway {
    http: Client,
    base: String,
    runtime: Runtime,
}

/// Outcome of a call, as far as a response tells it.
#[derive(Debug, Clone, PartialEq)]
pub enum CallAnswer {
    /// The tool ran, and ended.
    Ended(ToolEnd),
    /// The gateway refused to run the tool. Final.
    Refused(Refusal),
    /// The call is running.
    StillRunning,
    /// The key is revoked: claimed as never to run.
    Revoked,
    /// The journal does not know the key. If it was seen there before, the journal has lost its data.
    NoSuchKey,
    /// The gateway died while the tool was running: it may have run.
    Interrupted,
    /// This dispatch did not start the tool: no connection was made, or the responder that would have started it says
    /// so. Says nothing about an earlier dispatch under the same key. With the delay of `Retry-After`, if any.
    NotStarted(Option<Duration>),
    /// 503, perhaps from a proxy: it is unknown whether the call had been forwarded. With the delay of `Retry-After`,
    /// if any.
    Unavailable(Option<Duration>),
    /// The journal had claimed the call and released it: nothing has run under this key, and nothing is running.
    Released,
    /// The journal is not the expected one, so this dispatch did not start the tool.
    OtherJournal,
    /// The key was claimed for another call.
    KeyReused,
    /// The responder says that there is no journal.
    JournalAbsent,
    /// The responder does not accept the token.
    Unauthorized,
    /// The gateway could not parse the request, so this dispatch did not start the tool.
    Unreadable,
    /// No response, or one that cannot be interpreted: the tool may or may not have run.
    Lost,
}

/// How a tool ended.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolEnd {
    /// It reported success, with this content.
    Succeeded(Content),
    /// It ran, at least in part, and reported a failure, perhaps with a result. A repetition would not help.
    Reported(Option<Content>),
    /// It threw an exception. A repetition may help.
    Threw,
}

/// Why the gateway refused to run a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The tool is unknown to the gateway, or denied by the gateway's own policy; the response is the same.
    Unavailable,
    /// A hook blocked it, or it needs an approval of the gateway's own, which this service cannot give.
    Blocked,
    /// Any other refusal.
    Rejected,
}

impl Refusal {
    /// The stable error code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "tool_unavailable",
            Self::Blocked => "tool_blocked",
            Self::Rejected => "gateway_request_rejected",
        }
    }
}

/// Identity of a journal, and how much it has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSeen {
    /// Id of the journal and of its boot.
    pub id: JournalId,
    /// Grows with every commit. A lower value than before means a restored snapshot.
    pub sequence: u64,
}

/// The HTTP client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for the gateway cannot be built")]
pub struct GatewayClientError(#[source] reqwest::Error);

/// A complete response.
struct Raw {
    status: u16,
    retry_after: Option<Duration>,
    /// `Null` when the body is not JSON.
    body: Value,
    /// Why the result or the reply in the body was omitted, if it was.
    omitted: Option<Omission>,
}

/// Why there is no response.
enum NoAnswer {
    /// No connection was made, or the request could not be built: nothing was sent.
    NotSent,
    /// Something may have been sent.
    Lost {
        /// Whether the wait was ended by the timeout.
        timed_out: bool,
    },
}

impl From<NoAnswer> for CallAnswer {
    fn from(none: NoAnswer) -> Self {
        match none {
            NoAnswer::NotSent => Self::NotStarted(None),
            NoAnswer::Lost { .. } => Self::Lost,
        }
    }
}

impl From<reqwest::Error> for NoAnswer {
    fn from(error: reqwest::Error) -> Self {
        let unsent = error.is_connect() || error.is_builder();
        if unsent { Self::NotSent } else { Self::Lost { timed_out: error.is_timeout() } }
    }
}

impl Gateway {
    /// A client for the gateway at the URL `base`.
    pub fn new(base: &str, runtime: Runtime) -> Result<Self, GatewayClientError> {
        let http = Client::builder()
            .pool_idle_timeout(POOL_IDLE)
            .connect_timeout(Duration::from_secs(2))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(GatewayClientError)?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), runtime })
    }

    /// Whether the gateway's health check succeeds. Needs no token. A proxy may answer while the gateway does not, so
    /// only a success counts.
    pub async fn reachable(&self, within: Duration) -> bool {
        let asked = self.http.get(format!("{}/healthz", self.base)).timeout(within).send().await;
        asked.is_ok_and(|answer| answer.status().is_success())
    }

    async fn send_once(request: reqwest::RequestBuilder) -> Result<Raw, NoAnswer> {
        let mut response = request.send().await?;
        let status = response.status().as_u16();
        let retry_after = retry_after::read(response.headers());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| NoAnswer::Lost { timed_out: e.is_timeout() })? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_CAP {
                // The status tells how the call ended, whatever content came with it.
                let omitted = Some(Omission::TooLarge);
                return Ok(Raw { status, retry_after, body: Value::Null, omitted });
            }
        }
        let (body, omitted) = content::read(&bytes);
        Ok(Raw { status, retry_after, body, omitted })
    }

    /// Measures one call, however many tokens it was sent under.
    fn measure(&self, answer: &Result<Raw, NoAnswer>) {
        let (name, failed) = match answer {
            Ok(raw) => (status_name(raw.status), matches!(raw.status, 401 | 403 | 500..)),
            Err(NoAnswer::Lost { timed_out: true }) => ("timeout", true),
            Err(NoAnswer::NotSent | NoAnswer::Lost { timed_out: false }) => ("unreachable", true),
        };
        let values = [(Metric::GatewayAnswers, 1.0), (Metric::GatewayFailures, metrics::one_if(failed))];
        self.runtime.measure(&values, &[(Dimension::Status, name)]);
    }
}

/// The value of a metric dimension for an HTTP status: the statuses with a meaning here by number, others by class. A
/// responder therefore cannot create more time series than these.
fn status_name(status: u16) -> &'static str {
    const KNOWN: [&str; 15] =
        ["200", "202", "400", "401", "403", "404", "410", "412", "413", "422", "429", "500", "502", "503", "504"];
    let class = match status / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => metrics::OTHER,
    };
    KNOWN.into_iter().find(|known| known.parse() == Ok(status)).unwrap_or(class)
}

/// Interprets the gateway's tool layer (`POST /tools/invoke`) by status and body. The journal stores exactly this
/// pair.
fn tool_answer(status: u16, body: &Value, omitted: Option<Omission>) -> CallAnswer {
    let error = body.pointer("/error/type").and_then(Value::as_str).unwrap_or_default();
    match (status, error) {
        (200, _) => {
            let failed = body.pointer("/result/isError").and_then(Value::as_bool) == Some(true);
            let result = omitted.map_or_else(|| Ok(body.get("result").cloned().unwrap_or_default()), Err);
            CallAnswer::Ended(if failed { ToolEnd::Reported(Some(result)) } else { ToolEnd::Succeeded(result) })
        }
        // Only this response means that a hook stopped the call before it ran.
        (403, "tool_call_blocked") => CallAnswer::Refused(Refusal::Blocked),
        // The tool itself threw an error, named as an input or an authorization error: it may have run in part.
        (400 | 403, "tool_error") => CallAnswer::Ended(ToolEnd::Reported(None)),
        (500, _) => CallAnswer::Ended(ToolEnd::Threw),
        (404, _) => CallAnswer::Refused(Refusal::Unavailable),
        (400, _) => CallAnswer::Unreadable,
        (403 | 405 | 413 | 415, _) => CallAnswer::Refused(Refusal::Rejected),
        (401, _) => CallAnswer::Unauthorized,
        // These texts are the gateway's own, sent before it looks for the tool. With the same status but another text
        // the responder may be a proxy that has forwarded the call.
        (429, "rate_limited") | (503, "service_unavailable" | "unavailable") => CallAnswer::NotStarted(None),
        _ => CallAnswer::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_status_of_the_tool_layer_says_what_was_measured() {
        let error = |kind: &str| json!({"ok":false,"error":{"type":kind,"message":"m"}});
        let result = json!({"content":[{"type":"text","text":"x"}]});
        for (status, body, answer) in [
            (200, json!({"ok":true,"result":result}), CallAnswer::Ended(ToolEnd::Succeeded(Ok(result.clone())))),
            (
                200,
                json!({"ok":true,"result":{"isError":true}}),
                CallAnswer::Ended(ToolEnd::Reported(Some(Ok(json!({"isError":true}))))),
            ),
            (400, error("tool_error"), CallAnswer::Ended(ToolEnd::Reported(None))),
            (400, error("invalid_request"), CallAnswer::Unreadable),
            (401, json!({"error":{"type":"unauthorized"}}), CallAnswer::Unauthorized),
            (403, error("tool_call_blocked"), CallAnswer::Refused(Refusal::Blocked)),
            (403, error("tool_error"), CallAnswer::Ended(ToolEnd::Reported(None))),
            (404, error("not_found"), CallAnswer::Refused(Refusal::Unavailable)),
            (405, Value::Null, CallAnswer::Refused(Refusal::Rejected)),
            (408, Value::Null, CallAnswer::Lost),
            (413, Value::Null, CallAnswer::Refused(Refusal::Rejected)),
            (429, error("rate_limited"), CallAnswer::NotStarted(None)),
            (500, error("tool_error"), CallAnswer::Ended(ToolEnd::Threw)),
            (502, error("api_error"), CallAnswer::Lost),
            (503, error("service_unavailable"), CallAnswer::NotStarted(None)),
            (503, Value::Null, CallAnswer::Lost),
            (429, Value::Null, CallAnswer::Lost),
            (302, Value::Null, CallAnswer::Lost),
        ] {
            assert_eq!(tool_answer(status, &body, None), answer, "{status} {body}");
        }
    }
}
