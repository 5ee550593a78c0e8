//! Properties that hold for every order of events.

use super::*;
use crate::{
    audit::AuditHead,
    catalogue::ToolEffect,
    content_safety::{ContentDecision, ContentFinding, HeldKind, Label, Suggestion},
    ids::{Approver, OperatorId, UserId},
    job::{Effect, HeldText, Intent, NewJob, Resolution, ResolvedBy, Start, Via, approval::DecidedBy},
};

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

fn job(state: JobState) -> Job {
    let mut step = Step::new("t".into(), ToolEffect::Write);
    step.attempts = 1;
    let new = NewJob {
        user_id: UserId::from_random([1; 16]),
        request_id: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap(),
        steps: vec![step],
        fingerprint: Digest::ZERO,
        audit: AuditHead::EMPTY,
        not_after: NOW.plus(Duration::from_secs(900)),
        deadline: None,
        trace: None,
        start: Start::Queued,
    };
    let effect = state.is_over().then_some(Effect::Unknown);
    Job { state, rev: 7, effect, ..Job::accepted(new, NOW) }
}

fn resolution() -> Resolution {
    Resolution { by: ResolvedBy::Journal, happened: true, at: NOW, note: None }
}

fn intent() -> Intent {
    Intent { via: Via::Direct, recorded_at: NOW, sequence: 0, wake_up_token: None }
}

fn approval_request() -> Approval {
    Approval::requested(Approver::User, Digest::ZERO, NOW, NOW.plus(Duration::from_secs(600)))
}

fn held_text() -> HeldText {
    let finding =
        ContentFinding { decision: ContentDecision::Hold, suggestion: Suggestion::Review, label: Label::Vulgar };
    let expires_at = NOW.plus(Duration::from_secs(600));
    HeldText {
        what: HeldKind::Arguments,
        digest: Digest::ZERO,
        key: None,
        finding,
        asked_at: NOW,
        expires_at,
        decision: None,
    }
}

fn proposal(of: usize, round: u32) -> Step {
    Step { of, round, derived: true, ..Step::new("t".into(), ToolEffect::Write) }
}

/// One event of each kind, and of each way in which a step ends.
fn events() -> Vec<JobEvent> {
    let check_at = NOW.plus(Duration::from_secs(5));
    let mut events = vec![
        JobEvent::Claimed { lease: Lease { owner: "o".into(), expires_at: check_at } },
        JobEvent::Intended(intent()),
        JobEvent::Suspended { check_at, intent: Some(intent()), running: true, seen: None },
        JobEvent::ReplyHeld { check_at },
        JobEvent::Rescheduled { check_at, attempt: Attempt::NotStarted },
        JobEvent::Rescheduled { check_at, attempt: Attempt::Repeatable },
        JobEvent::Prepared { input: Some(Digest::ZERO), approval: None },
        JobEvent::Prepared { input: None, approval: Some(approval_request()) },
        JobEvent::Proposed { steps: vec![proposal(0, 1)] },
        JobEvent::Woken,
        JobEvent::Decided { approved: true, by: DecidedBy::User },
        JobEvent::ApprovalLapsed,
        JobEvent::TextHeld(held_text()),
        JobEvent::TextDecided { passed: true, by: OperatorId::from_random([7; 16]) },
        JobEvent::TextDecided { passed: false, by: OperatorId::from_random([7; 16]) },
        JobEvent::TextLapsed,
        JobEvent::CancelRequested,
        JobEvent::Swept { sweep_at: Some(check_at) },
        JobEvent::Swept { sweep_at: None },
        JobEvent::Resolved(resolution()),
        JobEvent::JournalLost,
    ];
    for outcome in
        [StepOutcome::Succeeded, StepOutcome::Failed, StepOutcome::Refused, StepOutcome::NotRun, StepOutcome::Unknown]
    {
        let ends_as = if outcome == StepOutcome::Succeeded { JobState::Succeeded } else { JobState::Failed };
        events.push(JobEvent::StepEnded { outcome, error: None, result: None, ends_as });
    }
    events
}

#[test]
fn whatever_happens_to_a_job_that_is_over_its_answer_stays() {
    let later = NOW.plus(Duration::from_secs(3600));
    for state in JobState::ALL.into_iter().filter(|state| state.is_over()) {
        for resolved in [None, Some(resolution())] {
            let before = Job { resolution: resolved, ..job(state) };
            for event in events() {
                let Ok(after) = before.apply(event.clone(), later) else { continue };
                // Fields that the reconciler and the journal may write; a resolution only once.
                let same = Job {
                    rev: before.rev,
                    sweep_at: before.sweep_at,
                    sweeps: before.sweeps,
                    resolution: before.resolution.clone().filter(|_| before.resolution == after.resolution),
                    ..after.clone()
                };
                assert_eq!(same, before, "{state:?} {event:?}");
                let resolves = matches!(event, JobEvent::Resolved(_));
                assert!(state == JobState::Unknown && !(resolves && before.resolution.is_some()), "{event:?}");
            }
        }
    }
}

#[test]
fn every_change_has_a_revision_of_its_own() {
    for state in JobState::ALL {
        for event in events() {
            if let Ok(after) = job(state).apply(event.clone(), NOW) {
                assert_eq!(after.rev, 8, "{state:?} {event:?}");
            }
        }
    }
}

#[test]
fn a_call_runs_since_it_was_first_seen_running() {
    let lease = Lease { owner: "o".into(), expires_at: NOW };
    let suspended = |job: &Job, now: Timestamp| {
        job.apply(JobEvent::Suspended { check_at: now, intent: None, running: true, seen: None }, now).unwrap()
    };
    let first = suspended(&job(JobState::Running), NOW);
    let later = NOW.plus(Duration::from_secs(100));
    let second = suspended(&first.apply(JobEvent::Claimed { lease }, later).unwrap(), later);
    // Otherwise a tool that never ends and is polled often would never exceed its timeout.
    assert_eq!(second.steps[0].running_since, Some(NOW));
}

#[test]
fn a_job_is_claimable_when_it_is_due_and_no_lease_holds() {
    let due_in = |seconds, state| Job { check_at: Some(NOW.plus(Duration::from_secs(seconds))), ..job(state) };
    let held = |seconds| Job {
        lease: Some(Lease { owner: "o".into(), expires_at: NOW.plus(Duration::from_secs(seconds)) }),
        ..job(JobState::Running)
    };
    assert!(job(JobState::Queued).claimable(NOW));
    for state in [JobState::Waiting, JobState::Retrying] {
        assert!(due_in(0, state).claimable(NOW) && !due_in(1, state).claimable(NOW), "{state:?}");
    }
    assert!(held(0).claimable(NOW) && !held(1).claimable(NOW));
    // Times that were written by a clock that ran ahead.
    assert!(!held(120).claimable(NOW) && held(121).claimable(NOW));
    assert!(!due_in(120, JobState::Retrying).claimable(NOW) && due_in(121, JobState::Retrying).claimable(NOW));
    assert!(!due_in(3660, JobState::Waiting).claimable(NOW) && due_in(3661, JobState::Waiting).claimable(NOW));
    let ahead = |seconds| Job { updated_at: NOW.plus(Duration::from_secs(seconds)), ..due_in(70, JobState::Waiting) };
    let lease = Lease { owner: "o".into(), expires_at: NOW.plus(Duration::from_secs(35)) };
    assert!(!ahead(60).claimable(NOW) && ahead(61).claimable(NOW));
    assert!(ahead(61).apply(JobEvent::Claimed { lease }, NOW).is_ok());
    // A sweep changes `updated_at`, so it makes the check due.
    let swept = ahead(61).apply(JobEvent::Swept { sweep_at: None }, NOW).unwrap();
    assert!(swept.claimable(NOW));
}

#[test]
fn a_job_that_outlived_its_journal_ends_as_unknown_with_all_that_was_left_of_it() {
    let read = Step::new("r".into(), ToolEffect::Read);
    for state in JobState::ALL.into_iter().filter(|state| !state.is_over()) {
        let mut before = job(state);
        before.steps = vec![read.clone(), Step { intent: Some(intent()), ..Step::new("t".into(), ToolEffect::Write) }];
        before.steps[0].outcome = Some(StepOutcome::Succeeded);
        before.cursor = 1;
        assert!(before.may_still_act());
        let after = before.apply(JobEvent::JournalLost, NOW).unwrap();
        let outcomes: Vec<_> = after.steps.iter().map(|step| step.outcome).collect();
        assert_eq!(outcomes, [Some(StepOutcome::Succeeded), Some(StepOutcome::Unknown)]);
        assert_eq!((after.state, after.effect, after.sweep_at), (JobState::Unknown, Some(Effect::Unknown), None));
        assert!(!after.may_still_act());
    }
    let turn = Job { steps: vec![Step::turn("a".into(), None)], ..job(JobState::Queued) };
    assert!(turn.may_still_act(), "its agent may propose a write");
    assert_eq!(turn.apply(JobEvent::JournalLost, NOW).unwrap().effect, Some(Effect::Unknown));
    let reads = Job { steps: vec![read.clone(), read], ..job(JobState::Queued) };
    assert!(!reads.may_still_act(), "a read may be repeated");
}
