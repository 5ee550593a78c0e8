//! What a job has to tell its user by a notification, and what became of that.

use serde::{Deserialize, Serialize};

use super::Occasion;
use crate::{
    ids::{Approver, Timestamp},
    job::{Job, JobState, Step, approval::DecidedBy},
};

/// Something that a job has to tell its user. There is at most one message for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The job has ended.
    Ended,
    /// The step at this place waits for the user's approval.
    Approval(usize),
}

impl Notice {
    /// What the job, as it is, has to tell its user; `None` if no notification was asked for, or the user knows:
    /// from the answer to their own submission, cancellation or rejection.
    pub fn of(job: &Job) -> Option<Self> {
        job.notify.as_ref()?;
        match job.state {
            JobState::AwaitingApproval => {
                let asked = job.step()?.approval.as_ref()?;
                // The first step's request was made by the submission, whose answer showed it.
                (job.cursor > 0 && asked.approver == Approver::User && asked.decision.is_none())
                    .then_some(Self::Approval(job.cursor))
            }
            JobState::Succeeded
            | JobState::Failed
            | JobState::Refused
            | JobState::Explained
            | JobState::Expired
            | JobState::Unknown => {
                // A job that was over when it was recorded was never changed.
                let by_submission = job.rev == 1;
                (!by_submission && !job.steps.iter().any(rejected_by_the_user)).then_some(Self::Ended)
            }
            JobState::Cancelled | JobState::Queued | JobState::Running | JobState::Waiting | JobState::Retrying => None,
        }
    }

    /// The part of a record's key that tells the notices of one job apart.
    pub fn key(self) -> String {
        match self {
            Self::Ended => "ended".to_owned(),
            Self::Approval(place) => format!("approval-{place:02}"),
        }
    }

    /// Reads that part of a key.
    pub fn parse_key(key: &str) -> Option<Self> {
        match key.strip_prefix("approval-") {
            Some(place) => place.parse().ok().map(Self::Approval),
            None => (key == "ended").then_some(Self::Ended),
        }
    }

    /// The event, as `on` in `policy/notifications.toml` names it.
    pub const fn occasion(self) -> Occasion {
        match self {
            Self::Ended => Occasion::Ended,
            Self::Approval(_) => Occasion::Approval,
        }
    }
}

fn rejected_by_the_user(step: &Step) -> bool {
    let decision = step.approval.as_ref().and_then(|approval| approval.decision.as_ref());
    decision.is_some_and(|decision| !decision.approved && decision.by == DecidedBy::User)
}

/// How far a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    /// A worker is sending it; if its record stays so, whether it was sent is unknown, and it is not sent again.
    Sending,
    /// WeChat has taken it.
    Sent,
    /// WeChat has certainly not taken it, and it is tried again.
    Delayed,
    /// It is not sent.
    NotSent,
    /// WeChat's answer was lost: it is not sent again.
    Unknown,
}

impl NoticeState {
    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delayed => "delayed",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
        }
    }
}

/// The record of a notice. It contains nothing of the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRecord {
    /// How far it is.
    #[serde(rename = "st")]
    pub state: NoticeState,
    /// Why it is not sent, or not yet: a stable code.
    #[serde(rename = "co", default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Time of the last change.
    #[serde(rename = "at")]
    pub at: Timestamp,
    /// How often a worker has begun to send it.
    #[serde(rename = "tr", default)]
    pub tries: u32,
}
