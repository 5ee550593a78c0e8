//! Public views of jobs, steps and conversations, and the interval of polls.

use serde::Serialize;
use serde_json::Value;

use crate::{
    ids::{RequestId, Timestamp, support_code},
    job::{Effect, Job, JobState, Resolution},
};

mod approval;
mod conversation;
mod error;
mod held_text;
mod notification;
mod poll;
mod step;

pub use approval::ApprovalView;
pub use conversation::ConversationView;
pub use error::ErrorView;
pub use held_text::HeldTextView;
pub use notification::{MessageView, NotificationView};
pub use poll::next_poll_ms;
pub use step::{ProgressView, StepView, WholeStepView, result_of_step};

/// The public form of a job. `openapi.yaml` is its contract.
#[derive(Debug, Serialize)]
pub struct JobView {
    /// Request id of the job.
    pub request_id: RequestId,
    /// `queued`, `running`, `retrying`, `awaiting_approval`, or one of the seven terminal states.
    pub status: &'static str,
    /// Whether the job changed anything, and so whether a new request is safe; present once it is over without
    /// success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Index of the next step.
    pub cursor: usize,
    /// The steps, including those that agents have proposed so far.
    pub steps: Vec<StepView>,
    /// Result of the last step; `{"omitted": reason}` when it is not shown ([`crate::json::Omission`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why the job ended without success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorView>,
    /// The approval request and its decision. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalView>,
    /// The text that waits for an operator's decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldTextView>,
    /// The notification that the user asked for. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification: Option<NotificationView>,
    /// What was found out about an unknown job after its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<ResolutionView>,
    /// Cancellation was requested while a call was at the gateway.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// Delay until the next poll in milliseconds; absent once the job is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_poll_ms: Option<u64>,
    /// Identifies user and job for an operator, and contains no other data.
    pub support_code: String,
    /// No call is started after this time.
    pub not_after: String,
    /// Time by which the job has to be over, if the client gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// When it was accepted.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// The public form of a resolution.
#[derive(Debug, Serialize)]
pub struct ResolutionView {
    /// `journal` or `operator`.
    pub by: crate::job::ResolvedBy,
    /// Whether the write ran.
    pub happened: bool,
    /// When it was found out.
    pub at: String,
    /// Free text by the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl From<&Resolution> for ResolutionView {
    fn from(Resolution { by, happened, at, note }: &Resolution) -> Self {
        Self { by: *by, happened: *happened, at: at.to_string(), note: note.clone() }
    }
}

/// The public name of a state. A running call (`waiting`) is shown as `running`: the difference is internal.
pub const fn status(state: JobState) -> &'static str {
    match state {
        JobState::Waiting => JobState::Running.name(),
        JobState::Queued
        | JobState::Running
        | JobState::Retrying
        | JobState::AwaitingApproval
        | JobState::Succeeded
        | JobState::Failed
        | JobState::Refused
        | JobState::Explained
        | JobState::Cancelled
        | JobState::Expired
        | JobState::Unknown => state.name(),
    }
}

impl JobView {
    /// The view with the approval request.
    #[must_use]
    pub fn asking(self, approval: Option<ApprovalView>) -> Self {
        Self { approval, ..self }
    }

    /// The view with the notification.
    #[must_use]
    pub fn notifying(self, notification: Option<NotificationView>) -> Self {
        Self { notification, ..self }
    }

    /// The view of a job with its result.
    pub fn new(job: &Job, result: Option<Value>, now: Timestamp) -> Self {
        Self {
            request_id: job.request_id,
            status: status(job.state),
            effect: job.effect,
            cursor: job.cursor,
            steps: StepView::all(job),
            result,
            error: job.error.as_deref().map(ErrorView::of),
            resolution: job.resolution.as_ref().map(ResolutionView::from),
            approval: None,
            held: HeldTextView::of(job),
            notification: None,
            cancel_requested: job.cancel_requested && !job.state.is_over(),
            next_poll_ms: next_poll_ms(job, now),
            support_code: support_code(job.user_id, job.request_id),
            not_after: job.not_after.to_string(),
            deadline: job.deadline.map(|at| at.to_string()),
            created_at: job.created_at.to_string(),
            updated_at: job.updated_at.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
