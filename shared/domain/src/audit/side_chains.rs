//! Side chains: hash chains that belong to no job, about operators' actions and users' refusals. They have the links
//! and the verification of job chains.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::AuditHead;
use crate::{
    access::service_mode::Mode,
    ids::{Digest, OperatorId, RequestId, Timestamp, UserId},
    json::canonical,
};

/// Name of a side chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChainName {
    /// Actions of operators, of `sweep` and of commands: a single chain.
    Operators,
    /// Refusals of this user.
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

/// Author of a recorded action. Stored and published as `operator:<id>`, `alarm:<name>` or `command`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum OperatorActor {
    /// An operator, by the random id given at the first sign-in.
    Operator(OperatorId),
    /// `sweep`, for the fault of this name. In records of earlier versions: a CloudWatch alarm.
    Alarm(String),
    /// The command line of the host.
    Command,
}

/// The text is not a valid author.
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

crate::ids::text_form!(OperatorActor, NotAnActor);

/// An action of an operator, of `sweep` or of a command. The names are part of the public format. Reasons and notes are a
/// person's text of at most [`OperatorEvent::WORDS`] characters; they must not contain personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum OperatorEvent {
    /// The service mode was set.
    ModeSet {
        /// The new mode.
        mode: Mode,
        /// The previous mode; absent when it could not be read.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        was: Option<Mode>,
        /// The operator's reason, or the fault that `sweep` observed.
        reason: String,
    },
    /// The mode of one tool was set.
    ToolSet {
        /// The tool's name.
        tool: String,
        /// The new mode.
        mode: Mode,
        /// The operator's reason.
        reason: String,
    },
    /// A destructive tool was unlocked.
    ToolOpened {
        /// The tool's name.
        tool: String,
        /// End of the unlock, RFC 3339.
        until: String,
        /// The operator's reason.
        reason: String,
    },
    /// A destructive tool was locked.
    ToolClosed {
        /// The tool's name.
        tool: String,
        /// The operator's reason.
        reason: String,
    },
    /// An approval request was decided.
    ApprovalDecided {
        /// Support code of the job.
        job: String,
        /// Whether the call was approved.
        approved: bool,
        /// Digest of the approval request.
        digest: Digest,
        /// The operator's reason, if one was given.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
    /// An operator decided about a text that content safety holds.
    TextDecided {
        /// Support code of the job.
        job: String,
        /// Whether the text may be sent or shown.
        passed: bool,
        /// Digest of the text.
        digest: Digest,
        /// The operator's reason, if one was given.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
    /// An operator resolved an unknown job.
    JobResolved {
        /// Support code of the job.
        job: String,
        /// Whether the write ran.
        happened: bool,
        /// How the operator knows.
        reason: String,
    },
    /// Dead letters were sent back to the queue. No longer written; records of versions that had this call stay valid.
    DeadLettersReplayed {
        /// Number of messages.
        count: u64,
        /// The only message that was requested; absent: all.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        message_id: Option<String>,
        /// The operator's reason.
        reason: String,
    },
    /// Every session of a user was revoked.
    UserRevoked {
        /// The user.
        user_id: UserId,
        /// The operator's reason.
        reason: String,
    },
    /// The groups of a user were set.
    GroupsSet {
        /// The user.
        user_id: UserId,
        /// The complete new set.
        groups: Vec<String>,
        /// The operator's reason.
        reason: String,
    },
    /// An operator registered a user id as their own.
    UserRegistered {
        /// The registered user id.
        user_id: UserId,
    },
    /// A call of an operator was refused.
    CallRefused {
        /// Method and path with placeholders.
        call: String,
        /// Why: a stable error code.
        code: String,
    },
}

impl OperatorEvent {
    /// Maximum length of a reason in characters.
    pub const WORDS: usize = 200;

    /// The same event with its texts shortened to that length.
    #[must_use]
    pub(super) fn bounded(mut self) -> Self {
        let reason = match &mut self {
            Self::ModeSet { reason, .. }
            | Self::ToolSet { reason, .. }
            | Self::ToolOpened { reason, .. }
            | Self::ToolClosed { reason, .. }
            | Self::ApprovalDecided { reason: Some(reason), .. }
            | Self::TextDecided { reason: Some(reason), .. }
            | Self::JobResolved { reason, .. }
            | Self::DeadLettersReplayed { reason, .. }
            | Self::UserRevoked { reason, .. }
            | Self::GroupsSet { reason, .. } => reason,
            Self::ApprovalDecided { reason: None, .. }
            | Self::TextDecided { reason: None, .. }
            | Self::UserRegistered { .. }
            | Self::CallRefused { .. } => return self,
        };
        if let Some((cut, _)) = reason.char_indices().nth(Self::WORDS) {
            reason.truncate(cut);
        }
        self
    }
}

/// A refusal of a user's request, by policy, by service mode, or because another person has to decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "refused")]
pub struct RefusalEvent {
    /// The tool, if the catalogue lists it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tool: Option<String>,
    /// Why: a stable error code.
    pub code: String,
    /// The policies that led to the refusal.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub policies: Vec<String>,
    /// Request id of the refused request, if it was valid.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<RequestId>,
}

/// One record of a side chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainRecord<A, E> {
    /// Version of the format.
    pub v: u32,
    /// Name of the chain.
    pub chain: String,
    /// Random, so that two equal events of one millisecond are different records.
    pub id: String,
    /// Sequence number in the chain, from 1.
    pub seq: u64,
    /// Time of the event, RFC 3339.
    pub at: String,
    /// Author of the event.
    pub actor: A,
    /// Version of the policies at the time.
    pub policy_version: String,
    /// The event.
    #[serde(flatten)]
    pub event: E,
    /// Digest of the previous record; 43 `A` for the first.
    pub prev: Digest,
}

impl<A: Serialize, E: Serialize> ChainRecord<A, E> {
    /// A record at the start of a chain, until [`ChainRecord::moved_after`] moves it.
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

    /// The same record as the successor of `head`.
    #[must_use]
    pub fn moved_after(self, head: AuditHead) -> Self {
        Self { seq: head.length + 1, prev: head.digest, ..self }
    }

    /// The canonical bytes that are stored, digested and published.
    pub fn canonical(&self) -> Vec<u8> {
        canonical::canonical(&serde_json::to_value(self).expect("a record has string keys only"))
    }

    /// The head of the chain after this record.
    pub fn head(&self) -> AuditHead {
        AuditHead { length: self.seq, digest: Digest::sha256(&self.canonical()) }
    }
}

impl ChainRecord<OperatorActor, OperatorEvent> {
    /// The same record with its texts shortened to the maximum length.
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
