//! The transitions of a job. Pure: a job, an event and the time give the changed job.

use std::time::Duration;

use super::{
    APPROVED_WITHIN, Attempt, Intent, Job, JobEvent, JobState, LEASED_AT_MOST, Lease, POLLED_WITHIN, RETRIED_WITHIN,
    Resolution, STEPS_GROWN_AT_MOST, SWEEP_GRACE, SWEPT_WITHIN, Seen, TransitionError,
};
use crate::{
    ids::{Digest, Timestamp},
    job::{Step, StepKind, StepOutcome, approval::Approval},
};

/// Minimum time from a job becoming due to the reconciler's read, so that the wake-up message can arrive first.
const WAKE_UP_CHANCE: Duration = Duration::from_secs(10);

impl Job {
    /// Whether a worker may claim the job now.
    pub fn claimable(&self, now: Timestamp) -> bool {
        // The last change lies in the future: a clock that ran ahead planned the next check, too.
        let planned_ahead = self.updated_at > Timestamp::furthest(now, Duration::ZERO);
        let due = |within| planned_ahead || self.check_at.is_none_or(|at| at.has_come(now, within));
        match self.state {
            JobState::Queued => true,
            JobState::Waiting => due(POLLED_WITHIN),
            JobState::Retrying => due(RETRIED_WITHIN),
            JobState::Running => self.lease.as_ref().is_none_or(|lease| lease.expires_at.has_come(now, LEASED_AT_MOST)),
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

    /// Whether the reconciler's next read of the job is due.
    pub fn sweep_is_due(&self, now: Timestamp) -> bool {
        let within = if self.state == JobState::AwaitingApproval { APPROVED_WITHIN } else { SWEPT_WITHIN };
        self.sweep_at.is_some_and(|at| at.has_come(now, within))
    }

    /// The only place where a job's state changes. Pure: returns the changed job, which the caller commits on
    /// condition that the stored job still has this `state` and `rev`. Fails when the event is not valid in the
    /// state.
    pub fn apply(&self, event: JobEvent, now: Timestamp) -> Result<Self, TransitionError> {
        let mut next = self.clone();
        next.rev += 1;
        next.updated_at = now;
        match event {
            // Of the job as it was: its `updated_at` may show that a clock which ran ahead planned the check.
            JobEvent::Claimed { .. } if !self.claimable(now) => {
                return Err(TransitionError { state: self.state, event: "claimed" });
            }
            JobEvent::Claimed { lease } => next.claim(lease, now),
            JobEvent::Prepared { input, approval } => next.prepare(input, approval)?,
            JobEvent::Intended(intent) => next.intend(intent)?,
            JobEvent::Proposed { steps } => next.propose(steps)?,
            JobEvent::Woken => {
                next.expect("woken", &[JobState::Retrying, JobState::Waiting])?;
                next.check_at = next.check_at.map(|at| at.min(now));
            }
            JobEvent::Suspended { check_at, intent, running, seen } => {
                next.leave_running("suspended", JobState::Waiting, check_at)?;
                next.at_cursor(|step| step.suspend(intent, running.then_some(now), seen));
            }
            JobEvent::ReplyHeld { check_at } => {
                next.leave_running("reply_held", JobState::Waiting, check_at)?;
                next.at_cursor(Step::hold_reply);
            }
            JobEvent::TextHeld(held) => next.hold(held, now)?,
            JobEvent::TextDecided { passed, by } => next.decide_text(passed, by, now)?,
            JobEvent::TextLapsed => next.lapse_text(now)?,
            JobEvent::Rescheduled { check_at, attempt } => {
                next.leave_running("rescheduled", JobState::Retrying, check_at)?;
                next.at_cursor(|step| step.reschedule(attempt));
            }
            JobEvent::StepEnded { outcome, error, result, ends_as } => {
                next.end_step(outcome, error, result, ends_as)?
            }
            JobEvent::Decided { approved, by } => next.decide(approved, by, now)?,
            JobEvent::ApprovalLapsed => next.lapse(now)?,
            JobEvent::CancelRequested => next.cancel()?,
            JobEvent::Swept { sweep_at } => next.sweep(sweep_at, self.claimable(now))?,
            JobEvent::Resolved(resolution) => next.resolve(resolution)?,
            JobEvent::Erased => {
                if !self.state.is_over() {
                    return Err(TransitionError { state: self.state, event: "erased" });
                }
                next.erase();
            }
            JobEvent::JournalLost => next.lose_journal()?,
        }
        // A terminal status never changes, and neither does the time of its last change.
        if self.state.is_over() {
            next.updated_at = self.updated_at;
        }
        Ok(next)
    }

    fn intend(&mut self, intent: Intent) -> Result<(), TransitionError> {
        self.expect("intended", &[JobState::Running])?;
        self.at_cursor(|step| {
            step.resent += u32::from(step.intent.is_some());
            step.intent = Some(intent);
        });
        Ok(())
    }

    /// Plans the reconciler's next read. `was_claimable`: whether a worker could claim the job before this change, which
    /// hides that a clock which ran ahead planned the check. So the check is made due.
    fn sweep(&mut self, sweep_at: Option<Timestamp>, was_claimable: bool) -> Result<(), TransitionError> {
        let swept = [
            JobState::Queued,
            JobState::Running,
            JobState::Waiting,
            JobState::Retrying,
            JobState::AwaitingApproval,
            JobState::Unknown,
        ];
        self.expect("swept", &swept)?;
        if was_claimable {
            let now = self.updated_at;
            self.check_at = self.check_at.map(|at| at.min(now));
        }
        self.sweep_at = sweep_at;
        self.sweeps = Some(self.sweeps.unwrap_or(0) + 1);
        Ok(())
    }

    fn resolve(&mut self, resolution: Resolution) -> Result<(), TransitionError> {
        self.expect("resolved", &[JobState::Unknown])?;
        if self.resolution.is_some() {
            return Err(TransitionError { state: self.state, event: "resolved twice" });
        }
        self.resolution = Some(resolution);
        self.sweep_at = None;
        Ok(())
    }

    fn claim(&mut self, lease: Lease, now: Timestamp) {
        // A claim of a waiting job only polls its call. Any other claim dispatches, or has crashed before a dispatch,
        // and counts.
        let counts = self.state != JobState::Waiting;
        self.state = JobState::Running;
        self.lease = Some(lease);
        self.check_at = None;
        self.at_cursor(|step| {
            step.attempts += u32::from(counts);
            if step.deadline_s.is_some() && step.begun_at.is_none() {
                step.begun_at = Some(now);
            }
        });
    }

    /// Stores the resolved input or the approval request. Requesting approval does not count as an attempt.
    fn prepare(&mut self, input: Option<Digest>, approval: Option<Approval>) -> Result<(), TransitionError> {
        self.expect("prepared", &[JobState::Running])?;
        let refused = TransitionError { state: self.state, event: "prepared twice" };
        let Some(step) = self.steps.get_mut(self.cursor) else { return Err(refused) };
        // Written once: an input replaced after the approval request would be sent without having been approved.
        if step.intent.is_some() || step.approval.is_some() || (step.input.is_some() && input.is_some()) {
            return Err(refused);
        }
        step.input = input.or(step.input);
        if let Some(approval) = approval {
            // The user cancelled while the approval request was prepared: nothing is left to approve.
            if self.cancel_requested {
                step.outcome = Some(StepOutcome::NotRun);
                self.error = Some("cancelled".to_owned());
                self.end(JobState::Cancelled);
                return Ok(());
            }
            step.attempts = step.attempts.saturating_sub(1);
            self.sweep_at = Some(approval.expires_at.plus(SWEEP_GRACE));
            step.approval = Some(approval);
            self.state = JobState::AwaitingApproval;
            self.lease = None;
            self.check_at = None;
        }
        Ok(())
    }

    /// Ends the round and inserts the steps for its proposals after it.
    fn propose(&mut self, steps: Vec<Step>) -> Result<(), TransitionError> {
        self.expect("proposed", &[JobState::Running])?;
        let at_cursor = self.step();
        let fits = at_cursor.is_some_and(|turn| {
            let numbered =
                steps.iter().zip(turn.round + 1..).all(|(step, round)| step.of == turn.of && step.round == round);
            turn.kind == StepKind::Turn && !steps.is_empty() && numbered
        });
        if !fits || self.steps.len() + steps.len() > STEPS_GROWN_AT_MOST {
            return Err(TransitionError { state: self.state, event: "steps proposed that do not follow" });
        }
        self.at_cursor(|step| step.outcome = Some(StepOutcome::Succeeded));
        let behind = self.cursor + 1;
        self.steps.splice(behind..behind, steps);
        self.go_on();
        Ok(())
    }

    /// Moves the cursor, in the same change as the outcome of the step before it.
    pub(super) fn go_on(&mut self) {
        self.at_cursor(|step| {
            // No later step reads these fields, and every write is billed for the whole item.
            (step.intent, step.running_since, step.partial) = (None, None, None);
            (step.checks, step.not_started, step.resent) = (0, 0, 0);
            step.progress.clear();
        });
        let left = self.steps.iter().skip(self.cursor + 1).take_while(|step| step.outcome.is_some()).count();
        self.cursor += 1 + left;
        (self.lease, self.check_at) = (None, None);
        if self.cancel_requested {
            self.at_cursor(|step| step.outcome = Some(StepOutcome::NotRun));
            self.error = Some("cancelled".to_owned());
            self.end(JobState::Cancelled);
        } else {
            self.state = JobState::Queued;
            self.sweep_at = Some(self.updated_at.plus(SWEEP_GRACE));
        }
    }

    pub(super) fn leave_running(
        &mut self,
        event: &'static str,
        to: JobState,
        at: Timestamp,
    ) -> Result<(), TransitionError> {
        self.expect(event, &[JobState::Running])?;
        self.state = to;
        self.lease = None;
        self.check_at = Some(at);
        // The reconciler reads the job only after the wake-up message had time to arrive. `sweep_at` is an index key,
        // so it is changed only when necessary.
        if self.sweep_at.is_some_and(|sweep_at| sweep_at < at.plus(WAKE_UP_CHANCE)) {
            self.sweep_at = Some(at.plus(SWEEP_GRACE));
        }
        Ok(())
    }

    pub(super) fn expect(&self, event: &'static str, states: &[JobState]) -> Result<(), TransitionError> {
        if states.contains(&self.state) { Ok(()) } else { Err(TransitionError { state: self.state, event }) }
    }

    pub(super) fn at_cursor(&mut self, change: impl FnOnce(&mut Step)) {
        if let Some(step) = self.steps.get_mut(self.cursor) {
            change(step);
        }
    }
}

impl Step {
    /// Its call goes on, and a worker polls it later. `running_since` when the journal reported it as running.
    fn suspend(&mut self, intent: Option<Intent>, running_since: Option<Timestamp>, seen: Option<Seen>) {
        self.checks += 1;
        self.not_started = 0;
        self.running_since = self.running_since.or(running_since);
        self.intent = intent.or_else(|| self.intent.take());
        if let Some(Seen { progress, partial }) = seen {
            (self.progress, self.partial) = (progress, partial);
        }
    }

    pub(super) fn hold_reply(&mut self) {
        self.checks += 1;
        self.reply_held = true;
    }

    fn reschedule(&mut self, attempt: Attempt) {
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
