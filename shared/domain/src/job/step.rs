//! One step of a job: a tool call, a round of an agent's turn, or the deletion of a conversation; its attempts and
//! its outcome.
//!
//! A job starts with the submitted steps. A round that ends with proposals inserts a step after itself for each
//! proposal, and the next round after those. So each call is a step, with its own policy decision, approval, intent
//! and outcome.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    catalogue::ToolEffect,
    conversation::ConversationName,
    ids::{Digest, Timestamp},
    job::{HeldText, Intent, ResultRef, approval::Approval, held_text::EarlierText, progress::Progress},
    json::is_default,
};

/// Kind of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// A tool call.
    #[default]
    Call,
    /// One round of an agent's turn.
    Turn,
    /// The deletion of a conversation at the gateway.
    End,
}

/// A step, as the job's item stores it. What is sent is stored in the payload, or in a record of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The tool's name in the catalogue, or the agent's name for a turn or a deletion.
    #[serde(rename = "tl")]
    pub tool: String,
    /// Effect class of the tool, as decided at the edge. A turn itself is a read.
    #[serde(rename = "ef")]
    pub effect: ToolEffect,
    /// Kind of the step.
    #[serde(rename = "kd", default, skip_serializing_if = "is_default")]
    pub kind: StepKind,
    /// Index of the submitted step that it belongs to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub of: usize,
    /// Position within that step: 0 for what was submitted, then a turn's proposals and further rounds.
    #[serde(rename = "rd", default, skip_serializing_if = "is_default")]
    pub round: u32,
    /// Derived: an argument comes from a turn or an earlier step, not from the user.
    #[serde(rename = "dv", default, skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
    /// Digest of the record of what is sent, when it differs from the payload.
    #[serde(rename = "ip", default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Digest>,
    /// The conversation of a turn.
    #[serde(rename = "cv", default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationName>,
    /// Seconds that the step may take, all its rounds together.
    #[serde(rename = "ds", default, skip_serializing_if = "Option::is_none")]
    pub deadline_s: Option<u32>,
    /// When the step was first claimed, if it has a deadline.
    #[serde(rename = "bg", default, skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<Timestamp>,
    /// Dispatches, and crashes before a dispatch. Polls of a running call and attempts proven not to have started do
    /// not count.
    #[serde(rename = "at", default, skip_serializing_if = "is_default")]
    pub attempts: u32,
    /// How often in a row the gateway did not start the call. Used only for backoff.
    #[serde(rename = "ns", default, skip_serializing_if = "is_default")]
    pub not_started: u32,
    /// How often a poll found the call still running. Used only for backoff.
    #[serde(rename = "ck", default, skip_serializing_if = "is_default")]
    pub checks: u32,
    /// How often a round was sent again under its key, because the journal had released it or did not know it.
    #[serde(rename = "rt", default, skip_serializing_if = "is_default")]
    pub resent: u32,
    /// The approval request and its answer. Absent when the policy permits the call without an approval.
    #[serde(rename = "ap", default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// A text of the step that content safety holds for an operator, and the decision about it.
    #[serde(rename = "ht", default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldText>,
    /// Texts of the step that an operator had decided about before another one was held.
    #[serde(rename = "hd", default, skip_serializing_if = "Vec::is_empty")]
    pub decided_texts: Vec<EarlierText>,
    /// Number of the repetition of a repeatable call; see [`crate::job::CallKey`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub n: u32,
    /// The intent of the call that was sent, or may have been.
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// When the journal was first seen to have the call running. A journal that does not know the call later has lost
    /// its data.
    #[serde(rename = "rn", default, skip_serializing_if = "Option::is_none")]
    pub running_since: Option<Timestamp>,
    /// Whether the round has replied, and its reply waits at the journal until it can be checked.
    #[serde(rename = "rh", default, skip_serializing_if = "std::ops::Not::not")]
    pub reply_held: bool,
    /// How the step ended; `None` until then.
    #[serde(rename = "ok", default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<StepOutcome>,
    /// Why the step did not succeed: a stable code. Stored here when the job continued after the step.
    #[serde(rename = "er", default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Result of the step. The last step's result is stored as the job's.
    #[serde(rename = "rs", default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultRef>,
    /// The agent's progress, as last seen.
    #[serde(rename = "pg", default, skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<Progress>,
    /// The end of the reply so far.
    #[serde(rename = "pt", default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
}

/// Outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// The tool ran and reported success.
    Succeeded,
    /// The tool ran, at least in part, and reported a failure.
    Failed,
    /// The policy or the gateway refused to run it.
    Refused,
    /// No call was sent, and none will be.
    NotRun,
    /// A write was sent, and its outcome cannot be proven.
    Unknown,
}

impl StepOutcome {
    /// The name that is stored and published.
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

impl Step {
    /// A new turn of this agent.
    pub fn turn(agent: String, conversation: Option<ConversationName>) -> Self {
        Self { kind: StepKind::Turn, conversation, ..Self::new(agent, ToolEffect::Read) }
    }

    /// A new deletion of a conversation with this agent.
    pub fn end(agent: String, conversation: ConversationName) -> Self {
        Self { kind: StepKind::End, conversation: Some(conversation), ..Self::new(agent, ToolEffect::Read) }
    }

    /// The next step within the same submitted step, with the same deadline.
    #[must_use]
    pub fn followed_by(&self, next: Self, round: u32) -> Self {
        Self { of: self.of, round, deadline_s: self.deadline_s, begun_at: self.begun_at, ..next }
    }

    /// Whether an agent proposed this call.
    pub fn is_proposed(&self) -> bool {
        self.kind == StepKind::Call && self.round > 0
    }

    /// Time by which the step has to be over; `None` without a deadline or before the first claim.
    pub fn deadline(&self) -> Option<Timestamp> {
        Some(self.begun_at?.plus(Duration::from_secs(self.deadline_s?.into())))
    }

    /// A new tool call.
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
            held: None,
            decided_texts: Vec::new(),
            n: 0,
            intent: None,
            running_since: None,
            reply_held: false,
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
