//! The public view of a conversation.

use serde::Serialize;

use crate::conversation::{Conversation, ConversationName, KnownConversation};

/// The public form of a conversation.
#[derive(Debug, Serialize)]
pub struct ConversationView {
    /// The name.
    pub conversation: ConversationName,
    /// The agent.
    pub agent: String,
    /// Number of jobs that have been accepted for it.
    pub turns: u64,
    /// Number of jobs that may still be open.
    pub open: usize,
    /// When the first turn was accepted.
    pub created_at: String,
    /// When the last turn was accepted.
    pub updated_at: String,
    /// Whether the conversation is being deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ending: bool,
}

impl From<KnownConversation> for ConversationView {
    fn from(KnownConversation { name, conversation }: KnownConversation) -> Self {
        let Conversation { agent, created_at, updated_at, jobs, queue, ended_by, .. } = conversation;
        Self {
            conversation: name,
            agent,
            turns: jobs,
            open: queue.len(),
            created_at: created_at.to_string(),
            updated_at: updated_at.to_string(),
            ending: ended_by.is_some(),
        }
    }
}
