//! The chains beside the jobs: what operators did, and what each user was refused. Same links, same verification.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::AuditHead;
use crate::{
    access::service_mode::Mode,
    ids::{Digest, OperatorId, RequestId, Timestamp, UserId},
    json::canonical,
};

/// Which chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChainName {
    /// What operators, alarms and commands did. There is one.
    Operators,
    /// What this user was refused.
    Refusals(UserId),
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operators => f.write_str("operators"),
            Self::Refusals(user) => write!(f, "refusals:{user}"),
        }
    }
}

/// Who changed what the service may do. Stored and published as `operator:<id>`, `alarm:<name>` or `command`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum OperatorActor {
    /// A person, by the random id that their first sign-in was given.
    Operator(OperatorId),
    /// An alarm of that name.
    Alarm(String),
    /// The command line of whoever runs the service.
    Command,
}

/// The text names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not operator:<id>, alarm:<name> or command")]
pub struct NotAnActor;

impl fmt::Display for OperatorActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(id) => write!(f, "operator:{id}"),
            Self::Alarm(name) => write!(f, "alarm:{name}"),
            Self::Command => f.write_str("command"),
        }
    }
}

impl FromStr for OperatorActor {
    type Err = NotAnActor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "command" => Ok(Self::Command),
            Some(("operator", id)) => id.parse().map(Self::Operator).map_err(|_| NotAnActor),
            Some(("alarm", name)) if !name.is_empty() => Ok(Self::Alarm(name.to_owned())),
            None | Some(_) => Err(NotAnActor),
        }
    }
}

impl TryFrom<String> for OperatorActor {
    type Error = NotAnActor;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<OperatorActor> for String {
    fn from(actor: OperatorActor) -> Self {
        actor.to_string()
    }
}

/// What an operator, an alarm or a command did. The names are part of the public shape. Reasons and notes are at most
/// [`OperatorEvent::WORDS`] characters of a person's text; whoever writes them is told to name nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum OperatorEvent {
    /// The service's rung.
    ModeSet {
        /// The rung now.
        mode: Mode,
        /// The rung before; absent when none could be read.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        was: Option<Mode>,
        /// Why.
        reason: String,
    },
    /// The rung of one tool.
    ToolSet {
        /// Which.
        tool: String,
        /// Its rung now.
        mode: Mode,
        /// Why.
        reason: String,
    },
    /// A destructive tool may run.
    ToolOpened {
        /// Which.
        tool: String,
        /// Before this, RFC 3339.
        until: String,
        /// Why.
        reason: String,
    },
    /// A destructive tool may not run any more.
    ToolClosed {
        /// Which.
        tool: String,
        /// Why.
        reason: String,
    },
    /// A question was answered.
    ApprovalDecided {
        /// Support code of the job.
        job: String,
        /// Yes or no.
        approved: bool,
        /// Of the question.
        digest: Digest,
        /// Why, when it was said.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
    /// An unknown outcome was said to be known.
    JobResolved {
        /// Support code of the job.
        job: String,
        /// Whether the write ran.
        happened: bool,
        /// How it is known.
        reason: String,
    },
    /// Dead letters went back to the queue.
    DeadLettersReplayed {
        /// How many.
        count: u64,
        /// The one message that was asked for; absent: all.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        message_id: Option<String>,
        /// Why.
        reason: String,
    },
    /// Every session of a user was ended.
    UserRevoked {
        /// Whose.
        user_id: UserId,
        /// Why.
        reason: String,
    },
    /// A user's groups.
    GroupsSet {
        /// Whose.
        user_id: UserId,
        /// All of them now.
        groups: Vec<String>,
        /// Why.
        reason: String,
    },
    /// An operator named a user id as their own.
    UserRegistered {
        /// Which.
        user_id: UserId,
    },
    /// A call was not permitted to an operator.
    CallRefused {
        /// Method and path with placeholders.
        call: String,
        /// Why: a stable code.
        code: String,
    },
}

impl OperatorEvent {
    /// How many characters of a reason are kept.
    pub const WORDS: usize = 200;

    /// The same, with no more words than are kept.
    #[must_use]
    pub(super) fn bounded(mut self) -> Self {
        let reason = match &mut self {
            Self::ModeSet { reason, .. }
            | Self::ToolSet { reason, .. }
            | Self::ToolOpened { reason, .. }
            | Self::ToolClosed { reason, .. }
            | Self::ApprovalDecided { reason: Some(reason), .. }
            | Self::JobResolved { reason, .. }
            | Self::DeadLettersReplayed { reason, .. }
            | Self::UserRevoked { reason, .. }
            | Self::GroupsSet { reason, .. } => reason,
            Self::ApprovalDecided { reason: None, .. } | Self::UserRegistered { .. } | Self::CallRefused { .. } => {
                return self;
            }
        };
        if let Some((cut, _)) = reason.char_indices().nth(Self::WORDS) {
            reason.truncate(cut);
        }
        self
    }
}

/// What a user was refused, by policy, by mode, or because an approval was not theirs to give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "refused")]
pub struct RefusalEvent {
    /// The tool, when the catalogue knows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tool: Option<String>,
    /// Why: a stable code.
    pub code: String,
    /// The policies that said so.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub policies: Vec<String>,
    /// What was asked under, when it was readable.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<RequestId>,
}

/// One record of a chain beside the jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainRecord<A, E> {
    /// Version of this shape.
    pub v: u32,
    /// The chain that it belongs to.
    pub chain: String,
    /// Random: two things of one kind in one millisecond are two records.
    pub id: String,
    /// Its place in the chain, from 1.
    pub seq: u64,
    /// When, RFC 3339.
    pub at: String,
    /// Who.
    pub actor: A,
    /// The policy that was decided by.
    pub policy_version: String,
    /// What.
    #[serde(flatten)]
    pub event: E,
    /// Digest of the record before; 43 `A` for the first.
    pub prev: Digest,
}

impl<A: Serialize, E: Serialize> ChainRecord<A, E> {
    /// The first record of a chain, until [`ChainRecord::moved_after`] gives it another place.
    pub fn new(chain: ChainName, id: String, at: Timestamp, who_did_what: (A, E), policy_version: &str) -> Self {
        let (actor, event) = who_did_what;
        Self {
            v: 1,
            chain: chain.to_string(),
            id,
            seq: 1,
            at: at.to_string(),
            actor,
            policy_version: policy_version.to_owned(),
            event,
            prev: Digest::ZERO,
        }
    }

    /// The same record, after `head`.
    #[must_use]
    pub fn moved_after(self, head: AuditHead) -> Self {
        Self { seq: head.length + 1, prev: head.digest, ..self }
    }

    /// The canonical bytes that are stored, digested and published.
    pub fn canonical(&self) -> Vec<u8> {
        canonical::canonical(&serde_json::to_value(self).expect("a record has string keys only"))
    }

    /// The head of the chain that ends with this record.
    pub fn head(&self) -> AuditHead {
        AuditHead { length: self.seq, digest: Digest::sha256(&self.canonical()) }
    }
}

impl ChainRecord<OperatorActor, OperatorEvent> {
    /// The same record, with no more words than are kept.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self { event: self.event.bounded(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_did_it_is_one_text() {
        let id = "11111111-2222-4333-8444-555555555555";
        for text in [format!("operator:{id}"), "alarm:gateway-not-ready".to_owned(), "command".to_owned()] {
            assert_eq!(text.parse::<OperatorActor>().unwrap().to_string(), text);
        }
        for text in ["", "operator:", "operator:alice", "alarm:", "command:x", "somebody"] {
            assert_eq!(text.parse::<OperatorActor>(), Err(NotAnActor), "{text}");
        }
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let event = OperatorEvent::ToolClosed { tool: "t".into(), reason: "因".repeat(201) };
        let OperatorEvent::ToolClosed { reason, .. } = event.bounded() else { panic!("another event") };
        assert_eq!(reason, "因".repeat(200));
    }
}
