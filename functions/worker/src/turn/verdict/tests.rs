use domain::{
    job::{Intent, JournalId, Via, WakeUpToken},
    policy::Policy,
};

use super::*;
use crate::call::verdict::tests::{NOW, running as claimed};

#[derive(Clone, Copy, Default)]
struct Case {
    first: bool,
    seen: bool,
    cancel: bool,
    checks: u32,
    late: u64,
    deadline: Option<u64>,
    token: bool,
}

fn decide(answer: TurnState, case: Case) -> TurnVerdict {
    let policy = Policy::built_in().unwrap();
    let agent = policy.agent("main").unwrap();
    let mut step = Step::turn("main".into(), None);
    step.running_since = case.seen.then_some(NOW);
    step.checks = case.checks;
    let via = Via::Journal(JournalId { journal: "j".into(), boot: "b".into() });
    step.intent = Some(Intent {
        via,
        recorded_at: NOW,
        sequence: 0,
        wake_up_token: case.token.then(|| WakeUpToken::from_random([1; 16])),
    });
    let deadline = case.deadline.map(|seconds| NOW.plus(Duration::from_secs(seconds)));
    let job = Job { cancel_requested: case.cancel, ..claimed(step.clone(), deadline) };
    let now = NOW.plus(Duration::from_secs(case.late));
    after(
        answer,
        &TurnFacts { job: &job, step: &step, agent, sent_at: NOW, first_dispatch: case.first, now, random: 0 },
    )
}

fn running() -> TurnState {
    TurnState::Running(Box::default())
}

fn code(verdict: &TurnVerdict) -> (&'static str, JobState) {
    match verdict {
        TurnVerdict::End(ending, _) => (ending.code.unwrap_or(""), ending.ends_as),
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_answer_makes_a_turn_unknown_and_none_puts_one_back_that_may_be_out() {
    let answers = [
        CallAnswer::Interrupted,
        CallAnswer::NoSuchKey,
        CallAnswer::NotStarted(None),
        CallAnswer::Unavailable(None),
        CallAnswer::Released,
        CallAnswer::OtherJournal,
        CallAnswer::KeyReused,
        CallAnswer::JournalAbsent,
        CallAnswer::Unauthorized,
        CallAnswer::Unreadable,
        CallAnswer::Revoked,
        CallAnswer::StillRunning,
        CallAnswer::Lost,
    ];
    for answer in answers {
        for late in [0, 100, 100_000] {
            for seen in [false, true] {
                let verdict = decide(TurnState::Other(answer.clone()), Case { seen, late, ..Case::default() });
                let story = format!("{answer:?} {late} {seen}: {verdict:?}");
                match verdict {
                    TurnVerdict::End(ending, _) => assert_ne!(ending.outcome, StepOutcome::Unknown, "{story}"),
                    TurnVerdict::Suspend { .. } => assert!(late < 100_000, "it always ends: {story}"),
                    TurnVerdict::Reschedule(_) | TurnVerdict::Replied(_) => panic!("{story}"),
                }
            }
        }
    }
}

#[test]
fn a_round_that_was_seen_and_is_gone_is_lost() {
    for answer in [CallAnswer::Revoked, CallAnswer::NoSuchKey, CallAnswer::OtherJournal, CallAnswer::Interrupted] {
        let verdict = decide(TurnState::Other(answer.clone()), Case { seen: true, ..Case::default() });
        assert_eq!(code(&verdict), ("turn_lost", JobState::Failed), "{answer:?}");
    }
}

#[test]
fn a_first_dispatch_that_did_not_start_is_rescheduled_and_one_that_may_have_started_is_looked_up() {
    let first = Case { first: true, ..Case::default() };
    for answer in
        [CallAnswer::NotStarted(Some(Duration::from_secs(9))), CallAnswer::OtherJournal, CallAnswer::JournalAbsent]
    {
        let verdict = decide(TurnState::Other(answer.clone()), first);
        assert!(matches!(verdict, TurnVerdict::Reschedule(_)), "{answer:?}: {verdict:?}");
    }
    for answer in [CallAnswer::Lost, CallAnswer::Unavailable(None), CallAnswer::KeyReused, CallAnswer::Unauthorized] {
        let verdict = decide(TurnState::Other(answer.clone()), first);
        assert!(matches!(verdict, TurnVerdict::Suspend { running: None, .. }), "{answer:?}: {verdict:?}");
    }
}

#[test]
fn what_was_stopped_says_why() {
    let aborted = || TurnState::Failed(TurnFailure::TurnAborted, Box::default());
    let seen = Case { seen: true, ..Case::default() };
    assert_eq!(code(&decide(aborted(), Case { cancel: true, ..seen })), ("cancelled", JobState::Cancelled));
    let late = Case { deadline: Some(5), late: 6, ..seen };
    assert_eq!(code(&decide(aborted(), late)), (DEADLINE_PASSED, JobState::Failed));
    assert_eq!(code(&decide(aborted(), seen)), ("turn_aborted", JobState::Failed));
    // A round that does not stop is polled for a limited time.
    assert!(matches!(decide(running(), late), TurnVerdict::Suspend { wait: LOOK_SOON, .. }));
    assert_eq!(code(&decide(running(), Case { late: 15, ..late })), (DEADLINE_PASSED, JobState::Failed));
    assert_eq!(code(&decide(running(), Case { late: 660, ..seen })), ("turn_timed_out", JobState::Failed));
}

#[test]
fn a_long_round_is_looked_at_hardly_more_often_than_a_short_one() {
    let looks = |seconds: u64| {
        let (mut case, mut looks) = (Case { seen: true, ..Case::default() }, 0);
        while case.late < seconds {
            let TurnVerdict::Suspend { wait, .. } = decide(running(), case) else { panic!("it runs") };
            case.late += wait.as_secs().max(1);
            case.checks += 1;
            looks += 1;
        }
        looks
    };
    assert_eq!([1, 30, 300].map(looks), [1, 6, 16]);
}

#[test]
fn with_a_webhook_polls_are_rare_and_one_is_at_the_rounds_deadline() {
    let timeout = Policy::built_in().unwrap().agent("main").unwrap().timeout().as_secs();
    let wait = |late, rings, token| {
        let running = TurnState::Running(Box::new(Round { rings, ..Round::default() }));
        match decide(running, Case { seen: true, late, token, ..Case::default() }) {
            TurnVerdict::Suspend { wait, .. } => wait.as_secs(),
            other => panic!("{other:?}"),
        }
    };
    for late in [0, 30, 100, 200, timeout - 20] {
        let over = timeout + STOPPING.as_secs() - late;
        assert_eq!(wait(late, true, true), (late * 2).clamp(120, 600).min(over), "{late}");
        for (rings, token) in [(true, false), (false, true)] {
            assert!(
                wait(late, rings, token) <= 30,
                "without a token that both sides know no report is expected: {late}"
            );
        }
    }
}
