//! Cancelling a job.

use super::TransitionError;
use crate::job::{Job, JobState, StepOutcome};

impl Job {
    pub(super) fn cancel(&mut self) -> Result<(), TransitionError> {
        let out = self.step().is_some_and(|step| step.intent.is_some());
        match self.state {
            JobState::Queued | JobState::Retrying | JobState::AwaitingApproval if !out => {
                self.at_cursor(|step| step.outcome = Some(StepOutcome::NotRun));
                self.error = Some("cancelled".to_owned());
                self.end(JobState::Cancelled);
                Ok(())
            }
            JobState::Queued
            | JobState::Retrying
            | JobState::AwaitingApproval
            | JobState::Running
            | JobState::Waiting => {
                self.cancel_requested = true;
                // Due at once, so that the next wake-up message acts on the cancellation.
                self.check_at = self.check_at.map(|at| at.min(self.updated_at));
                Ok(())
            }
            JobState::Succeeded
            | JobState::Failed
            | JobState::Refused
            | JobState::Explained
            | JobState::Cancelled
            | JobState::Expired
            | JobState::Unknown => Err(TransitionError { state: self.state, event: "cancelled" }),
        }
    }
}
