//! What to do with a job after an answer about a round of a turn. Pure. Nothing that writes runs inside a turn, so a
//! turn is never `unknown`: its effects are calls, and those are steps of their own. A round is never sent under a
//! second key, because the agent's session remembers the first message.

use std::time::Duration;

use domain::{
    catalogue::AgentEntry,
    content_safety::HeldKind,
    ids::Timestamp,
    job::{HeldText, Job, JobState, Step, StepOutcome},
    limits::Backoff,
};
use platform::openclaw::{
    CallAnswer, Content,
    turns::{Round, TurnFailure, TurnState},
};
use serde_json::{Value, json};

use crate::{
    content_safety::REPLY_UNCHECKED,
    step::ending::{DEADLINE_PASSED, Ending},
};

/// How much longer a round is polled that has passed its own timeout: the journal ends it.
const GRACE: Duration = Duration::from_secs(60);
/// How much longer a round is polled whose outcome cannot be read at all.
const SILENCE: Duration = Duration::from_secs(900);
/// How long a round may take to stop after the deadline.
const STOPPING: Duration = Duration::from_secs(10);
/// Between two polls of a round that is being stopped.
const LOOK_SOON: Duration = Duration::from_secs(2);
/// The pause before asking a gateway again whose journal has no route for turns.
const NO_TURNS_YET: Duration = Duration::from_secs(15);
/// The longest pause between two polls without webhooks, so that the user sees progress.
const LOOK_AT_LEAST: Duration = Duration::from_secs(30);
/// The shortest pause between two polls when the journal reports progress by webhook: polls are needed only for lost
/// webhooks.
const LOOK_ANYWAY: Duration = Duration::from_secs(120);
/// The longest pause in that case.
const LOOK_ANYWAY_AT_LEAST: Duration = Duration::from_secs(600);
/// How long a reply is held that cannot be checked, for example because its user is away. The job is open, and its
/// conversation waits, for that long.
const HELD_AT_MOST: Duration = Duration::from_secs(86_400);
/// The longest pause between two checks of a held reply.
const LOOK_FOR_RETURN_AT_LEAST: Duration = Duration::from_secs(900);

/// What happens to the job next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TurnVerdict {
    /// The round ended with a reply, and perhaps with proposals.
    Replied(Box<Round>),
    /// The round ended without a reply. The second value is what the journal told about it, if anything.
    End(Ending, Option<Box<Round>>),
    /// It is running, or may be: poll again.
    Suspend {
        /// The time until the next poll.
        wait: Duration,
        /// The round as the journal reports it, if it is known to run.
        running: Option<Box<Round>>,
    },
    /// Nothing is running: send again after this time, under the same key.
    Reschedule(Duration),
}

/// The facts that decide, besides the answer.
pub(crate) struct TurnFacts<'a> {
    pub(crate) job: &'a Job,
    pub(crate) step: &'a Step,
    pub(crate) agent: &'a AgentEntry,
    /// When the intent of the first dispatch was recorded.
    pub(crate) sent_at: Timestamp,
    /// Whether the answer is to the first dispatch under this key.
    pub(crate) first_dispatch: bool,
    pub(crate) now: Timestamp,
    pub(crate) random: u64,
}

/// Decides what happens after an answer.
pub(crate) fn after(answer: TurnState, facts: &TurnFacts<'_>) -> TurnVerdict {
    match answer {
        TurnState::Running(round) => facts.still_running(round),
        TurnState::Replied(round) => TurnVerdict::Replied(round),
        TurnState::Failed(failure, round) => TurnVerdict::End(facts.failed(failure), Some(round)),
        TurnState::Other(answer) => facts.other(answer),
    }
}

/// The result of a round that replied. `ai_generated` makes a client label the text, as WeChat and Chinese law require of
/// the text of a model.
pub(crate) fn reply(round: &Round) -> Content {
    if let Some(why) = round.omitted {
        return Err(why);
    }
    let mut reply = json!({ "reply": round.reply.as_deref().unwrap_or_default(), "ai_generated": true });
    if let (true, Value::Object(fields)) = (round.truncated, &mut reply) {
        fields.insert("truncated".to_owned(), true.into());
    }
    Ok(reply)
}

impl TurnFacts<'_> {
    /// Whether a running round is to be stopped: after a cancel, the job's deadline, or the agent's timeout.
    pub(crate) fn stops(&self) -> bool {
        self.job.cancel_requested || self.job.overdue(self.now) || self.past(self.agent.timeout())
    }

    fn past(&self, time: Duration) -> bool {
        self.step.running_since.is_some_and(|since| self.now >= since.plus(time))
    }

    fn still_running(&self, round: Box<Round>) -> TurnVerdict {
        let patience = |at: Timestamp| self.now >= at.plus(STOPPING);
        if self.job.deadline_at().is_some_and(patience) {
            return TurnVerdict::End(Ending::failed(DEADLINE_PASSED, None), Some(round));
        }
        if self.past(self.agent.timeout() + GRACE) {
            return TurnVerdict::End(self.failed(TurnFailure::TurnTimedOut), Some(round));
        }
        let wait = match (self.stops(), self.is_woken(&round)) {
            (true, _) => LOOK_SOON,
            (false, true) => self.look_anyway(),
            (false, false) => self.next_look(),
        };
        TurnVerdict::Suspend { wait, running: Some(round) }
    }

    /// When a reply that cannot be checked now is read and checked again; `None` once the job ends without it. If its user
    /// has to open the Mini Program first, the next login wakes the job, so checks are rare.
    pub(crate) fn check_again_after(&self, user_is_away: bool) -> Option<Duration> {
        let over = self.job.cancel_requested || self.job.overdue(self.now) || self.now >= self.held_until();
        let at_most = if user_is_away { LOOK_FOR_RETURN_AT_LEAST } else { LOOK_AT_LEAST };
        (!over).then(|| (self.now.since(self.sent_at) / 2).clamp(LOOK_SOON, at_most))
    }

    fn held_until(&self) -> Timestamp {
        self.sent_at.plus(HELD_AT_MOST)
    }

    /// The end of a round whose reply was not checked, and is not any more.
    pub(crate) fn unchecked(&self) -> Ending {
        if self.job.cancel_requested {
            self.failed(TurnFailure::TurnAborted)
        } else {
            Ending::failed(REPLY_UNCHECKED, None)
        }
    }

    fn give_up_at(&self) -> Timestamp {
        // The journal has the reply: a gateway that does not answer now has lost nothing.
        if self.step.reply_held {
            // Nor has one that does not answer at the one look after a decision, or at the end of the time for it.
            let held = self.step.held.as_ref().filter(|held| held.what == HeldKind::Reply);
            let decided_at = |held: &HeldText| held.decision.as_ref().map_or(held.asked_at, |decision| decision.at);
            let asked = held.map(|held| held.expires_at.max(decided_at(held)).plus(SILENCE));
            return self.held_until().max(asked.unwrap_or(self.sent_at));
        }
        self.sent_at.plus(self.agent.timeout()).max(self.job.not_after).plus(SILENCE)
    }

    fn failed(&self, failure: TurnFailure) -> Ending {
        match failure {
            TurnFailure::TurnAborted | TurnFailure::TurnTimedOut if self.job.cancel_requested => Ending {
                outcome: StepOutcome::Failed,
                ends_as: JobState::Cancelled,
                code: Some("cancelled"),
                result: None,
                content: None,
            },
            TurnFailure::TurnAborted if self.job.overdue(self.now) => Ending::failed(DEADLINE_PASSED, None),
            TurnFailure::TurnAborted
            | TurnFailure::TurnTimedOut
            | TurnFailure::ModelFailed
            | TurnFailure::ModelRefused
            | TurnFailure::ReplyEmpty
            | TurnFailure::TurnLost
            | TurnFailure::CallsExhausted
            | TurnFailure::AgentUnknown
            | TurnFailure::RefusedByGateway => Ending::failed(failure.code(), None),
        }
    }

    fn other(&self, answer: CallAnswer) -> TurnVerdict {
        let seen = self.step.running_since.is_some();
        match answer {
            // It was seen running and is unknown now: the journal has lost its data.
            CallAnswer::Revoked | CallAnswer::NoSuchKey if seen => self.lost(),
            CallAnswer::Interrupted => self.lost(),
            CallAnswer::OtherJournal if !self.first_dispatch => self.lost(),
            CallAnswer::Revoked => {
                let ending = Ending::before_it_began(self.job, self.now).unwrap_or_else(Ending::expired);
                TurnVerdict::End(ending, None)
            }
            CallAnswer::OtherJournal => self.not_started(None),
            CallAnswer::NotStarted(wait) if self.first_dispatch => self.not_started(wait),
            // The plugin's version has no turns yet; it may be updated soon.
            CallAnswer::JournalAbsent if self.first_dispatch => self.not_started(Some(NO_TURNS_YET)),
            CallAnswer::Unreadable if self.first_dispatch => {
                TurnVerdict::End(Ending::refused("gateway_request_rejected"), None)
            }
            CallAnswer::Refused(refusal) => TurnVerdict::End(Ending::refused(refusal.code()), None),
            // An earlier dispatch has or may have arrived: the next poll tells.
            CallAnswer::KeyReused
            | CallAnswer::NoSuchKey
            | CallAnswer::NotStarted(_)
            | CallAnswer::Unreadable
            | CallAnswer::Released
            | CallAnswer::Ended(_)
            | CallAnswer::StillRunning
            | CallAnswer::Unavailable(_)
            | CallAnswer::Unauthorized
            | CallAnswer::JournalAbsent
            | CallAnswer::Lost => self.no_news(),
        }
    }

    fn lost(&self) -> TurnVerdict {
        TurnVerdict::End(self.failed(TurnFailure::TurnLost), None)
    }

    fn not_started(&self, wait: Option<Duration>) -> TurnVerdict {
        // Each attempt writes audit records, so there is a minimum pause.
        let backoff = Backoff::RETRY.wait_at_least_half(self.step.not_started, self.random);
        TurnVerdict::Reschedule(wait.map_or(backoff, |wait| wait.max(backoff)))
    }

    /// The answer told nothing about a round that is or may be running.
    fn no_news(&self) -> TurnVerdict {
        if self.job.overdue(self.now) {
            return TurnVerdict::End(Ending::failed(DEADLINE_PASSED, None), None);
        }
        if self.now >= self.give_up_at() {
            return self.lost();
        }
        TurnVerdict::Suspend { wait: self.next_look(), running: None }
    }

    /// Whether the journal will report progress with a token that this job knows. An older version of the worker may
    /// have written the job since, and dropped the token, which it did not know.
    fn is_woken(&self, round: &Round) -> bool {
        round.rings && self.step.intent.as_ref().is_some_and(|intent| intent.wake_up_token.is_some())
    }

    /// The time until the next poll when webhooks are expected: in case one is lost, and when the round has to be over.
    fn look_anyway(&self) -> Duration {
        let wait = (self.now.since(self.sent_at) * 2).clamp(LOOK_ANYWAY, LOOK_ANYWAY_AT_LEAST);
        let over_at = self.step.running_since.unwrap_or(self.now).plus(self.agent.timeout() + STOPPING);
        if over_at > self.now { wait.min(over_at.since(self.now)) } else { wait }
    }

    /// The first poll is when a round usually ends; later pauses grow in proportion to the time taken, so that long
    /// rounds are polled hardly more often than short ones.
    fn next_look(&self) -> Duration {
        let so_far = self.now.since(self.sent_at);
        let usual = self.agent.expected().saturating_sub(so_far);
        if self.step.checks == 0 && !usual.is_zero() {
            return usual;
        }
        (so_far / 2).clamp(Duration::from_secs(1), LOOK_AT_LEAST)
    }
}

#[cfg(test)]
mod tests;
