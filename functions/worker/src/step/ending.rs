//! How a step ends, and the event that ends it.

use domain::{
    content_safety::ContentFinding,
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
    /// What content safety refused, for the audit record.
    pub(crate) content: Option<ContentFinding>,
}

impl Ending {
    const fn new(outcome: StepOutcome, ends_as: JobState, code: Option<&'static str>, result: Option<Content>) -> Self {
        Self { outcome, ends_as, code, result, content: None }
    }

    pub(crate) fn succeeded(result: Content) -> Self {
        Self::new(StepOutcome::Succeeded, JobState::Succeeded, None, Some(result))
    }

    pub(crate) fn refused(code: &'static str) -> Self {
        Self::new(StepOutcome::Refused, JobState::Refused, Some(code), None)
    }

    pub(crate) fn failed(code: &'static str, result: Option<Content>) -> Self {
        Self::new(StepOutcome::Failed, JobState::Failed, Some(code), result)
    }

    /// Failed before anything was sent.
    pub(crate) fn failed_unsent(code: &'static str) -> Self {
        Self::new(StepOutcome::NotRun, JobState::Failed, Some(code), None)
    }

    pub(crate) fn expired() -> Self {
        Self::new(StepOutcome::NotRun, JobState::Expired, Some("not_after_passed"), None)
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
        Self::new(StepOutcome::NotRun, JobState::Explained, Some(code), Some(Ok(told)))
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(StepOutcome::NotRun, JobState::Cancelled, Some("cancelled"), None)
    }

    pub(crate) fn unknown() -> Self {
        Self::new(StepOutcome::Unknown, JobState::Unknown, Some("outcome_unknown"), None)
    }

    /// Refused, or failed, because of this finding about the text.
    pub(crate) fn because(self, finding: ContentFinding) -> Self {
        Self { content: Some(finding), ..self }
    }

    /// The event that ends the step, with the reference of its result.
    pub(crate) fn event(&self, result: Option<ResultRef>) -> JobEvent {
        let error = self.code.map(str::to_owned);
        JobEvent::StepEnded { outcome: self.outcome, error, result, ends_as: self.ends_as }
    }
}
