//! A text that is checked, and that an operator is shown if it is held.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::text_of;

/// What kind of text is held. The names are part of the public format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldKind {
    /// The arguments of a call.
    Arguments,
    /// The message of a turn.
    Message,
    /// The reply of a turn.
    Reply,
}

/// A text that is checked: what an operator is shown of it, and what their decision is bound to.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum CheckedText<'a> {
    /// A call that a tool would get.
    Arguments {
        /// The tool's name in the catalogue.
        tool: Cow<'a, str>,
        /// The arguments that would be sent.
        arguments: Cow<'a, Value>,
    },
    /// A message that an agent would get.
    Message {
        /// The agent's name.
        agent: Cow<'a, str>,
        /// The message.
        text: Cow<'a, str>,
    },
    /// A reply of an agent that its user would be shown.
    Reply {
        /// The agent's name.
        agent: Cow<'a, str>,
        /// The reply.
        text: Cow<'a, str>,
    },
}

// Written by hand: a derived one would print the text.
impl std::fmt::Debug for CheckedText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CheckedText({:?})", self.kind())
    }
}

impl CheckedText<'_> {
    /// Its kind.
    pub const fn kind(&self) -> HeldKind {
        match self {
            Self::Arguments { .. } => HeldKind::Arguments,
            Self::Message { .. } => HeldKind::Message,
            Self::Reply { .. } => HeldKind::Reply,
        }
    }

    /// The text that WeChat checks.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Arguments { arguments, .. } => text_of(arguments).into(),
            Self::Message { text, .. } | Self::Reply { text, .. } => text.as_ref().into(),
        }
    }
}
