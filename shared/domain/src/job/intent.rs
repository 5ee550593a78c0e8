//! What is about to be sent, recorded before it is sent, and the key that it is sent under.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{RequestId, Timestamp, UserId},
    job::WakeUpToken,
};

/// Invariant 7, *logical keys*: what the gateway's journal knows a call by. It names the operation, never the attempt, so
/// that repeating an attempt repeats the key. `n` is 0 for a non-idempotent write, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallKey {
    /// Whose.
    pub user_id: UserId,
    /// Which job.
    pub request_id: RequestId,
    /// Which submitted step of it.
    pub step: usize,
    /// Its place within that step: 0 for what was submitted, more for what a turn proposed and for its further rounds.
    pub round: u32,
    /// Which repetition of a repeatable call.
    pub n: u32,
}

impl fmt::Display for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}.{}", self.user_id, self.request_id, self.step, self.round, self.n)
    }
}

/// The identity of a gateway's journal, as it answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalId {
    /// Kept in the journal's database: another id is another memory.
    pub journal: String,
    /// One per start of the gateway.
    pub boot: String,
}

/// How a call leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Via {
    /// Through the journal, which remembers it. A job whose intent names a journal is never sent any other way.
    #[serde(rename = "j")]
    Journal(JournalId),
    /// Straight to the gateway, which remembers nothing.
    #[serde(rename = "d")]
    Direct,
}

/// Invariant 4, *intent first*: durable before the call leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// How it leaves.
    #[serde(rename = "v")]
    pub via: Via,
    /// When it was recorded.
    #[serde(rename = "t")]
    pub recorded_at: Timestamp,
    /// How far the journal was known to have come. One that has come less far since is a restored snapshot.
    #[serde(rename = "q", default)]
    pub sequence: u64,
    /// By what right whoever runs it has the job looked at.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub wake_up_token: Option<WakeUpToken>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_fits_what_the_journal_accepts() {
        let key = CallKey {
            user_id: UserId::from_random([1; 16]),
            request_id: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap(),
            step: 19,
            round: 3,
            n: 9,
        };
        let text = key.to_string();
        assert!(text.len() <= 160 && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')));
        assert!(text.ends_with(".019a8f3c-7e10-7abc-9def-0123456789ab.19.3.9"));
    }
}
