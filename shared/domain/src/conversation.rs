//! Conversations: the memory of an agent between turns, and the order of their jobs.
//!
//! A conversation is one session at the gateway. The user chooses its name; its session key also contains the user's
//! id, so that no user can name another's session (invariant 10). The jobs of a conversation form a **queue** in the
//! order of acceptance; a job may run once every job before it is over. No lock is held, so a crashed worker cannot
//! keep one.

mod name;
mod queue;

pub use name::{ConversationName, NotAName, TurnPlace, session_key};
pub use queue::{Conversation, KnownConversation, NotQueued, QUEUED_AT_MOST};
