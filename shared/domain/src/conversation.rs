//! Conversations: what an agent remembers between turns, and whose turn it is.
//!
//! A conversation is one session at the gateway. Its name is the user's own, its session key carries the user's id, so that
//! nobody can name another user's (invariant 10). The jobs that want it stand in **line**, in the order in which they were
//! accepted; a job may go on once every one before it is over. Nobody holds a lock, so nobody can keep one.

mod name;
mod queue;

pub use name::{ConversationName, NotAName, TurnPlace, session_key};
pub use queue::{Conversation, KnownConversation, NotQueued, QUEUED_AT_MOST};
