use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{
    audit::AuditHead,
    catalogue::ToolEffect,
    ids::{Digest, UserId},
    job::{
        NewJob, ResultRef, Start, Step, StepOutcome,
        progress::{CallState, Doing, Progress},
    },
};

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn job(steps: Vec<Step>) -> Job {
    let new = NewJob {
        user_id: UserId::from_random([1; 16]),
        request_id: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap(),
        steps,
        fingerprint: Digest::ZERO,
        audit: AuditHead::EMPTY,
        not_after: at(900),
        deadline: None,
        trace: None,
        start: Start::Queued,
    };
    Job::accepted(new, NOW)
}

fn call() -> Step {
    Step::new("ledger_append".into(), ToolEffect::Write)
}

/// A turn with a proposal that failed and a further round, then a call that was submitted behind it.
fn grown() -> Job {
    let done = |outcome, step| Step { outcome: Some(outcome), ..step };
    let turn = Step::turn("main".into(), Some("notes".parse().unwrap()));
    let proposal = Step { derived: true, error: Some("tool_failed".into()), ..turn.followed_by(call(), 1) };
    let kept = Some(ResultRef::Inline("{\"reply\":\"hm\"}".into()));
    let again = Step { result: kept, ..turn.followed_by(Step::turn("main".into(), turn.conversation.clone()), 2) };
    let later = Step { of: 1, ..call() };
    let steps = vec![
        done(StepOutcome::Succeeded, turn),
        done(StepOutcome::Failed, proposal),
        done(StepOutcome::Succeeded, again),
        later,
    ];
    Job { cursor: 3, ..job(steps) }
}

fn shown(job: &Job) -> Value {
    json!(StepView::all(job))
}

#[test]
fn a_job_shows_what_was_submitted_and_what_an_agent_proposed() {
    let message = "The tool ran and reported a failure.";
    let turn = |round: u32| json!({"kind": "turn", "agent": "main", "conversation": "notes", "step": 0, "round": round, "outcome": "succeeded"});
    let expected = json!([
        turn(0),
        {"kind": "call", "tool": "ledger_append", "step": 0, "round": 1, "proposed": true, "derived": true,
            "outcome": "failed", "error": {"code": "tool_failed", "message": message}},
        turn(2),
        {"kind": "call", "tool": "ledger_append", "step": 1, "round": 0},
    ]);
    assert_eq!(shown(&grown()), expected);
}

#[test]
fn a_job_that_is_over_says_of_each_step_what_became_of_it() {
    let ended = |state, outcome, error: &str| {
        let mut job = grown();
        job.cursor = 1;
        for step in job.steps.iter_mut().skip(1) {
            (step.outcome, step.error) = (None, None);
        }
        job.steps[1].outcome = Some(outcome);
        Job { state, error: Some(error.into()), ..job }
    };
    for (state, outcome, error) in [
        (JobState::Unknown, StepOutcome::Unknown, "outcome_unknown"),
        (JobState::Cancelled, StepOutcome::NotRun, "cancelled"),
        (JobState::Expired, StepOutcome::NotRun, "approval_expired"),
    ] {
        let steps = shown(&ended(state, outcome, error));
        let of = |member: &str| -> Vec<Value> {
            steps.as_array().unwrap().iter().map(|step| step.pointer(member).cloned().unwrap_or_default()).collect()
        };
        assert_eq!(of("/outcome"), [json!("succeeded"), json!(outcome), json!("not_run"), json!("not_run")]);
        assert_eq!(of("/error/code"), [Value::Null, json!(error), Value::Null, Value::Null]);
    }
}

#[test]
fn progress_is_shown_while_a_turn_goes_on_and_no_longer() {
    let seen = |tool: Option<&str>, state, arguments: Option<&str>| Progress {
        at: NOW,
        what: if tool.is_some() { Doing::Tool } else { Doing::Thinking },
        tool: tool.map(str::to_owned),
        state,
        arguments: arguments.map(str::to_owned),
    };
    let mut job = job(vec![Step {
        progress: vec![
            seen(None, None, None),
            seen(Some("ledger_read"), Some(CallState::Running), Some("{\"limit\":1}")),
            seen(Some("exec"), Some(CallState::Vetoed), None),
        ],
        partial: Some("so far".into()),
        ..Step::turn("main".into(), None)
    }]);
    job.state = JobState::Waiting;
    let time = NOW.to_string();
    let steps = shown(&job);
    assert_eq!(
        steps[0]["progress"],
        json!([
            {"at": time, "doing": "thinking"},
            {"at": time, "doing": "tool", "tool": "ledger_read", "state": "running", "arguments": "{\"limit\":1}"},
            {"at": time, "doing": "tool", "tool": "exec", "state": "vetoed"},
        ])
    );
    assert_eq!(steps[0]["partial"], "so far");
    job.state = JobState::Failed;
    job.steps[0].outcome = Some(StepOutcome::Failed);
    let steps = shown(&job);
    assert!(steps[0].get("progress").is_none() && steps[0].get("partial").is_none(), "{steps}");
}

#[test]
fn each_step_has_its_own_result_and_the_last_one_the_jobs() {
    let mine = ResultRef::Inline("1".into());
    let own = ResultRef::Inline("{\"reply\":\"hm\"}".into());
    let results = |job: &Job| (0..5).map(|place| result_of_step(job, place).cloned()).collect::<Vec<_>>();
    let open = grown();
    assert_eq!(results(&open), [None, None, Some(own.clone()), None, None]);
    let last = Job { state: JobState::Succeeded, cursor: 4, result: Some(mine.clone()), ..open.clone() };
    assert_eq!(results(&last), [None, None, Some(own.clone()), Some(mine.clone()), None]);
    let failed = Job { state: JobState::Failed, result: Some(mine.clone()), ..open.clone() };
    assert_eq!(results(&failed), [None, None, Some(own.clone()), Some(mine.clone()), None]);
    let explained = Job { state: JobState::Explained, cursor: 0, result: Some(mine), ..open };
    assert_eq!(results(&explained), [None, None, Some(own), None, None], "an explanation is of the whole job");
}

#[test]
fn a_single_call_is_looked_at_by_its_age() {
    for state in [JobState::Queued, JobState::Running, JobState::Waiting, JobState::Retrying] {
        let job = Job { state, check_at: Some(at(3)), ..job(vec![call()]) };
        let waits: Vec<_> = [0, 2, 10, 60].map(|seconds| next_poll_ms(&job, at(seconds)).unwrap()).into();
        assert_eq!(waits, [500, 1000, 2000, 5000], "{state:?}");
    }
}

#[test]
fn a_turn_is_looked_at_right_after_the_worker_has() {
    for steps in [vec![Step::turn("main".into(), None)], vec![call(), call()]] {
        for state in [JobState::Waiting, JobState::Retrying] {
            let job = Job { state, check_at: Some(at(100)), updated_at: at(50), ..job(steps.clone()) };
            let waits: Vec<_> = [60, 97, 99, 101, 200].map(|seconds| next_poll_ms(&job, at(seconds)).unwrap()).into();
            assert_eq!(waits, [5000, 3500, 1500, 1000, 1000], "{state:?}");
        }
        for state in [JobState::Queued, JobState::Running] {
            let job = Job { state, updated_at: at(50), ..job(steps.clone()) };
            let waits: Vec<_> = [50, 55, 61, 120].map(|seconds| next_poll_ms(&job, at(seconds)).unwrap()).into();
            assert_eq!(waits, [1000, 1000, 2000, 5000], "{state:?}");
        }
    }
}

#[test]
fn polls_are_rare_during_an_approval_request_and_stop_at_the_end() {
    for steps in [vec![Step::turn("main".into(), None)], vec![call()]] {
        let asked = Job { state: JobState::AwaitingApproval, ..job(steps.clone()) };
        assert_eq!(next_poll_ms(&asked, NOW), Some(5000));
        for state in JobState::ALL.into_iter().filter(|state| state.is_over()) {
            assert_eq!(next_poll_ms(&Job { state, ..job(steps.clone()) }, NOW), None, "{state:?}");
        }
    }
}

#[test]
fn every_code_that_a_job_may_end_with_has_its_words() {
    let unknown = ErrorView::of("made_up").message;
    for code in [
        "tool_failed",
        "attempts_exhausted",
        "payload_missing",
        "payload_unreadable",
        "arguments_not_showable",
        "deadline_passed",
        "derived_missing",
        "derived_invalid",
        "agent_unknown",
        "conversation_other_agent",
        "conversation_ending",
        "model_failed",
        "model_refused",
        "reply_empty",
        "turn_lost",
        "turn_timed_out",
        "turn_aborted",
        "refused_by_gateway",
        "calls_exhausted",
        "rounds_exhausted",
        "content_refused",
        "content_unchecked",
        "reply_refused",
        "reply_unchecked",
        "tool_unknown",
    ] {
        assert_ne!(ErrorView::of(code).message, unknown, "{code}");
    }
}
