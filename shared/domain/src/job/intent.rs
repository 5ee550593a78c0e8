//! Call keys and intents: what is about to be sent, recorded before it is sent.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{RequestId, Timestamp, UserId},
    job::WakeUpToken,
};

/// The key under which the gateway's journal stores a call (invariant 7). It names the operation, never the attempt,
/// so that a repeated attempt has the same key. `n` is always 0 for a non-idempotent write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallKey {
    /// The user who owns the job.
    pub user_id: UserId,
    /// The request id of the job.
    pub request_id: RequestId,
    /// Index of the submitted step.
    pub step: usize,
    /// Position within that step: 0 for what was submitted, higher for a turn's proposals and further rounds.
    pub round: u32,
    /// Number of the repetition of a repeatable call.
    pub n: u32,
}

impl fmt::Display for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}.{}", self.user_id, self.request_id, self.step, self.round, self.n)
    }
}

/// Identity of a gateway's journal, as the journal reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalId {
    /// Id of the journal's database. A journal with another id does not know the calls of this one.
    pub journal: String,
    /// Boot id: new at each start of the gateway.
    pub boot: String,
}

/// The route of a call to the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Via {
    /// Through this journal, which records the call. A job whose intent names a journal is never sent by another
    /// route.
    #[serde(rename = "j")]
    Journal(JournalId),
    /// By the gateway's own tool call, which records nothing.
    #[serde(rename = "d")]
    Direct,
}

/// The record that a call is about to be sent (invariant 4): committed before the call is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Route of the call.
    #[serde(rename = "v")]
    pub via: Via,
    /// When it was recorded.
    #[serde(rename = "t")]
    pub recorded_at: Timestamp,
    /// The journal's sequence as last seen. A lower one later means a restored snapshot, which may have lost the
    /// call.
    #[serde(rename = "q", default)]
    pub sequence: u64,
    /// The wake-up token that the journal may report progress with.
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
