//! One step of a job: a tool call, how often it was tried, and how it ended.

use serde::{Deserialize, Serialize};

use crate::{approval::Approval, catalogue::ToolEffect, intent::Intent, timestamp::Timestamp};

/// A step, as the job item holds it. The arguments are not here but in the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The tool's name in the catalogue.
    #[serde(rename = "tl")]
    pub tool: String,
    /// What the tool does, as decided at the edge.
    #[serde(rename = "ef")]
    pub effect: ToolEffect,
    /// Dispatches, and crashes before one. Not returns from waiting, not "not started".
    #[serde(rename = "at", default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// How often in a row the gateway would not start the call: drives backoff only.
    #[serde(rename = "ns", default, skip_serializing_if = "is_zero")]
    pub not_started: u32,
    /// How often the call was found still out: drives backoff only.
    #[serde(rename = "ck", default, skip_serializing_if = "is_zero")]
    pub checks: u32,
    /// The yes that it needs, and whether it was given. Without one the edge decided that it runs.
    #[serde(rename = "ap", default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Repetition of a repeatable call; see [`crate::intent::CallKey`].
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

impl Step {
    /// A step that nothing has happened to yet.
    pub fn new(tool: String, effect: ToolEffect) -> Self {
        Self {
            tool,
            effect,
            attempts: 0,
            not_started: 0,
            checks: 0,
            approval: None,
            n: 0,
            intent: None,
            running_since: None,
            outcome: None,
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
