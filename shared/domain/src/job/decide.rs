//! Transitions that people cause: approval, rejection, expiry of an approval request, cancellation.

use super::TransitionError;
use crate::{
    ids::Timestamp,
    job::{
        APPROVED_WITHIN, Job, JobState, SWEEP_GRACE, Step, StepOutcome,
        approval::{DecidedBy, Decision},
    },
};

impl Job {
    /// Applies a decision (invariant 8): valid once, and only before the approval request expires.
    pub(super) fn decide(&mut self, approved: bool, by: DecidedBy, now: Timestamp) -> Result<(), TransitionError> {
        self.expect("decided", &[JobState::AwaitingApproval])?;
        let refused = TransitionError { state: self.state, event: "decided too late, twice, or by the wrong person" };
        let step = self.steps.get_mut(self.cursor).ok_or_else(|| refused.clone())?;
        let approval = step.approval.as_mut().ok_or_else(|| refused.clone())?;
        if approval.lapsed(now) || approval.decision.is_some() || by.approver() != approval.approver {
            return Err(refused);
        }
        approval.decision = Some(Decision { approved, by, at: now });
        if approved {
            self.state = JobState::Queued;
            self.sweep_at = Some(now.plus(SWEEP_GRACE));
            return Ok(());
        }
        self.refuse_at_cursor("approval_rejected");
        Ok(())
    }

    /// Refuses the step at the cursor by a decision of a person, and ends the job.
    pub(super) fn refuse_at_cursor(&mut self, code: &str) {
        let error = Some(code.to_owned());
        let proposed = self.step().is_some_and(Step::is_proposed);
        self.at_cursor(|step| step.outcome = Some(StepOutcome::Refused));
        // A refused proposal does not end the job: the next round reports it to the agent, which replies to its user.
        if proposed {
            self.at_cursor(|step| step.error = error);
            self.go_on();
            return;
        }
        self.error = error;
        self.end(JobState::Refused);
    }

    pub(super) fn lapse(&mut self, now: Timestamp) -> Result<(), TransitionError> {
        self.expect("lapsed", &[JobState::AwaitingApproval])?;
        // It waits for a decision about a text: its approval was given, or was not asked for yet.
        if self.pending_text().is_some() {
            return Err(TransitionError { state: self.state, event: "lapsed without an approval request" });
        }
        if self.lapses_at().is_some_and(|at| !at.has_come(now, APPROVED_WITHIN)) {
            return Err(TransitionError { state: self.state, event: "lapsed early" });
        }
        self.at_cursor(|step| step.outcome = Some(StepOutcome::NotRun));
        self.error = Some("approval_expired".to_owned());
        self.end(JobState::Expired);
        Ok(())
    }
}
