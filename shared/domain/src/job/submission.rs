//! A submission: the body of `POST /v1/jobs`, parsed once, at the edge.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    conversation::ConversationName,
    ids::{Digest, DigestKey, Timestamp},
    json::{
        canonical,
        references::{self, DeriveFault},
        text::is_blank,
    },
};

/// Maximum number of steps of one submission.
pub const STEPS_AT_MOST: usize = 20;
/// The agent of a turn that names none.
pub const DEFAULT_AGENT: &str = "main";
/// Maximum length of one turn's message in bytes, after references are resolved.
pub const MESSAGE_AT_MOST: usize = 16 * 1024;
/// Maximum of `deadline_s` in seconds: one day.
const DEADLINE_S_AT_MOST: u64 = 86_400;

/// One tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The tool's name in the catalogue.
    pub tool: String,
    /// The tool's arguments, as validated, digested and sent.
    pub arguments: Value,
}

/// One turn of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// The message to the agent: a text, or an array of texts and references that are joined.
    pub message: Value,
    /// The agent's name in the catalogue.
    pub agent: String,
    /// The conversation. A turn without one runs in a session that is deleted afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationName>,
}

/// The deletion of a conversation: the gateway deletes the session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndOfConversation {
    /// The conversation to delete.
    pub end_conversation: ConversationName,
    /// The agent of the conversation.
    pub agent: String,
}

/// Work of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Work {
    /// A tool call.
    Call(Call),
    /// An agent's turn.
    Turn(Turn),
    /// The deletion of a conversation. A submission cannot contain it: `DELETE /v1/conversations/{conversation}`
    /// makes it.
    End(EndOfConversation),
}

/// One step as it was submitted, and as the payload stores it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// The work to do.
    #[serde(flatten)]
    pub work: Work,
    /// Seconds that the step may take from its first claim on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_s: Option<u32>,
}

/// A parsed submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    steps: Vec<Wanted>,
    not_after: Option<Timestamp>,
    deadline: Option<Timestamp>,
    notify: Option<String>,
}

/// Why a body is not a valid submission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmissionFault {
    /// The body is not a JSON object.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// It has a field that this version does not know.
    #[error("there is a field that is not known here: {0}")]
    UnknownField(String),
    /// A required field is missing.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// A field has the wrong type.
    #[error("the field {0} is not {1}")]
    WrongType(&'static str, &'static str),
    /// The message has only white space.
    #[error("the message is empty")]
    EmptyMessage,
    /// The message is too long.
    #[error("the message is longer than {MESSAGE_AT_MOST} bytes")]
    LongMessage,
    /// The turns use more than one conversation, or one conversation with more than one agent.
    #[error("the turns of one job share one conversation and one agent in it")]
    TwoConversations,
    /// One of several steps is invalid.
    #[error("step {step}: {fault}")]
    Step {
        /// Index of the step, from 0.
        step: usize,
        /// What is wrong with the step.
        fault: Box<SubmissionFault>,
    },
    /// A reference to an earlier step is invalid.
    #[error(transparent)]
    Reference(#[from] DeriveFault),
}

impl Submission {
    /// Parses `{"tool", "arguments"}`, `{"message", "agent"?, "conversation"?}`, either with `deadline_s`?, or
    /// `{"steps": [of those]}`; with `not_after`?, `deadline`?, `notify`? and `sent_at`?.
    pub fn parse(body: Value) -> Result<Self, SubmissionFault> {
        let Value::Object(mut fields) = body else { return Err(SubmissionFault::NotAnObject) };
        let not_after = take_time(&mut fields, "not_after")?;
        let deadline = take_time(&mut fields, "deadline")?;
        let notify = take_text(&mut fields, "notify")?;
        // Informative: when the client sent this. A repetition may have another value, so it is checked but not
        // stored.
        take_time(&mut fields, "sent_at")?;
        let steps = match fields.remove("steps") {
            None => vec![wanted(fields, None)?],
            Some(Value::Array(steps)) if (1..=STEPS_AT_MOST).contains(&steps.len()) => {
                nothing_left(&fields)?;
                let parsed = steps.into_iter().enumerate().map(|(step, value)| {
                    let Value::Object(fields) = value else {
                        return Err(SubmissionFault::WrongType("steps", "an array of objects"));
                    };
                    wanted(fields, Some(step)).map_err(|fault| SubmissionFault::Step { step, fault: Box::new(fault) })
                });
                parsed.collect::<Result<Vec<_>, _>>()?
            }
            Some(_) => return Err(SubmissionFault::WrongType("steps", "an array of 1 to 20 steps")),
        };
        one_conversation(&steps)?;
        Ok(Self { steps, not_after, deadline, notify })
    }

    /// The submission that deletes a conversation.
    pub fn end_of(conversation: ConversationName, agent: String) -> Self {
        let work = Work::End(EndOfConversation { end_conversation: conversation, agent });
        Self { steps: vec![Wanted { work, deadline_s: None }], not_after: None, deadline: None, notify: None }
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Wanted] {
        &self.steps
    }

    /// Latest time to start, if the client gave one.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.not_after
    }

    /// Latest time to be over, if the client gave one.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// Name of the notification that the user asks for.
    pub fn notify(&self) -> Option<&str> {
        self.notify.as_deref()
    }

    /// The conversation whose queue the job joins, and the agent.
    pub fn conversation(&self) -> Option<(&ConversationName, &str)> {
        self.steps.iter().find_map(|step| step.work.conversation())
    }

    /// Keyed digest of everything that distinguishes this request from another under the same id (invariant 6).
    pub fn fingerprint(&self, key: &DigestKey) -> Digest {
        let mut whole = json!({ "steps": self.steps, "not_after": self.not_after.map(Timestamp::millis) });
        // Without a deadline or a notification the digested form has no such field, as before these existed: stored
        // fingerprints stay valid.
        if let Value::Object(whole) = &mut whole {
            whole.extend(self.deadline.map(|deadline| ("deadline".to_owned(), deadline.millis().into())));
            whole.extend(self.notify.as_ref().map(|name| ("notify".to_owned(), name.as_str().into())));
        }
        key.digest_bytes(&canonical::canonical(&whole))
    }
}

impl Work {
    /// The conversation and the agent of a turn or a deletion.
    pub fn conversation(&self) -> Option<(&ConversationName, &str)> {
        match self {
            Self::Call(_) => None,
            Self::Turn(turn) => turn.conversation.as_ref().map(|name| (name, turn.agent.as_str())),
            Self::End(end) => Some((&end.end_conversation, end.agent.as_str())),
        }
    }

    /// Indexes of the submitted steps whose results this step, at index `own`, refers to.
    pub fn references(&self, own: usize) -> Result<BTreeSet<usize>, DeriveFault> {
        match self {
            Self::Call(call) => references::references(&call.arguments, own),
            Self::Turn(turn) => references::references(&turn.message, own),
            Self::End(_) => Ok(BTreeSet::new()),
        }
    }
}

/// The text of a message whose references have been resolved: strings as they are, other values as JSON.
pub fn message_text(message: &Value) -> Result<String, SubmissionFault> {
    let parts = match message {
        Value::Array(parts) => parts.as_slice(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            std::slice::from_ref(message)
        }
    };
    let text: String = parts.iter().map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned)).collect();
    if is_blank(&text) {
        return Err(SubmissionFault::EmptyMessage);
    }
    if text.len() > MESSAGE_AT_MOST { Err(SubmissionFault::LongMessage) } else { Ok(text) }
}

/// Parses one step; `place` is its index among several, and `None` for a single one, which cannot refer to other
/// steps.
fn wanted(mut fields: Map<String, Value>, place: Option<usize>) -> Result<Wanted, SubmissionFault> {
    let deadline_s = match fields.remove("deadline_s") {
        None => None,
        Some(value) => {
            let seconds = value.as_u64().filter(|seconds| (1..=DEADLINE_S_AT_MOST).contains(seconds));
            let wrong = SubmissionFault::WrongType("deadline_s", "a number of seconds from 1 to 86400");
            Some(seconds.and_then(|seconds| u32::try_from(seconds).ok()).ok_or(wrong)?)
        }
    };
    let work = if fields.contains_key("message") { turn(&mut fields)? } else { call(&mut fields)? };
    nothing_left(&fields)?;
    match (&work, place) {
        (_, Some(place)) => drop(work.references(place)?),
        // A single step has nothing to refer to, so its message is one text. A tool's arguments may use such a field
        // themselves.
        (Work::Turn(turn), None) if !turn.message.is_string() => {
            return Err(SubmissionFault::WrongType("message", "a string"));
        }
        (Work::Call(_) | Work::Turn(_) | Work::End(_), None) => {}
    }
    Ok(Wanted { work, deadline_s })
}

fn call(fields: &mut Map<String, Value>) -> Result<Work, SubmissionFault> {
    let tool = take_text(fields, "tool")?.ok_or(SubmissionFault::Missing("tool"))?;
    let arguments = fields.remove("arguments").ok_or(SubmissionFault::Missing("arguments"))?;
    if !arguments.is_object() {
        return Err(SubmissionFault::WrongType("arguments", "an object"));
    }
    Ok(Work::Call(Call { tool, arguments }))
}

fn turn(fields: &mut Map<String, Value>) -> Result<Work, SubmissionFault> {
    let message = fields.remove("message").unwrap_or_default();
    let complete = match &message {
        Value::String(_) => true,
        Value::Array(parts) if parts.iter().all(|part| part.is_string() || references::is_reference(part)) => {
            parts.iter().all(Value::is_string)
        }
        _ => return Err(SubmissionFault::WrongType("message", "a string, or an array of strings and references")),
    };
    if complete {
        message_text(&message)?;
    }
    let agent = take_text(fields, "agent")?.unwrap_or_else(|| DEFAULT_AGENT.to_owned());
    let conversation = match take_text(fields, "conversation")? {
        None => None,
        Some(name) => Some(name.parse().map_err(|_| {
            SubmissionFault::WrongType("conversation", "1 to 64 lower-case letters, digits, `-` or `_`")
        })?),
    };
    Ok(Work::Turn(Turn { message, agent, conversation }))
}

/// Allows one conversation and one agent. Two queues could wait for each other, and an agent does not know another's
/// memory.
fn one_conversation(steps: &[Wanted]) -> Result<(), SubmissionFault> {
    let named: BTreeSet<_> = steps.iter().filter_map(|step| step.work.conversation()).collect();
    if named.len() > 1 { Err(SubmissionFault::TwoConversations) } else { Ok(()) }
}

fn nothing_left(fields: &Map<String, Value>) -> Result<(), SubmissionFault> {
    let unknown = |field: &String| SubmissionFault::UnknownField(field.chars().take(40).collect());
    fields.keys().next().map_or(Ok(()), |field| Err(unknown(field)))
}

fn take_text(fields: &mut Map<String, Value>, name: &'static str) -> Result<Option<String>, SubmissionFault> {
    match fields.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(SubmissionFault::WrongType(name, "a string")),
    }
}

fn take_time(fields: &mut Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, SubmissionFault> {
    match fields.remove(name) {
        None => Ok(None),
        Some(value) => Timestamp::parse(&value)
            .map(Some)
            .map_err(|_| SubmissionFault::WrongType(name, "a time (RFC 3339, or seconds or milliseconds since 1970)")),
    }
}

#[cfg(test)]
mod tests;
