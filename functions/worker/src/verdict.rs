//! What to do with a job after an answer. Pure: every rule about repeating, waiting and giving up is here.

use std::time::Duration;

use serde_json::Value;
use shared::{
    backoff::Backoff,
    catalogue::{ToolEffect, ToolEntry},
    intent::Via,
    job::{Attempt, Job, JobState},
    openclaw::{CallAnswer, ToolEnd},
    step::{Step, StepOutcome},
    timestamp::Timestamp,
};

/// After its deadline, a call whose outcome cannot be had is asked for this much longer before it counts as unknown.
const GRACE: Duration = Duration::from_secs(900);

/// What happens to the job next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// The step ended.
    End(Ending),
    /// The call is out, or may be: look again.
    Park {
        /// After this long.
        wait: Duration,
        /// The journal has it running.
        running: bool,
    },
    /// Nothing is out: again after this long.
    PutBack(Duration, Attempt),
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ending {
    pub(crate) outcome: StepOutcome,
    pub(crate) ends_as: JobState,
    pub(crate) code: Option<&'static str>,
    /// What the tool returned. `None` inside: it was over the cap.
    pub(crate) result: Option<Option<Value>>,
}

impl Ending {
    pub(crate) fn succeeded(result: Option<Value>) -> Self {
        Self { outcome: StepOutcome::Succeeded, ends_as: JobState::Succeeded, code: None, result: Some(result) }
    }

    pub(crate) fn refused(code: &'static str) -> Self {
        Self { outcome: StepOutcome::Refused, ends_as: JobState::Refused, code: Some(code), result: None }
    }

    pub(crate) fn failed(code: &'static str, result: Option<Value>) -> Self {
        Self { outcome: StepOutcome::Failed, ends_as: JobState::Failed, code: Some(code), result: result.map(Some) }
    }

    /// Failed, and nothing was sent.
    pub(crate) fn failed_unsent(code: &'static str) -> Self {
        Self { outcome: StepOutcome::NotRun, ends_as: JobState::Failed, code: Some(code), result: None }
    }

    pub(crate) fn expired() -> Self {
        Self { outcome: StepOutcome::NotRun, ends_as: JobState::Expired, code: Some("not_after_passed"), result: None }
    }

    /// Nothing was sent; the result tells what would have been.
    pub(crate) fn explained(code: &'static str, told: Value) -> Self {
        Self { outcome: StepOutcome::NotRun, ends_as: JobState::Explained, code: Some(code), result: Some(Some(told)) }
    }

    pub(crate) fn cancelled() -> Self {
        Self { outcome: StepOutcome::NotRun, ends_as: JobState::Cancelled, code: Some("cancelled"), result: None }
    }

    pub(crate) fn unknown() -> Self {
        Self { outcome: StepOutcome::Unknown, ends_as: JobState::Unknown, code: Some("outcome_unknown"), result: None }
    }
}

/// What the rules look at, beside the answer.
pub(crate) struct Facts<'a> {
    pub(crate) job: &'a Job,
    pub(crate) step: &'a Step,
    pub(crate) entry: &'a ToolEntry,
    pub(crate) via: &'a Via,
    /// When the call first left, or was about to.
    pub(crate) sent_at: Timestamp,
    /// Whether nothing had been sent under this key before the call that was answered.
    pub(crate) first_dispatch: bool,
    pub(crate) now: Timestamp,
    pub(crate) random: u64,
}

/// Decides.
pub(crate) fn after(answer: CallAnswer, facts: &Facts<'_>) -> Verdict {
    match answer {
        CallAnswer::Ended(ToolEnd::Succeeded(result)) => Verdict::End(Ending::succeeded(result)),
        CallAnswer::Ended(ToolEnd::Reported(result)) => Verdict::End(Ending::failed("tool_failed", result)),
        CallAnswer::Ended(ToolEnd::Threw) => facts.again_or(Ending::failed("tool_failed", None)),
        CallAnswer::Refused(refusal) => Verdict::End(Ending::refused(refusal.code())),
        // A key that was seen running cannot be free to be revoked: the journal has lost its memory.
        CallAnswer::Revoked | CallAnswer::NoSuchKey if facts.step.running_since.is_some() => {
            facts.again_or(facts.unprovable())
        }
        CallAnswer::Revoked => Verdict::End(facts.not_run()),
        CallAnswer::StillRunning => facts.still_running(),
        CallAnswer::Interrupted => facts.again_or(facts.unprovable()),
        CallAnswer::OtherJournal | CallAnswer::KeyReused if facts.first_dispatch => facts.not_started(None),
        CallAnswer::OtherJournal | CallAnswer::KeyReused => facts.again_or(facts.unprovable()),
        CallAnswer::Unreadable if facts.first_dispatch => Verdict::End(Ending::refused("gateway_request_rejected")),
        CallAnswer::NotStarted(wait) if facts.first_dispatch => facts.not_started(wait),
        // A read that may have run has done no harm: it simply goes again.
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
    /// A repeatable tool goes again under another `n`, while attempts are left and it may still start.
    fn again_or(&self, otherwise: Ending) -> Verdict {
        let may = self.entry.repeatable()
            && self.step.attempts < self.entry.attempts
            && !self.job.cancel_requested
            && self.now < self.job.not_after;
        if may {
            Verdict::PutBack(Backoff::RETRY.wait(self.step.attempts, self.random), Attempt::Repeatable)
        } else {
            Verdict::End(otherwise)
        }
    }

    /// The end of a call that may have run: a write is unknown, a read has no effect to be unknown about.
    fn unprovable(&self) -> Ending {
        match self.entry.effect {
            ToolEffect::Read => Ending::failed("attempts_exhausted", None),
            ToolEffect::Write | ToolEffect::Destructive => Ending::unknown(),
        }
    }

    /// The end of a call that is proven not to have run and never will.
    fn not_run(&self) -> Ending {
        if self.job.cancel_requested { Ending::cancelled() } else { Ending::expired() }
    }

    /// Nothing is out. The same key goes again, until `not_after`.
    fn not_started(&self, wait: Option<Duration>) -> Verdict {
        let backoff = Backoff::RETRY.wait(self.step.not_started, self.random);
        Verdict::PutBack(wait.map_or(backoff, |wait| wait.max(backoff)), Attempt::NotStarted)
    }

    fn still_running(&self) -> Verdict {
        let since = self.step.running_since.unwrap_or(self.now);
        if self.now >= since.plus(self.entry.timeout()) {
            return self.again_or(self.unprovable());
        }
        Verdict::Park { wait: self.next_check(), running: true }
    }

    /// Nothing new is known about a call that is or may be out. Through a journal it can be asked again; without one, never.
    fn no_news(&self) -> Verdict {
        let give_up_at = self.sent_at.plus(self.entry.timeout()).max(self.job.not_after).plus(GRACE);
        match self.via {
            Via::Direct => self.again_or(self.unprovable()),
            Via::Journal(_) if self.now >= give_up_at => self.again_or(self.unprovable()),
            Via::Journal(_) => Verdict::Park { wait: self.next_check(), running: false },
        }
    }

    /// First when the tool usually ends, then with backoff. Without jitter: one job asks for itself only.
    fn next_check(&self) -> Duration {
        let usual = self.entry.expected().saturating_sub(self.now.since(self.sent_at));
        if self.step.checks == 0 && !usual.is_zero() { usual } else { Backoff::CHECK.ceiling(self.step.checks) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::{
        audit::AuditHead,
        digest::Digest,
        intent::JournalId,
        job::{NewJob, Start},
        openclaw::Refusal,
        policy::Policy,
        user_id::UserId,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    #[derive(Clone, Copy)]
    struct Case {
        tool: &'static str,
        first: bool,
        direct: bool,
        attempts: u32,
        late: Duration,
        cancel: bool,
        running: bool,
    }

    const CASE: Case = Case {
        tool: "ledger_append",
        first: false,
        direct: false,
        attempts: 1,
        late: Duration::ZERO,
        cancel: false,
        running: false,
    };

    fn decide(answer: CallAnswer, case: &Case) -> Verdict {
        let policy = Policy::built_in().unwrap();
        let entry = &policy.tool(case.tool).unwrap().entry;
        let mut step = Step::new(case.tool.into(), entry.effect);
        step.attempts = case.attempts;
        step.running_since = case.running.then_some(NOW);
        let new = NewJob {
            user_id: UserId::from_random([1; 16]),
            request_id: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap(),
            steps: vec![step.clone()],
            fingerprint: Digest::ZERO,
            audit: AuditHead::EMPTY,
            not_after: NOW.plus(Duration::from_secs(900)),
            trace: None,
            start: Start::Queued,
        };
        let job = Job { state: JobState::Running, cancel_requested: case.cancel, ..Job::accepted(new, NOW) };
        let journal = Via::Journal(JournalId { journal: "j".into(), boot: "b".into() });
        let via = if case.direct { Via::Direct } else { journal };
        let now = NOW.plus(case.late);
        let facts = Facts {
            job: &job,
            step: &step,
            entry,
            via: &via,
            sent_at: NOW,
            first_dispatch: case.first,
            now,
            random: 0,
        };
        after(answer, &facts)
    }

    fn no_news() -> [CallAnswer; 4] {
        [CallAnswer::NotStarted(None), CallAnswer::Unauthorized, CallAnswer::JournalAbsent, CallAnswer::Lost]
    }

    #[test]
    fn a_write_that_may_have_run_is_never_sent_under_another_key() {
        let answers = [
            CallAnswer::Ended(ToolEnd::Threw),
            CallAnswer::Interrupted,
            CallAnswer::OtherJournal,
            CallAnswer::KeyReused,
            CallAnswer::StillRunning,
            CallAnswer::Lost,
        ];
        for answer in answers {
            for direct in [false, true] {
                for late in [0, 100, 10_000] {
                    let case = Case { direct, late: Duration::from_secs(late), ..CASE };
                    let verdict = decide(answer.clone(), &case);
                    assert!(!matches!(verdict, Verdict::PutBack(..)), "{answer:?} {direct} {late}: {verdict:?}");
                }
            }
        }
    }

    #[test]
    fn what_died_ends_as_unknown_for_a_write_and_goes_again_for_a_read() {
        assert_eq!(decide(CallAnswer::Interrupted, &CASE), Verdict::End(Ending::unknown()));
        for tool in ["ledger_read", "ledger_append_once"] {
            let case = Case { tool, ..CASE };
            let again = decide(CallAnswer::Interrupted, &case);
            assert!(matches!(again, Verdict::PutBack(_, Attempt::Repeatable)), "{tool}: {again:?}");
        }
        let spent = Case { tool: "ledger_read", attempts: 5, ..CASE };
        assert_eq!(decide(CallAnswer::Interrupted, &spent), Verdict::End(Ending::failed("attempts_exhausted", None)));
        let spent = Case { tool: "ledger_append_once", attempts: 5, ..CASE };
        assert_eq!(decide(CallAnswer::Interrupted, &spent), Verdict::End(Ending::unknown()));
    }

    #[test]
    fn a_first_dispatch_that_did_not_start_is_put_back_without_counting() {
        let first = Case { first: true, ..CASE };
        for answer in [CallAnswer::NotStarted(Some(Duration::from_secs(9))), CallAnswer::OtherJournal] {
            let verdict = decide(answer.clone(), &first);
            assert!(matches!(verdict, Verdict::PutBack(_, Attempt::NotStarted)), "{answer:?}: {verdict:?}");
        }
        assert_eq!(
            decide(CallAnswer::NotStarted(Some(Duration::from_secs(9))), &first),
            Verdict::PutBack(Duration::from_secs(9), Attempt::NotStarted)
        );
    }

    #[test]
    fn what_somebody_on_the_way_says_proves_nothing_about_a_write() {
        let first = Case { first: true, ..CASE };
        for answer in [CallAnswer::Unavailable(None), CallAnswer::Unauthorized, CallAnswer::JournalAbsent] {
            let verdict = decide(answer.clone(), &first);
            assert!(matches!(verdict, Verdict::Park { running: false, .. }), "{answer:?}: {verdict:?}");
            let read = Case { tool: "ledger_read", ..first };
            assert!(matches!(decide(answer, &read), Verdict::PutBack(_, Attempt::NotStarted)));
        }
    }

    #[test]
    fn a_call_that_may_be_out_is_asked_for_until_it_cannot_matter_any_more() {
        for answer in no_news() {
            let soon = decide(answer.clone(), &CASE);
            assert!(matches!(soon, Verdict::Park { running: false, .. }), "{answer:?}: {soon:?}");
            let overdue = decide(answer.clone(), &Case { late: Duration::from_secs(1799), ..CASE });
            assert!(matches!(overdue, Verdict::Park { .. }), "it may still be told: {answer:?}: {overdue:?}");
            let late = Case { late: Duration::from_secs(1801), ..CASE };
            assert_eq!(decide(answer.clone(), &late), Verdict::End(Ending::unknown()), "{answer:?}");
            let direct = Case { direct: true, ..CASE };
            assert_eq!(decide(answer.clone(), &direct), Verdict::End(Ending::unknown()), "{answer:?}");
        }
    }

    #[test]
    fn a_tool_past_its_timeout_is_unknown() {
        let parked = |verdict| matches!(verdict, Verdict::Park { running: true, .. });
        let late = Case { late: Duration::from_secs(30), ..CASE };
        assert!(parked(decide(CallAnswer::StillRunning, &CASE)));
        assert!(parked(decide(CallAnswer::StillRunning, &late)), "sent long ago, but it may have begun just now");
        let seen = Case { running: true, ..CASE };
        assert!(parked(decide(CallAnswer::StillRunning, &seen)));
        let late = Case { running: true, ..late };
        assert_eq!(decide(CallAnswer::StillRunning, &late), Verdict::End(Ending::unknown()));
    }

    #[test]
    fn a_revoked_key_did_not_run() {
        assert_eq!(decide(CallAnswer::Revoked, &CASE), Verdict::End(Ending::expired()));
        assert_eq!(decide(CallAnswer::Revoked, &Case { cancel: true, ..CASE }), Verdict::End(Ending::cancelled()));
    }

    #[test]
    fn a_key_that_was_seen_running_and_is_gone_is_unknown() {
        for answer in [CallAnswer::Revoked, CallAnswer::NoSuchKey] {
            let seen = Case { running: true, ..CASE };
            assert_eq!(decide(answer.clone(), &seen), Verdict::End(Ending::unknown()), "{answer:?}");
        }
    }

    #[test]
    fn a_refusal_is_final() {
        assert_eq!(decide(CallAnswer::Refused(Refusal::Blocked), &CASE), Verdict::End(Ending::refused("tool_blocked")));
    }
}
