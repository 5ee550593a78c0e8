//! Agents' turns, as the journal runs them: claimed on disk, run in the background, recovered after a crash. No write
//! runs inside a turn: the agent's writes come back as proposals.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    CallAnswer, Gateway, GatewayTokens, JournalSeen,
    journal::{Expected, JournalReply, KeyAnswer, identity, journal_answer},
};
use domain::{
    ids::{Timestamp, TraceParent},
    job::progress::{CallState, Doing},
    json::Omission,
};

/// One round of a turn.
#[derive(Debug)]
pub struct JournaledTurn<'a> {
    /// Session key; lower case.
    pub session: &'a str,
    /// The agent's id.
    pub agent: &'a str,
    /// The message to the agent.
    pub message: &'a str,
    /// The reads that the agent may use without a proposal.
    pub tools: &'a [String],
    /// Whether calls that the tool guard blocks are recorded as proposals.
    pub proposals: bool,
    /// Time after which the journal does not start the round.
    pub not_after: Timestamp,
    /// Maximum number of concurrent turns of the agent at the gateway.
    pub at_most: u32,
    /// Maximum number of calls in the round.
    pub calls_at_most: u32,
    /// Time after which the round is stopped.
    pub timeout: Duration,
    /// The wake-up that the journal sends to report progress.
    pub wake_up: Option<&'a str>,
}

/// A response about a turn, and the journal that gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnAnswer {
    /// Outcome of the round.
    pub turn: TurnState,
    /// The journal, if the response names it.
    pub seen: Option<JournalSeen>,
}

/// Outcome of a round, as far as a response tells it.
#[derive(Debug, Clone, PartialEq)]
pub enum TurnState {
    /// It is running, or the gateway is resuming it after a crash.
    Running(Box<Round>),
    /// It ended with a reply.
    Replied(Box<Round>),
    /// It ended without a reply, for this reason.
    Failed(TurnFailure, Box<Round>),
    /// A response without an entry of a turn: the same cases as for calls.
    Other(CallAnswer),
}

/// Why a round ended without a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnFailure {
    /// The model's provider failed, after the gateway's own retries.
    ModelFailed,
    /// The provider refused to answer.
    ModelRefused,
    /// The reply was empty.
    ReplyEmpty,
    /// The gateway died, and did not resume the round.
    TurnLost,
    /// It exceeded its time limit.
    TurnTimedOut,
    /// It was stopped.
    TurnAborted,
    /// It exceeded its number of calls.
    CallsExhausted,
    /// The gateway has no such agent.
    AgentUnknown,
    /// The gateway refused to run it, for a permanent reason.
    RefusedByGateway,
}

impl TurnFailure {
    /// The stable error code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ModelFailed => "model_failed",
            Self::ModelRefused => "model_refused",
            Self::ReplyEmpty => "reply_empty",
            Self::TurnLost => "turn_lost",
            Self::TurnTimedOut => "turn_timed_out",
            Self::TurnAborted => "turn_aborted",
            Self::CallsExhausted => "calls_exhausted",
            Self::AgentUnknown => "agent_unknown",
            Self::RefusedByGateway => "refused_by_gateway",
        }
    }
}

/// One round, as the journal reports it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Round {
    /// The reply.
    pub reply: Option<String>,
    /// Why the reply is missing although the round ended with one.
    #[serde(skip)]
    pub omitted: Option<Omission>,
    /// Whether the reply was longer than the journal stores.
    pub truncated: bool,
    /// Whether the gateway died during the round and resumed it.
    pub resumed: bool,
    /// The latest progress.
    pub progress: Vec<RoundProgress>,
    /// The end of the reply so far.
    pub partial: Option<String>,
    /// The calls, as far as the journal stored them.
    pub calls: Vec<RoundCall>,
    /// Number of calls.
    pub calls_total: u64,
    /// Whether the journal sends wake-ups about progress, and all of them have been delivered so far.
    pub rings: bool,
}

impl Round {
    /// Parses an entry of the journal field by field: an invalid field hides neither the others nor the end of the
    /// round.
    fn of(entry: &Value, omitted: Option<Omission>) -> Self {
        let flag = |name| entry.get(name).and_then(Value::as_bool) == Some(true);
        let text = |name| entry.get(name).and_then(Value::as_str).map(str::to_owned);
        let no_text = entry.get("reply").is_some_and(|reply| !reply.is_string() && !reply.is_null());
        Self {
            reply: text("reply"),
            omitted: omitted.or_else(|| no_text.then_some(Omission::Unreadable)),
            truncated: flag("truncated"),
            resumed: flag("resumed"),
            progress: list(entry.get("progress")),
            partial: text("partial"),
            calls: list(entry.get("calls")),
            calls_total: entry.get("calls_total").and_then(Value::as_u64).unwrap_or_default(),
            rings: flag("rings"),
        }
    }
}

fn list<'a, T: Deserialize<'a>>(value: Option<&'a Value>) -> Vec<T> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| T::deserialize(item).ok()).collect()
}

/// One progress event of a round.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RoundProgress {
    /// Time of the event, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Kind of the event.
    pub what: Doing,
    /// Name of the tool that was called.
    #[serde(default)]
    pub tool: Option<String>,
    /// State of that call.
    #[serde(default)]
    pub state: Option<CallState>,
}

/// One call in a round.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RoundCall {
    /// The tool's name.
    pub tool: String,
    /// Decision of the tool guard.
    pub decision: GuardDecision,
    /// Arguments as canonical JSON; absent when they were too long.
    #[serde(default)]
    pub args: Option<String>,
    /// Whether the call failed; absent when its end was not recorded.
    #[serde(default)]
    pub failed: Option<bool>,
}

/// Decision of the tool guard about a call inside an agent run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardDecision {
    /// A read that the turn may use: it ran.
    Allowed,
    /// Not run, and recorded as a proposal.
    Proposed,
    /// Not run, or a decision that this version does not know.
    #[serde(other)]
    Vetoed,
}

impl GuardDecision {
    /// The name in audit records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Proposed => "proposed",
            Self::Vetoed => "vetoed",
        }
    }
}

impl Gateway {
    /// Starts a round under its key, or returns the outcome if it was claimed before: the same request for both.
    pub async fn turn(
        &self,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
        key: &str,
        turn: &JournaledTurn<'_>,
        trace: Option<&TraceParent>,
        timeout: Duration,
    ) -> TurnAnswer {
        let body = json!({
            "journal": expected.journal, "sequence": expected.sequence, "key": key, "session": turn.session,
            "agent": turn.agent, "message": turn.message, "tools": turn.tools, "proposals": turn.proposals,
            "not_after": turn.not_after.millis(), "at_most": turn.at_most, "calls_at_most": turn.calls_at_most,
            "timeout_ms": u64::try_from(turn.timeout.as_millis()).unwrap_or(u64::MAX), "ring": turn.wake_up,
        });
        TurnAnswer::of(self.ask("turns", tokens, body, trace, timeout).await)
    }

    /// Stops a running round, if the gateway can. The round may still be running when this returns.
    pub async fn abort_turn(
        &self,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
        key: &str,
        timeout: Duration,
    ) -> TurnAnswer {
        TurnAnswer::of(self.ask("abort", tokens, expected.about(key), None, timeout).await)
    }

    /// Deletes a session and its memory. Idempotent. `Ok` says whether the session existed.
    pub async fn end_session(
        &self,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
        session: &str,
        timeout: Duration,
    ) -> (Result<bool, CallAnswer>, Option<JournalSeen>) {
        let body = json!({ "journal": expected.journal, "sequence": expected.sequence, "session": session });
        match self.ask("end-session", tokens, body, None, timeout).await.answer {
            Ok(raw) => {
                let ended = raw.body.get("ended").and_then(Value::as_bool).filter(|_| raw.status == 200);
                (ended.ok_or_else(|| journal_answer(&raw)), identity(&raw.body))
            }
            Err(none) => (Err(none.into()), None),
        }
    }
}

impl KeyAnswer for TurnAnswer {
    fn of(JournalReply { answer, again }: JournalReply) -> Self {
        let other = |answer: CallAnswer| TurnState::Other(answer.of_all_sendings(again));
        match answer {
            Ok(raw) => {
                let entry = raw.body.get("entry").filter(|_| matches!(raw.status, 200 | 202 | 410));
                let turn = entry.and_then(|entry| turn_entry(entry, raw.omitted));
                Self { turn: turn.unwrap_or_else(|| other(journal_answer(&raw))), seen: identity(&raw.body) }
            }
            Err(none) => Self { turn: other(none.into()), seen: None },
        }
    }
}

/// The entry of a turn that was started. Every other entry is interpreted as for calls.
fn turn_entry(entry: &Value, omitted: Option<Omission>) -> Option<TurnState> {
    let text = |name| entry.get(name).and_then(Value::as_str);
    if text("kind") != Some("turn") {
        return None;
    }
    let round = || Box::new(Round::of(entry, omitted));
    match text("state")? {
        "started" => Some(TurnState::Running(round())),
        "finished" => Some(TurnState::Replied(round())),
        // An unknown reason of a newer version still is a failure.
        "failed" => {
            let failure = entry.get("error").and_then(|error| TurnFailure::deserialize(error).ok());
            Some(TurnState::Failed(failure.unwrap_or(TurnFailure::ModelFailed), round()))
        }
        "interrupted" => Some(TurnState::Failed(TurnFailure::TurnLost, round())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
