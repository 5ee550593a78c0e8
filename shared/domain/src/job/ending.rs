//! The end of a step, and the end of the job with its last step.

use std::time::Duration;

use super::TransitionError;
use crate::{
    catalogue::ToolEffect,
    job::{Effect, Job, JobState, ResultRef, Step, StepKind, StepOutcome, Via},
};

/// Time from the end of an unknown job to the first query for its outcome.
const FIRST_RESOLUTION: Duration = Duration::from_secs(60);

impl Job {
    pub(super) fn end_step(
        &mut self,
        outcome: StepOutcome,
        error: Option<String>,
        result: Option<ResultRef>,
        ends_as: JobState,
    ) -> Result<(), TransitionError> {
        self.expect("step ended", &[JobState::Running])?;
        let proposed = self.step().is_some_and(Step::is_proposed);
        self.at_cursor(|step| step.outcome = Some(outcome));
        // The next round reports an unsuccessful proposal to the agent, so the job continues. Only an unknown outcome
        // ends it.
        let tells = match outcome {
            StepOutcome::Succeeded => true,
            StepOutcome::Failed | StepOutcome::Refused => proposed,
            StepOutcome::NotRun | StepOutcome::Unknown => false,
        };
        if tells && self.cursor + 1 < self.steps.len() {
            self.at_cursor(|step| (step.error, step.result) = (error, result));
            self.go_on();
            return Ok(());
        }
        self.error = error;
        self.result = result;
        if outcome == StepOutcome::Succeeded {
            self.cursor += 1;
            self.end(JobState::Succeeded);
            return Ok(());
        }
        if !ends_as.is_over() || ends_as == JobState::Succeeded {
            return Err(TransitionError { state: ends_as, event: "a step without success ends its job" });
        }
        self.end(ends_as);
        Ok(())
    }

    /// Whether a step that is not over may have an effect: a write, or a turn, whose agent may propose writes.
    pub fn may_still_act(&self) -> bool {
        let mut left = self.steps.iter().skip(self.cursor).filter(|step| step.outcome.is_none());
        !self.state.is_over() && left.any(|step| step.effect != ToolEffect::Read || step.kind == StepKind::Turn)
    }

    /// Ends a job whose remaining steps may all have run since the backup. The journal that knew of them does not exist
    /// any more, so the reconciler has nothing to ask.
    pub(super) fn lose_journal(&mut self) -> Result<(), TransitionError> {
        self.expect(
            "journal lost",
            &[JobState::Queued, JobState::Running, JobState::Waiting, JobState::Retrying, JobState::AwaitingApproval],
        )?;
        let left = self.steps.iter_mut().skip(self.cursor).filter(|step| step.outcome.is_none());
        left.for_each(|step| step.outcome = Some(StepOutcome::Unknown));
        self.error = Some("outcome_unknown".to_owned());
        self.end(JobState::Unknown);
        // A turn's own effect is that of a read; the writes that its agent proposed may have run.
        self.effect = Some(Effect::Unknown);
        self.sweep_at = None;
        Ok(())
    }

    pub(super) fn end(&mut self, state: JobState) {
        self.state = state;
        self.lease = None;
        self.check_at = None;
        self.effect = (state != JobState::Succeeded).then(|| self.effect_on_the_world());
        // An unknown job stays in the `open_jobs` index if a journal may know its outcome, so that the reconciler has
        // it queried.
        let via = self.step().and_then(|step| step.intent.as_ref()).map(|intent| &intent.via);
        let may_be_resolved = state == JobState::Unknown && via.is_some_and(|via| *via != Via::Direct);
        self.sweep_at = may_be_resolved.then(|| self.updated_at.plus(FIRST_RESOLUTION));
        self.sweeps = None;
    }

    /// The combined effect of all writes among the steps.
    fn effect_on_the_world(&self) -> Effect {
        self.steps.iter().filter(|step| step.effect != ToolEffect::Read).fold(Effect::NotRun, |so_far, step| {
            match (so_far, step.outcome) {
                (_, Some(StepOutcome::Unknown)) | (Effect::Unknown, _) => Effect::Unknown,
                // An earlier repetition was interrupted or failed and may have run; that this one did not run proves
                // nothing about it.
                (_, Some(StepOutcome::Refused | StepOutcome::NotRun) | None) if step.n > 0 => Effect::Unknown,
                (_, Some(StepOutcome::Succeeded | StepOutcome::Failed)) => Effect::Ran,
                (before, Some(StepOutcome::Refused | StepOutcome::NotRun) | None) => before,
            }
        })
    }
}
