//! Progress of an agent: a short list on its step. It names the tools; arguments are included only where the
//! catalogue marks the tool public.

use serde::{Deserialize, Serialize};

use crate::ids::Timestamp;

/// How many of the latest entries are kept.
pub const KEPT: usize = 6;

/// One event of a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// When it happened.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Kind of the event.
    #[serde(rename = "w")]
    pub what: Doing,
    /// Name of the tool that was called.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// State of that call.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub state: Option<CallState>,
    /// Arguments of that call, escaped and shortened; only when the catalogue marks the tool public.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}

/// Kind of a progress event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// The agent's model has been called.
    Thinking,
    /// The agent called a tool.
    Tool,
    /// The agent is writing its reply.
    Replying,
    /// A kind that this version does not know.
    #[serde(other)]
    Other,
}

/// State of a call inside an agent run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// Running.
    Running,
    /// Finished with success.
    Done,
    /// Finished with a failure.
    Failed,
    /// Recorded as a proposal instead of run: the service decides about it.
    Proposed,
    /// Blocked by the tool guard: it did not run.
    Vetoed,
    /// A state that this version does not know.
    #[serde(other)]
    Other,
}
