//! What an agent is doing: a short list on its step. It says which tools, never with what, unless the catalogue lets it.

use serde::{Deserialize, Serialize};

use crate::ids::Timestamp;

/// How many of the latest are kept.
pub const KEPT: usize = 6;

/// One thing that happened in a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// What.
    #[serde(rename = "w")]
    pub what: Doing,
    /// Which tool.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// How far that call is.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub state: Option<CallState>,
    /// Its arguments, escaped and cut, when the catalogue marks the tool public.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}

/// What an agent does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// Its model has been asked.
    Thinking,
    /// It called a tool.
    Tool,
    /// Its answer is being written.
    Replying,
    /// Something that this version has no word for.
    #[serde(other)]
    Other,
}

/// How far a call in an agent run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// It runs.
    Running,
    /// It ended.
    Done,
    /// It failed.
    Failed,
    /// It did not run: the service decides about it.
    Proposed,
    /// It did not run.
    Vetoed,
    /// Something that this version has no word for.
    #[serde(other)]
    Other,
}
