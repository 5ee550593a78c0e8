//! Turns of agents, as the journal runs them: claimed on disk, run in the background, found again after a crash. Nothing
//! that writes runs inside one; what an agent wanted to do comes back as proposals.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    CallAnswer, Gateway, GatewayTokens, JournalSeen,
    journal::{Expected, identity, journal_answer},
};
use domain::{
    ids::{Timestamp, TraceParent},
    job::progress::{CallState, Doing},
    json::Omission,
};

/// One round of a turn.
#[derive(Debug)]
pub struct JournaledTurn<'a> {
    /// Its session: lower case.
    pub session: &'a str,
    /// The agent.
    pub agent: &'a str,
    /// What is said to it.
    pub message: &'a str,
    /// The reads that it may use by itself.
    pub tools: &'a [String],
    /// Whether what it may not use is taken down as a proposal.
    pub proposals: bool,
    /// Not to be started later.
    pub not_after: Timestamp,
    /// How many turns of that agent may run at once there.
    pub at_most: u32,
    /// How many calls it may make.
    pub calls_at_most: u32,
    /// After how long it is stopped.
    pub timeout: Duration,
    /// What the journal rings with when there is something to see.
    pub wake_up: Option<&'a str>,
}

/// An answer about a turn, and who gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnAnswer {
    /// What became of it.
    pub turn: TurnState,
    /// The journal, when the answer names it.
    pub seen: Option<JournalSeen>,
}

/// What became of a round, as far as an answer tells.
#[derive(Debug, Clone, PartialEq)]
pub enum TurnState {
    /// It runs, or the gateway brings it to its end after a crash.
    Running(Box<Round>),
    /// It ended with a reply.
    Replied(Box<Round>),
    /// It ended without one, and why.
    Failed(TurnFailure, Box<Round>),
    /// Anything but an entry of a turn: as for calls.
    Other(CallAnswer),
}

/// Why a round ended without a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnFailure {
    /// The model's provider failed, after the gateway's own repetitions.
    ModelFailed,
    /// The provider refused to answer.
    ModelRefused,
    /// There was nothing in the reply.
    ReplyEmpty,
    /// The gateway died, and did not bring it to its end afterwards.
    TurnLost,
    /// It took longer than it may.
    TurnTimedOut,
    /// It was stopped.
    TurnAborted,
    /// It made more calls than it may.
    CallsExhausted,
    /// The gateway has no such agent.
    AgentUnknown,
    /// The gateway would not run it, for a reason that does not pass.
    RefusedByGateway,
}

impl TurnFailure {
    /// The stable code.
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

/// One round, as the journal tells it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Round {
    /// The reply.
    pub reply: Option<String>,
    /// Why the reply is not there although the round has ended with one.
    #[serde(skip)]
    pub omitted: Option<Omission>,
    /// It was longer than the journal keeps.
    pub truncated: bool,
    /// The gateway died in it and took it up again.
    pub resumed: bool,
    /// The latest that happened.
    pub progress: Vec<RoundProgress>,
    /// The end of the reply so far.
    pub partial: Option<String>,
    /// What was called, as far as it was kept.
    pub calls: Vec<RoundCall>,
    /// How many calls there were.
    pub calls_total: u64,
    /// Whether the journal rings when there is more to see, and has reached us so far.
    pub rings: bool,
}

impl Round {
    /// An entry of the journal, field by field: one that cannot be read hides no other, and not that the round has ended.
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

/// One thing that happened in a round.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RoundProgress {
    /// When, in milliseconds.
    pub at_ms: i64,
    /// What.
    pub what: Doing,
    /// Which tool.
    #[serde(default)]
    pub tool: Option<String>,
    /// How far that call is.
    #[serde(default)]
    pub state: Option<CallState>,
}

/// One call in a round.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RoundCall {
    /// The tool.
    pub tool: String,
    /// What the fence said.
    pub decision: GuardDecision,
    /// Canonical JSON; absent when it was too long.
    #[serde(default)]
    pub args: Option<String>,
    /// Whether it failed; absent when its end was not seen.
    #[serde(default)]
    pub failed: Option<bool>,
}

/// What the fence said to a call inside an agent run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardDecision {
    /// A read that the turn may use: it ran.
    Allowed,
    /// It did not run, and was taken down.
    Proposed,
    /// It did not run, or the journal has a newer word for what became of it.
    #[serde(other)]
    Vetoed,
}

impl GuardDecision {
    /// Its name in audit records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Proposed => "proposed",
            Self::Vetoed => "vetoed",
        }
    }
}

impl Gateway {
    /// Starts a round under its key, or finds out what became of it: the same request for both.
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
        self.ask_turn("turns", tokens, body, trace, timeout).await
    }

    /// Reads what became of a round, and never starts anything.
    pub async fn turn_outcome(
        &self,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
        key: &str,
        timeout: Duration,
    ) -> TurnAnswer {
        self.ask_turn("outcome", tokens, expected.about(key), None, timeout).await
    }

    /// Claims a round as never to run, unless it has been started; tells which.
    pub async fn revoke_turn(
        &self,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
        key: &str,
        timeout: Duration,
    ) -> TurnAnswer {
        self.ask_turn("revoke", tokens, expected.about(key), None, timeout).await
    }

    /// Stops a round that runs, where the gateway can. It may still run when this answers.
    pub async fn abort_turn(
        &self,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
        key: &str,
        timeout: Duration,
    ) -> TurnAnswer {
        self.ask_turn("abort", tokens, expected.about(key), None, timeout).await
    }

    /// Deletes a session and what it remembers. Repeating it does no harm. `Ok` says whether there was one.
    pub async fn end_session(
        &self,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
        session: &str,
        timeout: Duration,
    ) -> (Result<bool, CallAnswer>, Option<JournalSeen>) {
        let body = json!({ "journal": expected.journal, "sequence": expected.sequence, "session": session });
        match self.ask_raw("end-session", tokens, body, None, timeout).await.answer {
            Ok(raw) => {
                let ended = raw.body.get("ended").and_then(Value::as_bool).filter(|_| raw.status == 200);
                (ended.ok_or_else(|| journal_answer(&raw)), identity(&raw.body))
            }
            Err(none) => (Err(none.into()), None),
        }
    }

    async fn ask_turn(
        &self,
        route: &str,
        tokens: &GatewayTokens,
        body: Value,
        trace: Option<&TraceParent>,
        timeout: Duration,
    ) -> TurnAnswer {
        let asked = self.ask_raw(route, tokens, body, trace, timeout).await;
        let (turn, seen) = match asked.answer {
            Ok(raw) => {
                let entry = raw
                    .body
                    .get("entry")
                    .and_then(|entry| turn_entry(entry, raw.omitted))
                    .filter(|_| matches!(raw.status, 200 | 202 | 410));
                (entry.unwrap_or_else(|| TurnState::Other(journal_answer(&raw))), identity(&raw.body))
            }
            Err(none) => (TurnState::Other(none.into()), None),
        };
        let turn = match turn {
            TurnState::Other(answer) => TurnState::Other(answer.of_all_sendings(asked.again)),
            entry @ (TurnState::Running(_) | TurnState::Replied(_) | TurnState::Failed(..)) => entry,
        };
        TurnAnswer { turn, seen }
    }
}

/// An entry of a turn that has been started; whatever else an entry says is said in the language of calls.
fn turn_entry(entry: &Value, omitted: Option<Omission>) -> Option<TurnState> {
    let text = |name| entry.get(name).and_then(Value::as_str);
    if text("kind") != Some("turn") {
        return None;
    }
    let round = || Box::new(Round::of(entry, omitted));
    match text("state")? {
        "started" => Some(TurnState::Running(round())),
        "finished" => Some(TurnState::Replied(round())),
        // A failure of tomorrow is a failure all the same.
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
