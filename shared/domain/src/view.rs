//! What clients see of a job, of its steps and of conversations, and how soon they should look again.

use serde::Serialize;
use serde_json::Value;

use crate::{
    ids::{RequestId, Timestamp, support_code},
    job::{Effect, Job, JobState, Resolution},
};

mod approval;
mod conversation;
mod error;
mod poll;
mod step;

pub use approval::ApprovalView;
pub use conversation::ConversationView;
pub use error::ErrorView;
pub use poll::next_poll_ms;
pub use step::{ProgressView, StepView, WholeStepView, result_of_step};

/// The public shape of a job. `openapi.yaml` is its contract.
#[derive(Debug, Serialize)]
pub struct JobView {
    /// The job's name.
    pub request_id: RequestId,
    /// `queued`, `running`, `retrying`, `awaiting_approval`, or one of the seven ends.
    pub status: &'static str,
    /// Only when it is over without success: whether a new request is safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// The next step.
    pub cursor: usize,
    /// The steps, with those that agents have proposed so far.
    pub steps: Vec<StepView>,
    /// What the last step returned; `{"omitted": reason}` when that is not shown ([`crate::json::Omission`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it ended without success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorView>,
    /// What somebody has to say yes to, or has decided. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalView>,
    /// What was learnt about an unknown job later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<ResolutionView>,
    /// A cancel was asked for while a call was out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// How long to wait before the next look; absent once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_poll_ms: Option<u64>,
    /// For the operator: names user and job, says nothing about either.
    pub support_code: String,
    /// Nothing starts after this.
    pub not_after: String,
    /// It is over by then, if its user wanted that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// When it was accepted.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// The public shape of a resolution.
#[derive(Debug, Serialize)]
pub struct ResolutionView {
    /// `journal` or `operator`.
    pub by: crate::job::ResolvedBy,
    /// Whether the write ran.
    pub happened: bool,
    /// When it was learnt.
    pub at: String,
    /// An operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl From<&Resolution> for ResolutionView {
    fn from(Resolution { by, happened, at, note }: &Resolution) -> Self {
        Self { by: *by, happened: *happened, at: at.to_string(), note: note.clone() }
    }
}

/// The public name of a state: that a call is out is nobody's business but ours.
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
    /// The same with what was asked.
    #[must_use]
    pub fn asking(self, approval: Option<ApprovalView>) -> Self {
        Self { approval, ..self }
    }

    /// The view of a job whose result, when it is stored apart, is `stored_result`.
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
