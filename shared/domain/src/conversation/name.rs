//! Names of conversations, and their session keys at the gateway.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ids::{RequestId, UserId};

const NAME_AT_MOST: usize = 64;

/// The name that a user gave a conversation: 1 to 64 of `a-z`, `0-9`, `-` and `_`. Upper case is not allowed: the
/// gateway folds the case of session keys, so two names could share a session.
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

crate::ids::text_form!(ConversationName, NotAName);

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

/// The session of a turn.
#[derive(Debug, Clone, Copy)]
pub enum TurnPlace<'a> {
    /// The session of this conversation of the user.
    Conversation(&'a ConversationName),
    /// A session for the rounds of this submitted step only.
    Once(RequestId, usize),
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
