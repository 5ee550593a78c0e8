//! The queue of a conversation.

use serde::{Deserialize, Serialize};

use super::ConversationName;
use crate::ids::{RequestId, Timestamp};

/// Maximum number of jobs in the queue of one conversation.
pub const QUEUED_AT_MOST: usize = 16;

/// A conversation, as the table stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// The agent. It never changes: another agent does not know what this one remembers.
    #[serde(rename = "ag")]
    pub agent: String,
    /// Incremented and compared by every write.
    pub rev: u64,
    /// When the first turn was accepted.
    #[serde(rename = "ca")]
    pub created_at: Timestamp,
    /// When the last turn was accepted.
    #[serde(rename = "ua")]
    pub updated_at: Timestamp,
    /// Number of jobs that have been accepted for it.
    #[serde(rename = "tu", default)]
    pub jobs: u64,
    /// Jobs that may still be open, in the order of acceptance.
    #[serde(rename = "li", default)]
    pub queue: Vec<RequestId>,
    /// The job that deletes the conversation, once its user has requested that. No job may join the queue then.
    #[serde(rename = "en", default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<RequestId>,
    /// Deleted: the item only keeps the revision, until its TTL removes it.
    #[serde(rename = "go", default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// Why a job cannot join the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotQueued {
    /// The conversation is with another agent.
    OtherAgent,
    /// The queue is full.
    Full,
    /// The conversation is being deleted.
    Ending,
}

impl Conversation {
    /// A new conversation with an empty queue.
    pub fn begun(agent: &str, now: Timestamp) -> Self {
        Self {
            agent: agent.to_owned(),
            rev: 0,
            created_at: now,
            updated_at: now,
            jobs: 0,
            queue: Vec::new(),
            ended_by: None,
            gone: false,
        }
    }

    /// The remainder of the deleted conversation.
    #[must_use]
    pub fn deleted(&self, now: Timestamp) -> Self {
        Self { rev: self.rev + 1, gone: true, ended_by: self.ended_by, ..Self::begun(&self.agent, now) }
    }

    /// The conversation with a job appended to the queue. A job that is in the queue keeps its position, and nothing
    /// changes.
    pub fn joined(&self, agent: &str, id: RequestId, now: Timestamp) -> Result<Self, NotQueued> {
        if self.agent != agent {
            return Err(NotQueued::OtherAgent);
        }
        if self.queue.contains(&id) {
            return Ok(self.clone());
        }
        if self.ended_by.is_some_and(|ending| ending != id) {
            return Err(NotQueued::Ending);
        }
        if self.queue.len() >= QUEUED_AT_MOST {
            return Err(NotQueued::Full);
        }
        Ok(Self { rev: self.rev + 1, jobs: self.jobs + 1, ..self.clone() }.with_last(id, now))
    }

    /// The conversation with the job that deletes it at the end of the queue, instead of an earlier one that has ended without
    /// deleting it.
    #[must_use]
    pub fn ending(&self, id: RequestId, instead_of: Option<RequestId>, now: Timestamp) -> Self {
        Self { ended_by: Some(id), ..self.left(instead_of.as_slice()) }.with_last(id, now)
    }

    /// A request may read what a later one has changed already, so the time never goes back.
    fn with_last(mut self, id: RequestId, now: Timestamp) -> Self {
        self.updated_at = self.updated_at.max(now);
        self.queue.push(id);
        self
    }

    /// The conversation without those jobs. If one of them was to delete it, the deletion has failed and is
    /// withdrawn.
    #[must_use]
    pub fn left(&self, over: &[RequestId]) -> Self {
        let queue = self.queue.iter().filter(|id| !over.contains(id)).copied().collect();
        let ended_by = self.ended_by.filter(|id| !over.contains(id));
        Self { rev: self.rev + 1, queue, ended_by, ..self.clone() }
    }

    /// The jobs before this one; the whole queue when the job is not in it.
    pub fn before(&self, id: RequestId) -> &[RequestId] {
        let place = self.queue.iter().position(|other| *other == id).unwrap_or(self.queue.len());
        self.queue.get(..place).unwrap_or_default()
    }

    /// The first job that is not this one.
    pub fn next_after(&self, id: RequestId) -> Option<RequestId> {
        self.queue.iter().find(|other| **other != id).copied()
    }
}

/// A conversation and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownConversation {
    /// The name.
    pub name: ConversationName,
    /// The stored conversation.
    pub conversation: Conversation,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn id(n: u8) -> RequestId {
        format!("019a8f3c-7e10-7abc-9def-0123456789{n:02x}").parse().unwrap()
    }

    #[test]
    fn a_queue_keeps_its_order_when_jobs_join_twice_or_leave() {
        let queue =
            (1..4).fold(Conversation::begun("main", NOW), |so_far, n| so_far.joined("main", id(n), NOW).unwrap());
        assert_eq!(queue.joined("main", id(2), NOW).unwrap(), queue, "it is in line already");
        assert_eq!(queue.before(id(1)), []);
        assert_eq!(queue.before(id(3)), [id(1), id(2)]);
        assert_eq!(queue.left(&[id(1)]).before(id(3)), [id(2)]);
        assert_eq!(queue.next_after(id(1)), Some(id(2)));
        assert_eq!(queue.joined("other", id(9), NOW), Err(NotQueued::OtherAgent));
        let ending = Conversation { ended_by: Some(id(4)), ..queue.clone() };
        assert_eq!(ending.joined("main", id(9), NOW), Err(NotQueued::Ending));
        assert_eq!(ending.joined("main", id(4), NOW).unwrap().before(id(4)), [id(1), id(2), id(3)]);
        let full =
            (0..16).fold(Conversation::begun("main", NOW), |so_far, n| so_far.joined("main", id(n), NOW).unwrap());
        assert_eq!(full.joined("main", id(99), NOW), Err(NotQueued::Full));
    }

    #[test]
    fn a_request_that_came_earlier_and_is_stored_later_sets_no_earlier_time() {
        let conversation = Conversation::begun("main", NOW);
        let [earlier, later] = [-1000, 1000].map(|ms| Timestamp::from_millis(NOW.millis() + ms));
        for (now, updated_at) in [(earlier, NOW), (later, later)] {
            assert_eq!(conversation.joined("main", id(1), now).unwrap().updated_at, updated_at);
            assert_eq!(conversation.ending(id(1), None, now).updated_at, updated_at);
        }
    }

    #[test]
    fn the_job_that_deletes_takes_the_place_of_one_that_failed_to() {
        let failed = Conversation::begun("main", NOW).joined("main", id(1), NOW).unwrap().ending(id(2), None, NOW);
        assert_eq!((failed.ended_by, &failed.queue[..]), (Some(id(2)), &[id(1), id(2)][..]));
        let again = failed.ending(id(3), Some(id(2)), NOW);
        assert_eq!((again.ended_by, &again.queue[..]), (Some(id(3)), &[id(1), id(3)][..]));
        assert_eq!((again.rev, again.jobs), (failed.rev + 1, failed.jobs), "one change, and no job of a user");
    }
}
