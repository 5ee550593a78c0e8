//! One step of a job: a tool call or a round of an agent's turn, how often it was tried, and how it ended.
//!
//! A job begins with the steps that were submitted. A round that ends with proposals puts a step behind itself for each of
//! them, and behind those the next round: so whatever is called is a step, with its own decision, yes, intent and outcome.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    catalogue::ToolEffect,
    conversation::ConversationName,
    ids::{Digest, Timestamp},
    job::{Intent, ResultRef, approval::Approval, progress::Progress},
};

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Calls a tool.
    #[default]
    Call,
    /// Lets an agent run for one round.
    Turn,
    /// Deletes a conversation at the gateway.
    End,
}

impl StepKind {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
    fn is_call(&self) -> bool {
        *self == Self::Call
    }
}

/// A step, as the job item holds it. What is sent is not here but in the payload, or in a record of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The tool's name in the catalogue; the agent's, unless it calls.
    #[serde(rename = "tl")]
    pub tool: String,
    /// What the tool does, as decided at the edge. A turn by itself changes nothing.
    #[serde(rename = "ef")]
    pub effect: ToolEffect,
    /// What it does.
    #[serde(rename = "kd", default, skip_serializing_if = "StepKind::is_call")]
    pub kind: StepKind,
    /// The number of the submitted step that it belongs to.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub of: usize,
    /// Its place within that one: 0 for what was submitted, then the calls that a turn proposed and its further rounds.
    #[serde(rename = "rd", default, skip_serializing_if = "is_zero")]
    pub round: u32,
    /// A value of it comes from a turn or an earlier step, not from the user.
    #[serde(rename = "dv", default, skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
    /// Names what is sent, when that is not what the payload says.
    #[serde(rename = "ip", default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Digest>,
    /// The conversation of a turn.
    #[serde(rename = "cv", default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationName>,
    /// How long it may take, all its rounds together, in seconds.
    #[serde(rename = "ds", default, skip_serializing_if = "Option::is_none")]
    pub deadline_s: Option<u32>,
    /// When it was first claimed, if it has a deadline.
    #[serde(rename = "bg", default, skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<Timestamp>,
    /// Dispatches, and crashes before one. Not returns from waiting, not "not started".
    #[serde(rename = "at", default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// How often in a row the gateway would not start the call: drives backoff only.
    #[serde(rename = "ns", default, skip_serializing_if = "is_zero")]
    pub not_started: u32,
    /// How often the call was found still out: drives backoff only.
    #[serde(rename = "ck", default, skip_serializing_if = "is_zero")]
    pub checks: u32,
    /// How often a round was sent again under its key, because the journal had given it back or never had it.
    #[serde(rename = "rt", default, skip_serializing_if = "is_zero")]
    pub resent: u32,
    /// The yes that it needs, and whether it was given. Without one the edge decided that it runs.
    #[serde(rename = "ap", default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Repetition of a repeatable call; see [`crate::job::CallKey`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub n: u32,
    /// What was sent, or may have been.
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// When the journal was first seen to have the call running. From then on a journal without it has lost its memory.
    #[serde(rename = "rn", default, skip_serializing_if = "Option::is_none")]
    pub running_since: Option<Timestamp>,
    /// Whether the tool is known to have run to an end.
    #[serde(rename = "ok", default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<StepOutcome>,
    /// Why it did not succeed: a stable code. Kept here when the job went on after it.
    #[serde(rename = "er", default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it returned. That of the last step is the job's.
    #[serde(rename = "rs", default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultRef>,
    /// What the agent was last seen to do.
    #[serde(rename = "pg", default, skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<Progress>,
    /// The end of the reply so far.
    #[serde(rename = "pt", default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// The tool ran and said it was fine.
    Succeeded,
    /// The tool ran, or may have in part, and said it failed.
    Failed,
    /// The gateway or policy would not run it.
    Refused,
    /// Nothing was sent, and nothing will be.
    NotRun,
    /// A write was sent, and its result cannot be proven.
    Unknown,
}

impl StepOutcome {
    /// Its name, as it is stored and published.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::NotRun => "not_run",
            Self::Unknown => "unknown",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_nought(n: &usize) -> bool {
    *n == 0
}

impl Step {
    /// A turn of this agent that nothing has happened to yet.
    pub fn turn(agent: String, conversation: Option<ConversationName>) -> Self {
        Self { kind: StepKind::Turn, conversation, ..Self::new(agent, ToolEffect::Read) }
    }

    /// The end of a conversation with this agent.
    pub fn end(agent: String, conversation: ConversationName) -> Self {
        Self { kind: StepKind::End, conversation: Some(conversation), ..Self::new(agent, ToolEffect::Read) }
    }

    /// The step behind this one, which belongs to the same submitted step and shares its deadline.
    #[must_use]
    pub fn followed_by(&self, next: Self, round: u32) -> Self {
        Self { of: self.of, round, deadline_s: self.deadline_s, begun_at: self.begun_at, ..next }
    }

    /// Whether an agent proposed it.
    pub fn is_proposed(&self) -> bool {
        self.kind == StepKind::Call && self.round > 0
    }

    /// By when it has to be over, once it has begun.
    pub fn deadline(&self) -> Option<Timestamp> {
        Some(self.begun_at?.plus(Duration::from_secs(self.deadline_s?.into())))
    }

    /// A tool call that nothing has happened to yet.
    pub fn new(tool: String, effect: ToolEffect) -> Self {
        Self {
            tool,
            effect,
            kind: StepKind::Call,
            of: 0,
            round: 0,
            derived: false,
            input: None,
            conversation: None,
            deadline_s: None,
            begun_at: None,
            attempts: 0,
            not_started: 0,
            checks: 0,
            resent: 0,
            approval: None,
            n: 0,
            intent: None,
            running_since: None,
            outcome: None,
            error: None,
            result: None,
            progress: Vec::new(),
            partial: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_has_the_name_that_is_stored() {
        use StepOutcome::{Failed, NotRun, Refused, Succeeded, Unknown};
        for outcome in [Succeeded, Failed, Refused, NotRun, Unknown] {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
        }
    }
}
