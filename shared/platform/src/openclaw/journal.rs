//! The journal's protocol, version 1 (`openclaw-plugin/README.md`): a durable claim for each key before the tool
//! runs, and a stored outcome afterwards. As long as the journal is the expected one, a call may be repeated under
//! its key.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{CallAnswer, Gateway, GatewayTokens, JournalSeen, NoAnswer, Raw, ToolEnd, tokens::Harm, tool_answer};
use domain::{
    ids::{Timestamp, TraceParent},
    job::JournalId,
    json::Omission,
};

/// Protocol version of this client.
const PROTOCOL: u64 = 1;

/// The journal that a call is meant for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Its id. A journal with another id answers 412 and runs nothing.
    pub journal: &'a str,
    /// The highest sequence seen of it. A journal with a lower one is a restored snapshot; it answers 412 and runs
    /// nothing.
    pub sequence: u64,
}

impl Expected<'_> {
    /// The body of a request with no field besides the key.
    pub(super) fn about(self, key: &str) -> Value {
        json!({ "journal": self.journal, "sequence": self.sequence, "key": key })
    }
}

/// One call through the journal.
#[derive(Debug)]
pub struct JournaledCall<'a> {
    /// The tool's name.
    pub tool: &'a str,
    /// The arguments.
    pub arguments: &'a Value,
    /// Time after which the journal does not start the call.
    pub not_after: Timestamp,
    /// Whether to wait for the outcome, or only for the claim.
    pub wait: bool,
    /// Maximum number of concurrent calls of the tool at the gateway.
    pub at_most: Option<u32>,
}

/// A response, and the journal that gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalAnswer {
    /// Outcome of the call.
    pub call: CallAnswer,
    /// The journal, if the response names it.
    pub seen: Option<JournalSeen>,
    /// Whether the call had been sent before, under a token that was refused.
    pub again: bool,
}

/// The response to one request, before it is interpreted.
pub struct JournalReply {
    pub(super) answer: Result<Raw, NoAnswer>,
    /// Whether the request was sent before, under a token that was refused, and may have started a call then.
    pub(super) again: bool,
}

/// An answer about a key: of a call, or of a round of a turn.
pub trait KeyAnswer {
    /// Interprets a response.
    fn of(reply: JournalReply) -> Self;
}

impl KeyAnswer for JournalAnswer {
    fn of(JournalReply { answer, again }: JournalReply) -> Self {
        match answer {
            Ok(raw) => Self { call: journal_answer(&raw), seen: identity(&raw.body), again },
            Err(none) => Self { call: none.into(), seen: None, again },
        }
    }
}

impl JournalAnswer {
    /// The outcome of the call, all dispatches of this request together.
    pub fn noted(self) -> CallAnswer {
        self.call.of_all_sendings(self.again)
    }
}

impl CallAnswer {
    /// The outcome when the call may have been sent before, under a token that was refused. A refusal of every token
    /// only proves that the last one was refused.
    #[must_use]
    pub(super) fn of_all_sendings(self, again: bool) -> Self {
        if again && self != Self::Unauthorized { self.of_a_repetition() } else { self }
    }

    /// The outcome when the same call had been sent before: a response which only proves that this dispatch did not
    /// start it says nothing about the earlier one.
    #[must_use]
    pub fn of_a_repetition(self) -> Self {
        match self {
            Self::NotStarted(_)
            | Self::Unavailable(_)
            | Self::OtherJournal
            | Self::Unauthorized
            | Self::JournalAbsent
            | Self::Unreadable => Self::Lost,
            answer => answer,
        }
    }
}

/// Result of the journal's health request.
#[derive(Debug, Clone, PartialEq)]
pub enum JournalHealth {
    /// The journal answers.
    Present(JournalSeen),
    /// The gateway answers, and has no journal.
    Absent,
    /// The token was refused.
    Unauthorized,
    /// Not available at present.
    NotReady,
}

impl Gateway {
    /// Requests the journal's identity.
    pub async fn journal_health(&self, tokens: &GatewayTokens, timeout: Duration) -> JournalHealth {
        match self.send(tokens, timeout, Harm::None, self.http.get(self.url("health"))).await.answer {
            Ok(raw) if raw.status == 200 => identity(&raw.body).map_or(JournalHealth::NotReady, JournalHealth::Present),
            Ok(raw) if raw.status == 404 => JournalHealth::Absent,
            Ok(raw) if raw.status == 401 => JournalHealth::Unauthorized,
            Ok(_) | Err(_) => JournalHealth::NotReady,
        }
    }

    /// Runs a call under its key, or returns the outcome if it was claimed before: the same request for both.
    pub async fn invoke(
        &self,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
        key: &str,
        call: JournaledCall<'_>,
        trace: Option<&TraceParent>,
        timeout: Duration,
    ) -> JournalAnswer {
        let body = json!({
            "journal": expected.journal, "sequence": expected.sequence, "key": key, "tool": call.tool,
            "args": call.arguments, "not_after": call.not_after.millis(), "wait": call.wait, "at_most": call.at_most,
        });
        JournalAnswer::of(self.ask("invoke", tokens, body, trace, timeout).await)
    }

    /// Returns the outcome of a key and never starts its call or round. Answers as [`invoke`](Self::invoke) or
    /// [`turn`](Self::turn) does, or with [`CallAnswer::NoSuchKey`].
    pub async fn outcome<A: KeyAnswer>(
        &self,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
        key: &str,
        timeout: Duration,
    ) -> A {
        A::of(self.ask("outcome", tokens, expected.about(key), None, timeout).await)
    }

    /// Revokes a key unless it has run. Only [`CallAnswer::Revoked`] proves that it did not run and never will.
    pub async fn revoke<A: KeyAnswer>(
        &self,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
        key: &str,
        timeout: Duration,
    ) -> A {
        A::of(self.ask("revoke", tokens, expected.about(key), None, timeout).await)
    }

    /// Removes results, replies and digests of arguments from the rows of these keys, at most 1,000. The keys stay, so
    /// that none of them runs again. Idempotent. `Ok` says how many rows the journal has of them.
    pub async fn forget(
        &self,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
        keys: &[String],
        timeout: Duration,
    ) -> (Result<u64, CallAnswer>, Option<JournalSeen>) {
        let body = json!({ "journal": expected.journal, "sequence": expected.sequence, "keys": keys });
        match self.ask("forget", tokens, body, None, timeout).await.answer {
            Ok(raw) => {
                let forgotten = raw.body.get("forgotten").and_then(Value::as_u64).filter(|_| raw.status == 200);
                (forgotten.ok_or_else(|| journal_answer(&raw)), identity(&raw.body))
            }
            Err(none) => (Err(none.into()), None),
        }
    }

    /// Has the journal probe its own tool guard: a guarded tool must be refused when called around the journal, and
    /// run when called through it. `None` when the probe was inconclusive.
    pub async fn guard_holds(&self, tokens: &GatewayTokens, expected: Expected<'_>, timeout: Duration) -> Option<bool> {
        let body = json!({ "journal": expected.journal, "sequence": expected.sequence });
        let request = self.http.post(self.url("canary")).json(&body);
        let sent = self.send(tokens, timeout, Harm::None, request).await;
        let raw = sent.answer.ok().filter(|raw| raw.status == 200)?;
        match raw.body.get("fence").and_then(Value::as_str) {
            Some("holds") => Some(true),
            Some("broken") => Some(false),
            _ => None,
        }
    }

    pub(super) async fn ask(
        &self,
        route: &str,
        tokens: &GatewayTokens,
        body: Value,
        trace: Option<&TraceParent>,
        timeout: Duration,
    ) -> JournalReply {
        let mut request = self.http.post(self.url(route)).json(&body);
        if let Some(trace) = trace {
            request = request.header("traceparent", trace.to_string());
        }
        // The journal runs a key once, but the response to a second dispatch does not tell the outcome of the first.
        let harm = if matches!(route, "invoke" | "turns") { Harm::MayStart } else { Harm::None };
        let sent = self.send(tokens, timeout, harm, request).await;
        JournalReply { answer: sent.answer, again: sent.again && harm == Harm::MayStart }
    }

    fn url(&self, route: &str) -> String {
        format!("{}/miniprogram/v1/{route}", self.base)
    }
}

/// The journal that answered. A response of another protocol version identifies no journal, so no write is sent
/// because of it.
pub(super) fn identity(body: &Value) -> Option<JournalSeen> {
    let text = |name| body.get(name).and_then(Value::as_str).map(str::to_owned);
    (body.get("protocol")?.as_u64()? == PROTOCOL).then_some(())?;
    Some(JournalSeen {
        id: JournalId { journal: text("journal")?, boot: text("boot")? },
        sequence: body.get("sequence")?.as_u64()?,
    })
}

pub(super) fn journal_answer(raw: &Raw) -> CallAnswer {
    let error = raw.body.pointer("/error/type").and_then(Value::as_str).unwrap_or_default();
    // Only a response that names the protocol comes from the journal.
    let signed = raw.body.get("protocol").and_then(Value::as_u64) == Some(PROTOCOL);
    match (raw.status, raw.body.get("entry")) {
        (200 | 202 | 410, Some(Value::Object(entry))) => entry_answer(entry, raw.omitted),
        // The journal's `outcome` does not know the key.
        (200, Some(Value::Null)) => CallAnswer::NoSuchKey,
        (412, _) if signed => CallAnswer::OtherJournal,
        (422, _) if signed => CallAnswer::KeyReused,
        (400, _) if signed && error == "invalid_request" => CallAnswer::Unreadable,
        // The gateway did not start the tool, or the journal cannot write or is at its limit; it refuses before it
        // claims.
        (503, _) if matches!(error, "not_started" | "journal_unavailable" | "busy") => {
            CallAnswer::NotStarted(raw.retry_after)
        }
        // The responses from here on are not the journal's: the gateway drains or starts, or a proxy answered,
        // perhaps after forwarding.
        (503, _) => CallAnswer::Unavailable(raw.retry_after),
        (401, _) => CallAnswer::Unauthorized,
        // A journal never answers 404, so there is none.
        (404, _) => CallAnswer::JournalAbsent,
        _ => CallAnswer::Lost,
    }
}

fn entry_answer(entry: &Map<String, Value>, omitted: Option<Omission>) -> CallAnswer {
    let status = entry.get("status").and_then(Value::as_u64).and_then(|s| u16::try_from(s).ok()).unwrap_or(0);
    let body = entry.get("result").unwrap_or(&Value::Null);
    // The journal names the reason for a missing result; an earlier version only says `truncated`.
    let gone = body.is_null() || entry.get("truncated").and_then(Value::as_bool) == Some(true);
    let named = entry.get("omitted").and_then(Value::as_str).and_then(Omission::named);
    let omitted = omitted.or(named).or_else(|| gone.then_some(Omission::TooLarge));
    match entry.get("state").and_then(Value::as_str).unwrap_or_default() {
        "started" => CallAnswer::StillRunning,
        "interrupted" => CallAnswer::Interrupted,
        "revoked" => CallAnswer::Revoked,
        "released" => CallAnswer::Released,
        "finished" => match tool_answer(status, body, omitted) {
            ended @ CallAnswer::Ended(_) => ended,
            // Stored as finished, so the tool ran, whatever the status is.
            _ => CallAnswer::Ended(ToolEnd::Reported(None)),
        },
        "refused" => match tool_answer(status, body, omitted) {
            refused @ CallAnswer::Refused(_) => refused,
            _ => CallAnswer::Refused(super::Refusal::Rejected),
        },
        _ => CallAnswer::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openclaw::Refusal;

    fn answer(status: u16, body: Value) -> CallAnswer {
        journal_answer(&Raw { status, retry_after: Some(Duration::from_secs(7)), body, omitted: None })
    }

    #[test]
    fn each_answer_of_the_journal_means_one_thing() {
        let entry =
            |state: &str, status: u16, result: Value| json!({"entry":{"state":state,"status":status,"result":result}});
        let fine = json!({"ok":true,"result":{"details":1}});
        for (status, body, meaning) in [
            (200, entry("finished", 200, fine), CallAnswer::Ended(ToolEnd::Succeeded(Ok(json!({"details":1}))))),
            (200, entry("finished", 200, Value::Null), CallAnswer::Ended(ToolEnd::Succeeded(Err(Omission::TooLarge)))),
            (200, entry("finished", 500, Value::Null), CallAnswer::Ended(ToolEnd::Threw)),
            (200, entry("finished", 403, Value::Null), CallAnswer::Ended(ToolEnd::Reported(None))),
            (200, entry("refused", 404, Value::Null), CallAnswer::Refused(Refusal::Unavailable)),
            (
                200,
                entry("refused", 403, json!({"error":{"type":"tool_call_blocked"}})),
                CallAnswer::Refused(Refusal::Blocked),
            ),
            (200, entry("revoked", 0, Value::Null), CallAnswer::Revoked),
            (200, entry("released", 0, Value::Null), CallAnswer::Released),
            (202, entry("started", 0, Value::Null), CallAnswer::StillRunning),
            (410, entry("interrupted", 0, Value::Null), CallAnswer::Interrupted),
            (200, json!({"entry":null}), CallAnswer::NoSuchKey),
            (200, json!({}), CallAnswer::Lost),
            (200, entry("a state of tomorrow", 0, Value::Null), CallAnswer::Lost),
            (401, Value::Null, CallAnswer::Unauthorized),
            (404, Value::Null, CallAnswer::JournalAbsent),
            (412, json!({"protocol":1,"error":{"type":"other_journal"}}), CallAnswer::OtherJournal),
            (412, Value::Null, CallAnswer::Lost),
            (422, json!({"protocol":1,"error":{"type":"key_reused"}}), CallAnswer::KeyReused),
            (500, json!({"error":{"type":"journal_error"}}), CallAnswer::Lost),
            (503, json!({"error":{"type":"not_started"}}), CallAnswer::NotStarted(Some(Duration::from_secs(7)))),
            (503, Value::Null, CallAnswer::Unavailable(Some(Duration::from_secs(7)))),
        ] {
            assert_eq!(answer(status, body.clone()), meaning, "{status} {body}");
        }
    }

    #[test]
    fn what_the_journal_omits_is_omitted_with_its_reason_and_a_failure_stays_one() {
        let entry = |result: Value, omitted: Value, truncated: bool| json!({"entry":{"state":"finished","status":200,"result":result,"omitted":omitted,"truncated":truncated}});
        let failed = json!({"ok":true,"result":{"isError":true}});
        for (body, end) in [
            (entry(Value::Null, json!("too_deep"), false), ToolEnd::Succeeded(Err(Omission::TooDeep))),
            (entry(Value::Null, json!("unreadable"), false), ToolEnd::Succeeded(Err(Omission::Unreadable))),
            (entry(Value::Null, json!("too_large"), true), ToolEnd::Succeeded(Err(Omission::TooLarge))),
            (entry(Value::Null, json!("a reason of tomorrow"), false), ToolEnd::Succeeded(Err(Omission::TooLarge))),
            (entry(failed.clone(), json!("too_deep"), false), ToolEnd::Reported(Some(Err(Omission::TooDeep)))),
            (entry(failed, json!("too_large"), true), ToolEnd::Reported(Some(Err(Omission::TooLarge)))),
        ] {
            assert_eq!(answer(200, body.clone()), CallAnswer::Ended(end), "{body}");
        }
    }

    #[test]
    fn another_protocol_names_no_journal() {
        let body = |protocol: u64| json!({"protocol":protocol,"journal":"j","boot":"b","sequence":3});
        assert!(identity(&body(1)).is_some());
        assert_eq!(identity(&body(2)), None);
        assert_eq!(identity(&json!({"journal":"j"})), None);
    }
}
