//! The public view of a notification that a job's user asked for.

use std::time::Duration;

use serde::Serialize;

use crate::{
    ids::Timestamp,
    job::Job,
    notification::{Notice, NoticeRecord, NoticeState},
};

/// A worker that is sending ends within this time, or never will.
const SENT_WITHIN: Duration = Duration::from_secs(60);

/// The public form of the notification, as of the job's present state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotificationView {
    /// Its name.
    pub name: String,
    /// `requested`: nothing to tell yet, or nothing that the user does not know; `sending`; `sent`; `delayed`: it is
    /// tried again; `not_sent`; `unknown`: WeChat's answer was lost, and it is not sent again.
    pub status: &'static str,
    /// Why it is delayed or not sent: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Time of the last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl NotificationView {
    /// The view of a job's notification, with the record of what the job has to tell now; `None` if none was asked for.
    pub fn of(job: &Job, record: Option<&NoticeRecord>, now: Timestamp) -> Option<Self> {
        let name = job.notify.clone()?;
        let Some(record) = record.filter(|_| Notice::of(job).is_some()) else {
            return Some(Self { name, status: "requested", code: None, at: None });
        };
        let (status, code) = (state(record, now), record.code.clone());
        Some(Self { name, status, code, at: Some(record.at.to_string()) })
    }
}

/// What became of one message about a job, for operators. Nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageView {
    /// What it is about: `ended`, or `approval` of the step at `place`.
    pub about: &'static str,
    /// Index of that step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<usize>,
    /// As in [`NotificationView`], without `requested`.
    pub status: &'static str,
    /// Why it is delayed or not sent: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Time of the last change.
    pub at: String,
    /// How often a worker has begun to send it.
    pub tries: u32,
}

impl MessageView {
    /// The view of one record.
    pub fn of(notice: Notice, record: &NoticeRecord, now: Timestamp) -> Self {
        let (about, place) = match notice {
            Notice::Ended => ("ended", None),
            Notice::Approval(place) => ("approval", Some(place)),
        };
        let (status, code) = (state(record, now), record.code.clone());
        Self { about, place, status, code, at: record.at.to_string(), tries: record.tries }
    }
}

fn state(record: &NoticeRecord, now: Timestamp) -> &'static str {
    match record.state {
        NoticeState::Sending if now.since(record.at) < SENT_WITHIN => "sending",
        NoticeState::Sending | NoticeState::Unknown => "unknown",
        NoticeState::Sent => "sent",
        NoticeState::Delayed => "delayed",
        NoticeState::NotSent => "not_sent",
    }
}
