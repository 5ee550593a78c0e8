//! The verdict for every answer, for each kind of call.

use super::*;
use domain::{
    audit::AuditHead,
    ids::{Digest, UserId},
    job::{JobState, JournalId, NewJob, Start},
    limits::Passing,
    policy::Policy,
};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

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

/// A job of one step that a worker has claimed.
pub(crate) fn running(step: Step, deadline: Option<Timestamp>) -> Job {
    let new = NewJob {
        user_id: UserId::from_random([1; 16]),
        request_id: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap(),
        steps: vec![step],
        fingerprint: Digest::ZERO,
        audit: AuditHead::EMPTY,
        not_after: NOW.plus(Duration::from_secs(900)),
        deadline,
        trace: None,
        start: Start::Queued,
    };
    Job { state: JobState::Running, ..Job::accepted(new, NOW) }
}

fn decide(answer: CallAnswer, case: &Case) -> Verdict {
    let policy = Policy::built_in().unwrap();
    let entry = &policy.tool(case.tool).unwrap().entry;
    let mut step = Step::new(case.tool.into(), entry.effect);
    step.attempts = case.attempts;
    step.running_since = case.running.then_some(NOW);
    let job = Job { cancel_requested: case.cancel, ..running(step.clone(), None) };
    let journal = Via::Journal(JournalId { journal: "j".into(), boot: "b".into() });
    let via = if case.direct { Via::Direct } else { journal };
    let now = NOW.plus(case.late);
    let facts =
        Facts { job: &job, step: &step, entry, via: &via, sent_at: NOW, first_dispatch: case.first, now, random: 0 };
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
                assert!(!matches!(verdict, Verdict::Reschedule(..)), "{answer:?} {direct} {late}: {verdict:?}");
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
        assert!(matches!(again, Verdict::Reschedule(_, Attempt::Repeatable)), "{tool}: {again:?}");
    }
    let spent = Case { tool: "ledger_read", attempts: 5, ..CASE };
    assert_eq!(decide(CallAnswer::Interrupted, &spent), Verdict::End(Ending::failed("attempts_exhausted", None)));
    let spent = Case { tool: "ledger_append_once", attempts: 5, ..CASE };
    assert_eq!(decide(CallAnswer::Interrupted, &spent), Verdict::End(Ending::unknown()));
}

#[test]
fn a_first_dispatch_that_did_not_start_is_rescheduled_without_counting() {
    let first = Case { first: true, ..CASE };
    for answer in [CallAnswer::NotStarted(Some(Duration::from_secs(9))), CallAnswer::OtherJournal] {
        let verdict = decide(answer.clone(), &first);
        assert!(matches!(verdict, Verdict::Reschedule(_, Attempt::NotStarted)), "{answer:?}: {verdict:?}");
    }
    assert_eq!(
        decide(CallAnswer::NotStarted(Some(Duration::from_secs(9))), &first),
        Verdict::Reschedule(Duration::from_secs(9), Attempt::NotStarted)
    );
}

#[test]
fn a_proxys_response_proves_nothing_about_a_write() {
    let first = Case { first: true, ..CASE };
    for answer in [CallAnswer::Unavailable(None), CallAnswer::Unauthorized, CallAnswer::JournalAbsent] {
        let verdict = decide(answer.clone(), &first);
        assert!(matches!(verdict, Verdict::Suspend { running: false, .. }), "{answer:?}: {verdict:?}");
        let read = Case { tool: "ledger_read", ..first };
        assert!(matches!(decide(answer, &read), Verdict::Reschedule(_, Attempt::NotStarted)));
    }
}

#[test]
fn a_call_that_may_be_out_is_asked_for_until_it_cannot_matter_any_more() {
    for answer in no_news() {
        let soon = decide(answer.clone(), &CASE);
        assert!(matches!(soon, Verdict::Suspend { running: false, .. }), "{answer:?}: {soon:?}");
        let overdue = decide(answer.clone(), &Case { late: Duration::from_secs(1799), ..CASE });
        assert!(matches!(overdue, Verdict::Suspend { .. }), "it may still be told: {answer:?}: {overdue:?}");
        let late = Case { late: Duration::from_secs(1801), ..CASE };
        assert_eq!(decide(answer.clone(), &late), Verdict::End(Ending::unknown()), "{answer:?}");
        let direct = Case { direct: true, ..CASE };
        assert_eq!(decide(answer.clone(), &direct), Verdict::End(Ending::unknown()), "{answer:?}");
    }
}

#[test]
fn a_tool_past_its_timeout_is_unknown() {
    let suspended = |verdict| matches!(verdict, Verdict::Suspend { running: true, .. });
    let late = Case { late: Duration::from_secs(30), ..CASE };
    assert!(suspended(decide(CallAnswer::StillRunning, &CASE)));
    assert!(suspended(decide(CallAnswer::StillRunning, &late)), "sent long ago, but it may have begun just now");
    let seen = Case { running: true, ..CASE };
    assert!(suspended(decide(CallAnswer::StillRunning, &seen)));
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

/// One of each variant of answer.
pub(crate) fn answers() -> [CallAnswer; 19] {
    [
        CallAnswer::Ended(ToolEnd::Succeeded(Ok(serde_json::Value::Null))),
        CallAnswer::Ended(ToolEnd::Reported(None)),
        CallAnswer::Ended(ToolEnd::Threw),
        CallAnswer::Refused(Refusal::Unavailable),
        CallAnswer::Refused(Refusal::Blocked),
        CallAnswer::Refused(Refusal::Rejected),
        CallAnswer::StillRunning,
        CallAnswer::Revoked,
        CallAnswer::NoSuchKey,
        CallAnswer::Interrupted,
        CallAnswer::NotStarted(None),
        CallAnswer::Unavailable(None),
        CallAnswer::Released,
        CallAnswer::OtherJournal,
        CallAnswer::KeyReused,
        CallAnswer::JournalAbsent,
        CallAnswer::Unauthorized,
        CallAnswer::Unreadable,
        CallAnswer::Lost,
    ]
}

#[test]
fn nothing_final_is_sent_or_asked_for_again_under_its_key() {
    for tool in ["ledger_read", "ledger_append", "ledger_append_once"] {
        for answer in answers().into_iter().filter(|answer| answer.passing() == Passing::Final) {
            let verdict = decide(answer.clone(), &Case { tool, first: true, ..CASE });
            let ends = matches!(verdict, Verdict::End(_) | Verdict::Reschedule(_, Attempt::Repeatable));
            assert!(ends, "{tool} {answer:?}: {verdict:?}");
        }
    }
}

#[test]
fn what_passes_goes_again_while_there_is_time() {
    for tool in ["ledger_read", "ledger_append", "ledger_append_once"] {
        for answer in answers().into_iter().filter(|answer| answer.passing() == Passing::Later) {
            let verdict = decide(answer.clone(), &Case { tool, first: true, ..CASE });
            assert!(!matches!(verdict, Verdict::End(_)), "{tool} {answer:?}: {verdict:?}");
        }
    }
}
