//! Conversations: what an agent remembers between turns, and whose turn it is.
//!
//! A conversation is one session at the gateway. Its name is the user's own, its session key carries the user's id, so that
//! nobody can name another user's (invariant 10). The jobs that want it stand in **line**, in the order in which they were
//! accepted; a job may go on once every one before it is over. Nobody holds a lock, so nobody can keep one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{request_id::RequestId, timestamp::Timestamp, user_id::UserId};

/// How many jobs may stand in line for one conversation.
pub const LINE_AT_MOST: usize = 16;
const NAME_AT_MOST: usize = 64;

/// The name that a user gave a conversation: 1 to 64 of `a-z`, `0-9`, `-` and `_`. The gateway folds the case of session
/// keys, so there is no upper case to fold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConversationName(String);

/// The text is no name of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a conversation's name is 1 to 64 lower-case letters, digits, `-` or `_`, and begins with a letter or digit")]
pub struct NotAName;

impl FromStr for ConversationName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        let begins = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if begins && text.len() <= NAME_AT_MOST && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAName)
        }
    }
}

impl TryFrom<String> for ConversationName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ConversationName> for String {
    fn from(name: ConversationName) -> Self {
        name.0
    }
}

impl fmt::Display for ConversationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The session of a turn, as the gateway and its journal know it: lower case throughout.
pub fn session_key(agent: &str, user: UserId, place: &TurnPlace<'_>) -> String {
    let agent = agent.to_ascii_lowercase();
    match place {
        TurnPlace::Conversation(name) => format!("agent:{agent}:miniprogram:{user}:c.{name}"),
        TurnPlace::Once(request, of) => format!("agent:{agent}:miniprogram:{user}:once.{request}.{of}"),
    }
}

/// Where a turn takes place.
#[derive(Debug, Clone, Copy)]
pub enum TurnPlace<'a> {
    /// In this conversation of its user.
    Conversation(&'a ConversationName),
    /// In a session of its own, which only the rounds of this submitted step share.
    Once(RequestId, usize),
}

/// A conversation, as the table holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// With whom. Another agent has another memory, so a conversation keeps the one that it began with.
    #[serde(rename = "ag")]
    pub agent: String,
    /// Bumped by every write, a condition of every write.
    pub rev: u64,
    /// When the first turn was accepted.
    #[serde(rename = "ca")]
    pub created_at: Timestamp,
    /// When the last one was.
    #[serde(rename = "ua")]
    pub updated_at: Timestamp,
    /// How many jobs have been accepted for it.
    #[serde(rename = "tu", default)]
    pub jobs: u64,
    /// Those that may still be open, in order.
    #[serde(rename = "li", default)]
    pub line: Vec<RequestId>,
    /// The job that ends it, once its user has asked for that: nobody joins any more.
    #[serde(rename = "en", default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<RequestId>,
    /// It has been deleted: what is left of it only counts writes, until the table drops it.
    #[serde(rename = "go", default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// Why a job cannot stand in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotInLine {
    /// The conversation is with another agent.
    OtherAgent,
    /// Too many are in it already.
    Full,
    /// It is being deleted.
    Ending,
}

impl Conversation {
    /// One that begins now. Nobody is in line yet.
    pub fn begun(agent: &str, now: Timestamp) -> Self {
        Self {
            agent: agent.to_owned(),
            rev: 0,
            created_at: now,
            updated_at: now,
            jobs: 0,
            line: Vec::new(),
            ended_by: None,
            gone: false,
        }
    }

    /// What is left of it.
    #[must_use]
    pub fn deleted(&self, now: Timestamp) -> Self {
        Self { rev: self.rev + 1, gone: true, ended_by: self.ended_by, ..Self::begun(&self.agent, now) }
    }

    /// The same with a job at the end of the line. A job that is in it keeps its place, and nothing changes.
    pub fn joined(&self, agent: &str, id: RequestId, now: Timestamp) -> Result<Self, NotInLine> {
        if self.agent != agent {
            return Err(NotInLine::OtherAgent);
        }
        if self.line.contains(&id) {
            return Ok(self.clone());
        }
        if self.ended_by.is_some_and(|ending| ending != id) {
            return Err(NotInLine::Ending);
        }
        if self.line.len() >= LINE_AT_MOST {
            return Err(NotInLine::Full);
        }
        let mut next = self.clone();
        next.rev += 1;
        next.jobs += 1;
        next.updated_at = now;
        next.line.push(id);
        Ok(next)
    }

    /// The same without those jobs. One that was to end it, and is over while it is still there, has not ended it.
    #[must_use]
    pub fn left(&self, over: &[RequestId]) -> Self {
        let line = self.line.iter().filter(|id| !over.contains(id)).copied().collect();
        let ended_by = self.ended_by.filter(|id| !over.contains(id));
        Self { rev: self.rev + 1, line, ended_by, ..self.clone() }
    }

    /// The jobs that are before this one; every job of the line when it is not in it.
    pub fn before(&self, id: RequestId) -> &[RequestId] {
        let place = self.line.iter().position(|other| *other == id).unwrap_or(self.line.len());
        self.line.get(..place).unwrap_or_default()
    }

    /// The first job that is not this one.
    pub fn next_after(&self, id: RequestId) -> Option<RequestId> {
        self.line.iter().find(|other| **other != id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn id(n: u8) -> RequestId {
        format!("019a8f3c-7e10-7abc-9def-0123456789{n:02x}").parse().unwrap()
    }

    #[test]
    fn a_name_has_one_spelling() {
        for good in ["a", "0", "trip-2026_x", &"x".repeat(64)] {
            assert_eq!(good.parse::<ConversationName>().unwrap().to_string(), good);
        }
        for bad in ["", "A", "a:b", "a.b", "-a", "_a", "a b", "é", "a\n", &"x".repeat(65), "main:subagent"] {
            assert_eq!(bad.parse::<ConversationName>(), Err(NotAName), "{bad:?}");
        }
    }

    #[test]
    fn no_two_users_places_or_agents_share_a_session() {
        let (alice, bob) = (UserId::from_random([1; 16]), UserId::from_random([2; 16]));
        let (trip, once) = ("trip".parse().unwrap(), TurnPlace::Once(id(1), 0));
        let trip = TurnPlace::Conversation(&trip);
        let keys = [
            session_key("main", alice, &trip),
            session_key("main", bob, &trip),
            session_key("other", alice, &trip),
            session_key("main", alice, &once),
            session_key("main", alice, &TurnPlace::Once(id(1), 1)),
            session_key("main", alice, &TurnPlace::Once(id(2), 0)),
        ];
        for (place, key) in keys.iter().enumerate() {
            assert!(!keys.get(place + 1..).unwrap().contains(key), "{key}");
            assert_eq!(*key, key.to_lowercase());
        }
    }

    #[test]
    fn a_line_keeps_its_order_whoever_joins_twice_or_leaves() {
        let line =
            (1..4).fold(Conversation::begun("main", NOW), |so_far, n| so_far.joined("main", id(n), NOW).unwrap());
        assert_eq!(line.joined("main", id(2), NOW).unwrap(), line, "it is in line already");
        assert_eq!(line.before(id(1)), []);
        assert_eq!(line.before(id(3)), [id(1), id(2)]);
        assert_eq!(line.left(&[id(1)]).before(id(3)), [id(2)]);
        assert_eq!(line.next_after(id(1)), Some(id(2)));
        assert_eq!(line.joined("other", id(9), NOW), Err(NotInLine::OtherAgent));
        let ending = Conversation { ended_by: Some(id(4)), ..line.clone() };
        assert_eq!(ending.joined("main", id(9), NOW), Err(NotInLine::Ending));
        assert_eq!(ending.joined("main", id(4), NOW).unwrap().before(id(4)), [id(1), id(2), id(3)]);
        let full =
            (0..16).fold(Conversation::begun("main", NOW), |so_far, n| so_far.joined("main", id(n), NOW).unwrap());
        assert_eq!(full.joined("main", id(99), NOW), Err(NotInLine::Full));
    }
}
