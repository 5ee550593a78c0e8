//! What to do with a job after an answer. Pure: contains every rule about repeating, waiting and giving up.

use std::time::Duration;

use domain::{
    catalogue::{ToolEffect, ToolEntry},
    ids::{Approver, Timestamp},
    job::{Attempt, HeldText, Job, Step, Via},
    limits::Backoff,
};
use platform::openclaw::{CallAnswer, Refusal, ToolEnd};

use crate::step::ending::{DEADLINE_PASSED, Ending};

/// How long after its deadline a call is polled whose outcome cannot be read, before it counts as `unknown`.
const GRACE: Duration = Duration::from_secs(900);

/// What happens to the job next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// The step ended.
    End(Ending),
    /// The call is running, or may be: poll again.
    Suspend {
        /// The time until the next poll.
        wait: Duration,
        /// Whether the journal reports it as running.
        running: bool,
    },
    /// Nothing is running: send again after this time.
    Reschedule(Duration, Attempt),
    /// Nothing was sent: ask for approval, valid for this long.
    Ask(Approver, Duration),
    /// Nothing was sent: an operator has to decide about the text.
    Hold(Box<HeldText>),
}

/// The facts that decide, besides the answer.
pub(crate) struct Facts<'a> {
    pub(crate) job: &'a Job,
    pub(crate) step: &'a Step,
    pub(crate) entry: &'a ToolEntry,
    pub(crate) via: &'a Via,
    /// When the call was first sent, or may have been.
    pub(crate) sent_at: Timestamp,
    /// Whether the answer is to the first dispatch under this key.
    pub(crate) first_dispatch: bool,
    pub(crate) now: Timestamp,
    pub(crate) random: u64,
}

/// Decides what happens after an answer.
pub(crate) fn after(answer: CallAnswer, facts: &Facts<'_>) -> Verdict {
    match answer {
        CallAnswer::Ended(ToolEnd::Succeeded(result)) => Verdict::End(Ending::succeeded(result)),
        CallAnswer::Ended(ToolEnd::Reported(result)) => Verdict::End(Ending::failed("tool_failed", result)),
        CallAnswer::Ended(ToolEnd::Threw) => facts.again_or(Ending::failed("tool_failed", None)),
        CallAnswer::Refused(refusal) => Verdict::End(Ending::refused(refusal.code())),
        // A key that was seen running cannot be revoked unless the journal has lost its data.
        CallAnswer::Revoked | CallAnswer::NoSuchKey if facts.step.running_since.is_some() => {
            facts.again_or(facts.unprovable())
        }
        CallAnswer::Revoked => Verdict::End(facts.not_run()),
        CallAnswer::StillRunning => facts.still_running(),
        CallAnswer::Interrupted => facts.again_or(facts.unprovable()),
        CallAnswer::OtherJournal if facts.first_dispatch => facts.not_started(None),
        // The journal holds the key for another call, so sending again under it is useless. On the first dispatch
        // nothing of this job has run.
        CallAnswer::KeyReused if facts.first_dispatch => facts.again_or(Ending::refused(Refusal::Rejected.code())),
        CallAnswer::OtherJournal | CallAnswer::KeyReused => facts.again_or(facts.unprovable()),
        CallAnswer::Unreadable if facts.first_dispatch => Verdict::End(Ending::refused("gateway_request_rejected")),
        CallAnswer::NotStarted(wait) if facts.first_dispatch => facts.not_started(wait),
        // A read that may have run did no harm, so it is sent again.
        CallAnswer::Unavailable(wait) if facts.entry.effect == ToolEffect::Read => facts.not_started(wait),
        CallAnswer::Unauthorized | CallAnswer::JournalAbsent if facts.entry.effect == ToolEffect::Read => {
            facts.not_started(Some(Duration::from_secs(15)))
        }
        CallAnswer::NoSuchKey
        | CallAnswer::Released
        | CallAnswer::Unavailable(_)
        | CallAnswer::NotStarted(_)
        | CallAnswer::Unauthorized
        | CallAnswer::JournalAbsent
        | CallAnswer::Unreadable
        | CallAnswer::Lost => facts.no_news(),
    }
}

impl Facts<'_> {
    /// Sends a repeatable tool again under the next `n`, while attempts are left and it may still start.
    fn again_or(&self, otherwise: Ending) -> Verdict {
        let may = self.entry.repeatable()
            && self.step.attempts < self.entry.attempts
            && Ending::before_it_began(self.job, self.now).is_none();
        if may {
            Verdict::Reschedule(Backoff::RETRY.wait(self.step.attempts, self.random), Attempt::Repeatable)
        } else {
            Verdict::End(otherwise)
        }
    }

    /// The end of a call that may have run: `unknown` for a write; a read has no effect, so it is not `unknown`.
    fn unprovable(&self) -> Ending {
        match self.entry.effect {
            ToolEffect::Read if self.job.overdue(self.now) => Ending::failed(DEADLINE_PASSED, None),
            ToolEffect::Read => Ending::failed("attempts_exhausted", None),
            ToolEffect::Write | ToolEffect::Destructive => Ending::unknown(),
        }
    }

    /// The end of a call that is proven not to have run and never to run.
    fn not_run(&self) -> Ending {
        Ending::before_it_began(self.job, self.now).unwrap_or_else(Ending::expired)
    }

    /// Nothing is running: send again under the same key, until `not_after`.
    fn not_started(&self, wait: Option<Duration>) -> Verdict {
        let backoff = Backoff::RETRY.wait(self.step.not_started, self.random);
        Verdict::Reschedule(wait.map_or(backoff, |wait| wait.max(backoff)), Attempt::NotStarted)
    }

    fn still_running(&self) -> Verdict {
        let since = self.step.running_since.unwrap_or(self.now);
        if self.job.overdue(self.now) || self.now >= since.plus(self.entry.timeout()) {
            return self.again_or(self.unprovable());
        }
        Verdict::Suspend { wait: self.next_check(), running: true }
    }

    /// The answer told nothing about a call that is or may be running. Through a journal it is polled; without one
    /// there is no way to ask.
    fn no_news(&self) -> Verdict {
        let give_up_at = self.sent_at.plus(self.entry.timeout()).max(self.job.not_after).plus(GRACE);
        match self.via {
            Via::Direct => self.again_or(self.unprovable()),
            Via::Journal(_) if self.job.overdue(self.now) || self.now >= give_up_at => self.again_or(self.unprovable()),
            Via::Journal(_) => Verdict::Suspend { wait: self.next_check(), running: false },
        }
    }

    /// The first poll is when the tool usually ends, then with backoff. No jitter: the polls of one job do not compete.
    fn next_check(&self) -> Duration {
        let usual = self.entry.expected().saturating_sub(self.now.since(self.sent_at));
        if self.step.checks == 0 && !usual.is_zero() { usual } else { Backoff::CHECK.ceiling(self.step.checks) }
    }
}

#[cfg(test)]
pub(crate) mod tests;
