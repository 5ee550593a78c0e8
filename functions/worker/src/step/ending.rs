//! How a step ends, and the event that ends it.

use domain::{
    ids::Timestamp,
    job::{Job, JobEvent, JobState, ResultRef, StepOutcome},
};
use platform::openclaw::Content;
use serde_json::Value;

pub(crate) const DEADLINE_PASSED: &str = "deadline_passed";

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ending {
    pub(crate) outcome: StepOutcome,
    pub(crate) ends_as: JobState,
    pub(crate) code: Option<&'static str>,
    /// The tool's result, or why it is not shown.
    pub(crate) result: Option<Content>,
}

impl Ending {
    pub(crate) fn succeeded(result: Content) -> Self {
        Self { outcome: StepOutcome::Succeeded, ends_as: JobState::Succeeded, code: None, result: Some(result) }
    }

    pub(crate) fn refused(code: &'static str) -> Self {
        Self { outcome: StepOutcome::Refused, ends_as: JobState::Refused, code: Some(code), result: None }
    }

    pub(crate) fn failed(code: &'static str, result: Option<Content>) -> Self {
        Self { outcome: StepOutcome::Failed, ends_as: JobState::Failed, code: Some(code), result }
    }

    /// Failed before anything was sent.
    pub(crate) fn failed_unsent(code: &'static str) -> Self {
        Self { outcome: StepOutcome::NotRun, ends_as: JobState::Failed, code: Some(code), result: None }
    }

    pub(crate) fn expired() -> Self {
        Self { outcome: StepOutcome::NotRun, ends_as: JobState::Expired, code: Some("not_after_passed"), result: None }
    }

    /// Why a step ends before anything was sent; `None` while it may begin.
    pub(crate) fn before_it_began(job: &Job, now: Timestamp) -> Option<Self> {
        if job.cancel_requested {
            return Some(Self::cancelled());
        }
        if job.overdue(now) {
            return Some(Self::failed_unsent(DEADLINE_PASSED));
        }
        (now >= job.not_after).then(Self::expired)
    }

    /// Nothing was sent; the result explains what would have been.
    pub(crate) fn explained(code: &'static str, told: Value) -> Self {
        Self { outcome: StepOutcome::NotRun, ends_as: JobState::Explained, code: Some(code), result: Some(Ok(told)) }
    }

    pub(crate) fn cancelled() -> Self {
        Self { outcome: StepOutcome::NotRun, ends_as: JobState::Cancelled, code: Some("cancelled"), result: None }
    }

    pub(crate) fn unknown() -> Self {
        Self { outcome: StepOutcome::Unknown, ends_as: JobState::Unknown, code: Some("outcome_unknown"), result: None }
    }

    /// The event that ends the step, with the reference of its result.
    pub(crate) fn event(&self, result: Option<ResultRef>) -> JobEvent {
        let error = self.code.map(str::to_owned);
        JobEvent::StepEnded { outcome: self.outcome, error, result, ends_as: self.ends_as }
    }
}
