//! What happens to a job, and what becomes of it. Pure: time comes in, the job as it will be comes out.

use std::time::Duration;

use super::{Effect, Job, JobState, Lease, Resolution, ResultRef, SWEEP_GRACE};
use crate::{
    approval::{DecidedBy, Decision},
    catalogue::ToolEffect,
    intent::{Intent, Via},
    step::{Step, StepOutcome},
    timestamp::Timestamp,
};

/// The least time that a bell has before the sweeper looks.
const BELL_CHANCE: Duration = Duration::from_secs(10);
/// When the outcome of an unknown job is asked for again, for the first time.
const FIRST_RESOLUTION: Duration = Duration::from_secs(60);

/// What happens to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEvent {
    /// A worker takes it until `lease`.
    Claimed {
        /// Its right.
        lease: Lease,
    },
    /// The intent of the step at the cursor, before its call leaves.
    Intended(Intent),
    /// The call is out; look again at `check_at`.
    Parked {
        /// When.
        check_at: Timestamp,
        /// How it left: a read's intent is recorded only now.
        intent: Option<Intent>,
        /// The journal was seen to have it running.
        running: bool,
    },
    /// Not now; again at `check_at`.
    PutBack {
        /// When.
        check_at: Timestamp,
        /// What happened to the attempt.
        attempt: Attempt,
    },
    /// The step at the cursor ended.
    StepEnded {
        /// How.
        outcome: StepOutcome,
        /// Why, when it did not succeed: a stable code.
        error: Option<String>,
        /// What it returned.
        result: Option<ResultRef>,
        /// The state that the job ends in, when this step ends it without success.
        ends_as: JobState,
    },
    /// The question at the cursor was answered.
    Decided {
        /// Yes or no.
        approved: bool,
        /// By whom.
        by: DecidedBy,
    },
    /// The question at the cursor was not answered in time.
    ApprovalLapsed,
    /// The user asks to stop.
    CancelRequested,
    /// The sweeper found it overdue and will look again at `sweep_at`, or, for an unknown job, never.
    Swept {
        /// When.
        sweep_at: Option<Timestamp>,
    },
    /// Something was learnt about an unknown job.
    Resolved(Resolution),
}

/// What became of an attempt that was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The only call that was sent under its intent is proven not to have started: does not count, and the intent is gone.
    NotStarted,
    /// It died or failed, and the tool may be repeated: counts, and the next one has another `n`.
    Repeatable,
}

/// An event that does not fit the state. The job is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} does not fit a job that is {}", state.name())]
pub struct TransitionError {
    /// The state it met.
    pub state: JobState,
    /// The event's name.
    pub event: &'static str,
}

impl Job {
    /// Whether a worker may claim it now.
    pub fn claimable(&self, now: Timestamp) -> bool {
        let due = self.check_at.is_none_or(|at| at <= now);
        match self.state {
            JobState::Queued => true,
            JobState::Waiting | JobState::Retrying => due,
            JobState::Running => self.lease.as_ref().is_none_or(|lease| lease.expires_at <= now),
            JobState::AwaitingApproval
            | JobState::Succeeded
            | JobState::Failed
            | JobState::Refused
            | JobState::Explained
            | JobState::Cancelled
            | JobState::Expired
            | JobState::Unknown => false,
        }
    }

    /// The only place where a state changes. Pure: returns the job as it will be, to be committed on condition that the
    /// stored one still has this `state` and `rev`.
    pub fn apply(&self, event: JobEvent, now: Timestamp) -> Result<Self, TransitionError> {
        let mut next = self.clone();
        next.rev += 1;
        next.updated_at = now;
        match event {
            JobEvent::Claimed { lease } => next.claim(lease, now)?,
            JobEvent::Intended(intent) => {
                next.expect("intended", &[JobState::Running])?;
                next.at_cursor(|step| step.intent = Some(intent));
            }
            JobEvent::Parked { check_at, intent, running } => {
                next.leave_running("parked", JobState::Waiting, check_at)?;
                next.at_cursor(|step| {
                    step.checks += 1;
                    step.not_started = 0;
                    if running && step.running_since.is_none() {
                        step.running_since = Some(now);
                    }
                    step.intent = intent.or_else(|| step.intent.take());
                });
            }
            JobEvent::PutBack { check_at, attempt } => {
                next.leave_running("put back", JobState::Retrying, check_at)?;
                next.at_cursor(|step| step.put_back(attempt));
            }
            JobEvent::StepEnded { outcome, error, result, ends_as } => {
                next.end_step(outcome, error, result, ends_as)?
            }
            JobEvent::Decided { approved, by } => next.decide(approved, by, now)?,
            JobEvent::ApprovalLapsed => next.lapse(now)?,
            JobEvent::CancelRequested => next.cancel()?,
            JobEvent::Swept { sweep_at } => {
                next.expect(
                    "swept",
                    &[
                        JobState::Queued,
                        JobState::Running,
                        JobState::Waiting,
                        JobState::Retrying,
                        JobState::AwaitingApproval,
                        JobState::Unknown,
                    ],
                )?;
                // A terminal status never changes, and neither does the time that it carries.
                if self.state.is_over() {
                    next.updated_at = self.updated_at;
                }
                next.sweep_at = sweep_at;
                next.sweeps = Some(self.sweeps.unwrap_or(0) + 1);
            }
            JobEvent::Resolved(resolution) => {
                next.expect("resolved", &[JobState::Unknown])?;
                if self.resolution.is_some() {
                    return Err(TransitionError { state: self.state, event: "resolved twice" });
                }
                next.updated_at = self.updated_at;
                next.resolution = Some(resolution);
                next.sweep_at = None;
            }
        }
        Ok(next)
    }

    fn claim(&mut self, lease: Lease, now: Timestamp) -> Result<(), TransitionError> {
        if !self.claimable(now) {
            return Err(TransitionError { state: self.state, event: "claimed" });
        }
        // A return from waiting is not a new attempt; everything else that gets here dispatches, or crashed before it.
        let counts = self.state != JobState::Waiting;
        self.state = JobState::Running;
        self.lease = Some(lease);
        self.check_at = None;
        self.at_cursor(|step| step.attempts += u32::from(counts));
        Ok(())
    }

    fn leave_running(&mut self, event: &'static str, to: JobState, at: Timestamp) -> Result<(), TransitionError> {
        self.expect(event, &[JobState::Running])?;
        self.state = to;
        self.lease = None;
        self.check_at = Some(at);
        // The sweeper looks after the bell has had its chance. Moved only when it must be: it is the key of an index.
        if self.sweep_at.is_some_and(|sweep_at| sweep_at < at.plus(BELL_CHANCE)) {
            self.sweep_at = Some(at.plus(SWEEP_GRACE));
        }
        Ok(())
    }

    fn end_step(
        &mut self,
        outcome: StepOutcome,
        error: Option<String>,
        result: Option<ResultRef>,
        ends_as: JobState,
    ) -> Result<(), TransitionError> {
        self.expect("step ended", &[JobState::Running])?;
        self.at_cursor(|step| step.outcome = Some(outcome));
        self.error = error;
        self.result = result;
        if outcome == StepOutcome::Succeeded {
            self.cursor += 1;
            if self.cursor < self.steps.len() && !self.cancel_requested {
                return Ok(());
            }
            let done = self.cursor == self.steps.len();
            self.end(if done { JobState::Succeeded } else { JobState::Cancelled });
            return Ok(());
        }
        if !ends_as.is_over() || ends_as == JobState::Succeeded {
            return Err(TransitionError { state: ends_as, event: "a step without success ends its job" });
        }
        self.end(ends_as);
        Ok(())
    }

    /// Invariant 8, *bound approvals*: once, before it expires.
    fn decide(&mut self, approved: bool, by: DecidedBy, now: Timestamp) -> Result<(), TransitionError> {
        self.expect("decided", &[JobState::AwaitingApproval])?;
        let refused = TransitionError { state: self.state, event: "decided too late, twice, or by the wrong person" };
        let step = self.steps.get_mut(self.cursor).ok_or_else(|| refused.clone())?;
        let question = step.approval.as_mut().ok_or_else(|| refused.clone())?;
        if question.lapsed(now) || question.decision.is_some() || by.approver() != question.approver {
            return Err(refused);
        }
        question.decision = Some(Decision { approved, by, at: now });
        if approved {
            self.state = JobState::Queued;
            self.sweep_at = Some(now.plus(SWEEP_GRACE));
            return Ok(());
        }
        step.outcome = Some(StepOutcome::Refused);
        self.error = Some("approval_rejected".to_owned());
        self.end(JobState::Refused);
        Ok(())
    }

    fn lapse(&mut self, now: Timestamp) -> Result<(), TransitionError> {
        self.expect("lapsed", &[JobState::AwaitingApproval])?;
        if self.lapses_at().is_some_and(|at| now < at) {
            return Err(TransitionError { state: self.state, event: "lapsed early" });
        }
        self.at_cursor(|step| step.outcome = Some(StepOutcome::NotRun));
        self.error = Some("approval_expired".to_owned());
        self.end(JobState::Expired);
        Ok(())
    }

    fn cancel(&mut self) -> Result<(), TransitionError> {
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
                // Due at once, so that the next ring acts on it.
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

    fn end(&mut self, state: JobState) {
        self.state = state;
        self.lease = None;
        self.check_at = None;
        self.effect = (state != JobState::Succeeded).then(|| self.effect_on_the_world());
        // An unknown job stays in the index, so that the sweeper has its outcome asked for again, if there is anybody to ask.
        let via = self.step().and_then(|step| step.intent.as_ref()).map(|intent| &intent.via);
        let may_be_resolved = state == JobState::Unknown && via.is_some_and(|via| *via != Via::Direct);
        self.sweep_at = may_be_resolved.then(|| self.updated_at.plus(FIRST_RESOLUTION));
        self.sweeps = None;
    }

    /// What the writes among the steps did, taken together.
    fn effect_on_the_world(&self) -> Effect {
        self.steps.iter().filter(|step| step.effect != ToolEffect::Read).fold(Effect::NotRun, |so_far, step| {
            match (so_far, step.outcome) {
                (_, Some(StepOutcome::Unknown)) | (Effect::Unknown, _) => Effect::Unknown,
                // An earlier repetition died or failed, so it may have run; that this one did not says nothing about it.
                (_, Some(StepOutcome::Refused | StepOutcome::NotRun) | None) if step.n > 0 => Effect::Unknown,
                (_, Some(StepOutcome::Succeeded | StepOutcome::Failed)) => Effect::Ran,
                (before, Some(StepOutcome::Refused | StepOutcome::NotRun) | None) => before,
            }
        })
    }

    fn expect(&self, event: &'static str, states: &[JobState]) -> Result<(), TransitionError> {
        if states.contains(&self.state) { Ok(()) } else { Err(TransitionError { state: self.state, event }) }
    }

    fn at_cursor(&mut self, change: impl FnOnce(&mut Step)) {
        if let Some(step) = self.steps.get_mut(self.cursor) {
            change(step);
        }
    }
}

impl Step {
    fn put_back(&mut self, attempt: Attempt) {
        match attempt {
            Attempt::NotStarted => {
                self.attempts = self.attempts.saturating_sub(1);
                self.not_started += 1;
                self.intent = None;
                self.running_since = None;
            }
            Attempt::Repeatable => {
                self.n += 1;
                self.intent = None;
                self.running_since = None;
                self.not_started = 0;
                self.checks = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests;
