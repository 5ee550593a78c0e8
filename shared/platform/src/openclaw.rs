//! The OpenClaw gateway, seen from here: its journal ([`journal`]), and, where there is none, its bare tool call
//! ([`direct`]). Both speak one language, [`CallAnswer`].
//!
//! The gateway's own answer does not say whether a tool ran. What each status means for that was measured on the pinned
//! version and is written beside each arm.

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

/// The gateway closes idle connections after 5 s; a reset on reuse would look like an unknown outcome.
const POOL_IDLE: Duration = Duration::from_secs(4);
/// No answer is read further.
const ANSWER_CAP: usize = 1024 * 1024;

/// The gateway at one address.
#[derive(Debug, Clone)]
pub struct Gateway {
    http: Client,
    base: String,
    runtime: Runtime,
}

/// What became of a call, as far as an answer tells.
#[derive(Debug, Clone, PartialEq)]
pub enum CallAnswer {
    /// The tool ran to an end.
    Ended(ToolEnd),
    /// The gateway would not run the tool. Final.
    Refused(Refusal),
    /// The call is out.
    StillRunning,
    /// The key is claimed as never to run.
    Revoked,
    /// The journal does not know the key. Whoever has seen it there knows that the journal has lost its memory.
    NoSuchKey,
    /// The tool was running when the gateway died: it may have run.
    Interrupted,
    /// This dispatch did not start the tool: no connection was made, or the one that would have started it says so. Says
    /// nothing about an earlier dispatch under the same key.
    NotStarted(Option<Duration>),
    /// Somebody on the way says that it is not available now. Whether the call had been passed on before, nobody says.
    Unavailable(Option<Duration>),
    /// The journal had the call and gave it back: nothing has run under this key, and nothing runs.
    Released,
    /// The journal is not the one that was named, so this dispatch did not start the tool.
    OtherJournal,
    /// The key was claimed for another call.
    KeyReused,
    /// There is no journal, says whoever answers there.
    JournalAbsent,
    /// The token is not accepted, says whoever answers there.
    Unauthorized,
    /// The gateway could not read the call, so this dispatch did not start the tool.
    Unreadable,
    /// No answer, or none that can be understood: anything may have happened.
    Lost,
}

/// How a tool ended.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolEnd {
    /// It said it was fine, and this.
    Succeeded(Content),
    /// It ran, at least in part, and reported a failure of its own making, perhaps with a result: trying again will not
    /// help.
    Reported(Option<Content>),
    /// It threw: trying again may help.
    Threw,
}

/// Why the gateway would not run a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Unknown there, or denied by the gateway's own policy: both look the same.
    Unavailable,
    /// A hook vetoed it, or it needs an approval that nobody can give.
    Blocked,
    /// Another refusal.
    Rejected,
}

impl Refusal {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "tool_unavailable",
            Self::Blocked => "tool_blocked",
            Self::Rejected => "gateway_request_rejected",
        }
    }
}

/// A journal's identity and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSeen {
    /// Who.
    pub id: JournalId,
    /// Grows with every commit; falls only when a snapshot is restored.
    pub sequence: u64,
}

/// A client that cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for the gateway cannot be built")]
pub struct GatewayClientError(#[source] reqwest::Error);

/// An answer, read whole.
struct Raw {
    status: u16,
    retry_after: Option<Duration>,
    /// `Null` when the body is no JSON.
    body: Value,
    /// Why the result or the reply that it brings is not in it.
    omitted: Option<Omission>,
}

/// Why there is no answer.
enum NoAnswer {
    /// No connection was made, or no request could be built: nothing was sent.
    NotSent,
    /// Something may have been sent.
    Lost {
        /// We gave up waiting.
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
    /// The gateway at `base`.
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

    /// Whether the gateway says that it lives. Needs no credential. A proxy before it answers too when the gateway does not,
    /// so nothing but a success counts.
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
                // The status says how the call ended, whatever came with it.
                let omitted = Some(Omission::TooLarge);
                return Ok(Raw { status, retry_after, body: Value::Null, omitted });
            }
        }
        let (body, omitted) = content::read(&bytes);
        Ok(Raw { status, retry_after, body, omitted })
    }

    /// One call, whatever number of tokens it took.
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

/// An answer's HTTP status as the value of a dimension: the ones that have a meaning here by number, others by class, so that
/// whoever answers cannot make more time series than these.
fn status_name(status: u16) -> &'static str {
    const KNOWN: [(u16, &str); 15] = [
        (200, "200"),
        (202, "202"),
        (400, "400"),
        (401, "401"),
        (403, "403"),
        (404, "404"),
        (410, "410"),
        (412, "412"),
        (413, "413"),
        (422, "422"),
        (429, "429"),
        (500, "500"),
        (502, "502"),
        (503, "503"),
        (504, "504"),
    ];
    let class = match status / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => metrics::OTHER,
    };
    KNOWN.iter().find(|(known, _)| *known == status).map_or(class, |(_, name)| *name)
}

/// What the gateway's tool layer says, by status and body (`POST /tools/invoke`). The journal stores exactly this pair.
fn tool_answer(status: u16, body: &Value, omitted: Option<Omission>) -> CallAnswer {
    let error = body.pointer("/error/type").and_then(Value::as_str).unwrap_or_default();
    match (status, error) {
        (200, _) => {
            let failed = body.pointer("/result/isError").and_then(Value::as_bool) == Some(true);
            let result = omitted.map_or_else(|| Ok(body.get("result").cloned().unwrap_or_default()), Err);
            CallAnswer::Ended(if failed { ToolEnd::Reported(Some(result)) } else { ToolEnd::Succeeded(result) })
        }
        // Only this one means that a hook stopped it before it ran.
        (403, "tool_call_blocked") => CallAnswer::Refused(Refusal::Blocked),
        // The tool itself threw, by name an input or an authorization error: it may have run in part.
        (400 | 403, "tool_error") => CallAnswer::Ended(ToolEnd::Reported(None)),
        (500, _) => CallAnswer::Ended(ToolEnd::Threw),
        (404, _) => CallAnswer::Refused(Refusal::Unavailable),
        (400, _) => CallAnswer::Unreadable,
        (403 | 405 | 413 | 415, _) => CallAnswer::Refused(Refusal::Rejected),
        (401, _) => CallAnswer::Unauthorized,
        // The gateway's own words for "before I looked for the tool". Without them it may be a proxy that speaks, after it
        // has passed the call on.
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
