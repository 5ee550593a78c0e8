//! Every event applied in every state.
#![allow(missing_docs, clippy::unwrap_used, reason = "in a test an unwrap is a failure")]

use std::time::Duration;

use domain::{
    audit::AuditHead,
    catalogue::ToolEffect,
    ids::{Approver, Digest, OperatorId, Timestamp, UserId},
    job::{
        Attempt, Effect, Intent, Job, JobEvent, JobState, JournalId, Lease, NewJob, Resolution, ResolvedBy, Start,
        Step, StepOutcome, Via,
        approval::{Approval, ApprovalCheck, DecidedBy, DecisionInput},
    },
};

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn intent() -> Intent {
    Intent { via: Via::Direct, recorded_at: NOW, sequence: 0, wake_up_token: None }
}

fn lease() -> Lease {
    Lease { owner: "me".into(), expires_at: later(35) }
}

fn job(state: JobState) -> Job {
    let over = state.is_over();
    let new = NewJob {
        user_id: UserId::from_random([1; 16]),
        request_id: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap(),
        steps: vec![Step::new("t".into(), ToolEffect::Write)],
        fingerprint: Digest::ZERO,
        audit: AuditHead::EMPTY,
        not_after: later(900),
        deadline: None,
        trace: None,
        start: Start::Queued,
    };
    Job {
        state,
        rev: 7,
        check_at: matches!(state, JobState::Waiting | JobState::Retrying).then_some(NOW),
        // Only a running job whose lease has expired can be claimed.
        lease: (state == JobState::Running).then(|| Lease { owner: "other".into(), expires_at: NOW }),
        effect: (over && state != JobState::Succeeded).then_some(Effect::NotRun),
        sweep_at: (!over || state == JobState::Unknown).then(|| later(60)),
        ..Job::accepted(new, NOW)
    }
}

/// A job whose approval request expires ten seconds from now.
fn asked(approver: Approver) -> Job {
    let mut job = job(JobState::AwaitingApproval);
    job.steps[0].approval = Some(Approval::requested(approver, Digest::ZERO, NOW, later(10)));
    job
}

fn decided(approved: bool, by: DecidedBy) -> JobEvent {
    JobEvent::Decided { approved, by }
}

fn ended(outcome: StepOutcome, ends_as: JobState) -> JobEvent {
    JobEvent::StepEnded { outcome, error: Some("why".into()), result: None, ends_as }
}

#[test]
fn every_state_meets_every_event() {
    use JobState::{
        AwaitingApproval, Cancelled, Expired, Explained, Failed, Queued, Refused, Retrying, Running, Succeeded,
        Unknown, Waiting,
    };
    let resolution = Resolution { by: ResolvedBy::Journal, happened: true, at: NOW, note: None };
    let events: [(&str, JobEvent); 16] = [
        ("claimed", JobEvent::Claimed { lease: lease() }),
        ("intended", JobEvent::Intended(intent())),
        ("suspended", JobEvent::Suspended { check_at: later(5), intent: None, running: true, seen: None }),
        ("held", JobEvent::ReplyHeld { check_at: later(5) }),
        ("not started", JobEvent::Rescheduled { check_at: later(5), attempt: Attempt::NotStarted }),
        ("repeatable", JobEvent::Rescheduled { check_at: later(5), attempt: Attempt::Repeatable }),
        ("succeeded", ended(StepOutcome::Succeeded, Succeeded)),
        ("failed", ended(StepOutcome::Failed, Failed)),
        ("unknown", ended(StepOutcome::Unknown, Unknown)),
        ("cancel", JobEvent::CancelRequested),
        ("swept", JobEvent::Swept { sweep_at: Some(later(99)) }),
        ("resolved", JobEvent::Resolved(resolution)),
        ("approved", decided(true, DecidedBy::User)),
        ("rejected", decided(false, DecidedBy::User)),
        ("lapsed", JobEvent::ApprovalLapsed),
        ("erased", JobEvent::Erased),
    ];
    // The state after each event in each state; none: the event is not valid, and nothing changes.
    let leads_to = |state: JobState, event: &str| match (state, event) {
        (Queued | Waiting | Retrying | Running, "claimed") => Some(Running),
        (Running, "intended") => Some(Running),
        (Running, "suspended" | "held") => Some(Waiting),
        (Running, "not started" | "repeatable") => Some(Retrying),
        (Running, "succeeded") => Some(Succeeded),
        (Running, "failed") => Some(Failed),
        (Running, "unknown") => Some(Unknown),
        (Queued | Retrying | AwaitingApproval, "cancel") => Some(Cancelled),
        (AwaitingApproval, "approved") => Some(Queued),
        (AwaitingApproval, "rejected") => Some(Refused),
        (Running | Waiting, "cancel") => Some(state),
        (Queued | Running | Waiting | Retrying | AwaitingApproval | Unknown, "swept") => Some(state),
        (Unknown, "resolved") => Some(Unknown),
        (Succeeded | Failed | Refused | Explained | Cancelled | Expired | Unknown, "erased") => Some(state),
        (Queued | Waiting | Retrying | Running | AwaitingApproval, _) => None,
        (Succeeded | Failed | Refused | Explained | Cancelled | Expired | Unknown, _) => None,
    };
    for state in JobState::ALL {
        for (name, event) in &events {
            let mut before = if state == AwaitingApproval { asked(Approver::User) } else { job(state) };
            if matches!(state, Running | Unknown) {
                let id = JournalId { journal: "j".into(), boot: "b".into() };
                before.steps[0].intent = Some(Intent { via: Via::Journal(id), ..intent() });
            }
            let after = before.apply(event.clone(), NOW);
            assert_eq!(after.as_ref().ok().map(|job| job.state), leads_to(state, name), "{state:?} met by {name}");
            let Ok(after) = after else { continue };
            assert_eq!(after.rev, before.rev + 1, "{state:?} met by {name}: every write bumps the fence");
            assert_eq!(after.lease.is_some(), after.state == Running, "{state:?} met by {name}");
            let in_index = !after.state.is_over() || (after.state == Unknown && !["resolved", "erased"].contains(name));
            assert_eq!(after.sweep_at.is_some(), in_index, "{state:?} met by {name}: open jobs are in the index");
            let told = after.state.is_over() && after.state != Succeeded;
            assert_eq!(after.effect.is_some(), told, "{state:?} met by {name}");
        }
    }
}

#[test]
fn a_terminal_status_never_changes_and_neither_does_its_time() {
    for state in JobState::ALL.into_iter().filter(|state| state.is_over()) {
        let before = job(state);
        for event in [
            JobEvent::Swept { sweep_at: None },
            JobEvent::Resolved(Resolution { by: ResolvedBy::Journal, happened: false, at: later(5), note: None }),
        ] {
            let Ok(after) = before.apply(event, later(50)) else { continue };
            assert_eq!((after.state, after.effect, after.updated_at), (before.state, before.effect, before.updated_at));
        }
    }
    let resolution = Resolution { by: ResolvedBy::Journal, happened: true, at: NOW, note: None };
    let resolved = job(JobState::Unknown).apply(JobEvent::Resolved(resolution.clone()), NOW).unwrap();
    assert!(resolved.apply(JobEvent::Resolved(resolution), NOW).is_err(), "written once");
}

#[test]
fn nothing_is_claimed_before_its_time_or_under_a_live_lease() {
    for (state, due) in [(JobState::Waiting, false), (JobState::Retrying, false), (JobState::Queued, true)] {
        let mut job = job(state);
        job.check_at = job.check_at.map(|_| later(1));
        assert_eq!(job.claimable(NOW), due, "{state:?}");
        assert!(job.claimable(later(1)), "{state:?}");
    }
    let mut running = job(JobState::Running);
    running.lease = Some(lease());
    assert!(!running.claimable(later(34)));
    assert!(running.claimable(later(35)));
}

#[test]
fn attempts_count_dispatches_and_crashes_before_one_and_nothing_else() {
    let claim = |job: &Job| job.apply(JobEvent::Claimed { lease: lease() }, later(40)).unwrap();
    let back = |job: &Job, attempt| job.apply(JobEvent::Rescheduled { check_at: NOW, attempt }, NOW).unwrap();
    let first = claim(&job(JobState::Queued));
    assert_eq!(first.steps[0].attempts, 1);
    let suspended =
        first.apply(JobEvent::Suspended { check_at: NOW, intent: None, running: true, seen: None }, NOW).unwrap();
    assert_eq!(claim(&suspended).steps[0].attempts, 1, "a return from waiting");
    let not_started = back(&first, Attempt::NotStarted);
    assert_eq!((not_started.steps[0].attempts, not_started.steps[0].not_started), (0, 1));
    let again = claim(&back(&first, Attempt::Repeatable));
    assert_eq!((again.steps[0].attempts, again.steps[0].n), (2, 1));
    assert_eq!(claim(&first).steps[0].attempts, 2, "a crash: the lease is over");
}

#[test]
fn an_intent_stays_until_it_is_proven_that_nothing_was_sent_or_the_call_may_be_repeated() {
    let running = job(JobState::Queued).apply(JobEvent::Claimed { lease: lease() }, NOW).unwrap();
    let intended = running.apply(JobEvent::Intended(intent()), NOW).unwrap();
    let suspended =
        intended.apply(JobEvent::Suspended { check_at: NOW, intent: None, running: false, seen: None }, NOW).unwrap();
    assert_eq!(suspended.steps[0].intent, Some(intent()));
    let cancelled = suspended.apply(JobEvent::CancelRequested, NOW).unwrap();
    assert_eq!((cancelled.state, cancelled.cancel_requested), (JobState::Waiting, true), "it may be out");
    let back = intended.apply(JobEvent::Rescheduled { check_at: NOW, attempt: Attempt::NotStarted }, NOW).unwrap();
    assert_eq!((&back.steps[0].intent, back.steps[0].n), (&None, 0));
    assert_eq!(back.apply(JobEvent::CancelRequested, NOW).unwrap().state, JobState::Cancelled);
}

#[test]
fn steps_run_in_order_and_the_cursor_moves_with_the_outcome() {
    let mut two = job(JobState::Running);
    two.steps.push(Step::new("second".into(), ToolEffect::Write));
    let after_first = two.apply(ended(StepOutcome::Succeeded, JobState::Succeeded), NOW).unwrap();
    assert_eq!((after_first.state, after_first.cursor, &after_first.lease), (JobState::Queued, 1, &None));
    let claimed = JobEvent::Claimed { lease: Lease { owner: "w".into(), expires_at: later(30) } };
    let after_first = after_first.apply(claimed, NOW).unwrap();
    let done = after_first.apply(ended(StepOutcome::Succeeded, JobState::Succeeded), NOW).unwrap();
    assert_eq!((done.state, done.cursor, done.effect), (JobState::Succeeded, 2, None));
    let stopped = after_first.apply(ended(StepOutcome::NotRun, JobState::Expired), NOW).unwrap();
    assert_eq!((stopped.state, stopped.effect), (JobState::Expired, Some(Effect::Ran)), "the first step did run");
    let mut cancelling = two;
    cancelling.cancel_requested = true;
    let stopped = cancelling.apply(ended(StepOutcome::Succeeded, JobState::Succeeded), NOW).unwrap();
    assert_eq!((stopped.state, stopped.effect), (JobState::Cancelled, Some(Effect::Ran)), "between two steps");
}

#[test]
fn a_long_wait_moves_the_reconciler_and_a_short_one_does_not() {
    let running = job(JobState::Running);
    let park = |seconds| {
        let event = JobEvent::Suspended { check_at: later(seconds), intent: None, running: true, seen: None };
        running.apply(event, NOW).unwrap().sweep_at
    };
    assert_eq!(park(0), running.sweep_at);
    assert_eq!(park(3600), Some(later(3660)));
}

#[test]
fn an_unknown_job_is_looked_up_again_only_where_a_journal_can_answer() {
    let mut direct = job(JobState::Running);
    direct.steps[0].intent = Some(intent());
    let over = direct.apply(ended(StepOutcome::Unknown, JobState::Unknown), NOW).unwrap();
    assert_eq!((over.state, over.sweep_at), (JobState::Unknown, None));
}

#[test]
fn a_read_has_no_effect_on_the_world() {
    let mut read = job(JobState::Running);
    read.steps[0].effect = ToolEffect::Read;
    let failed = read.apply(ended(StepOutcome::Failed, JobState::Failed), NOW).unwrap();
    assert_eq!(failed.effect, Some(Effect::NotRun));
}

#[test]
fn an_approval_request_is_decided_once_by_the_right_person_before_it_expires() {
    let operator = DecidedBy::Operator(OperatorId::from_random([1; 16]));
    for (approver, by, at, fits) in [
        (Approver::User, DecidedBy::User, later(9), true),
        (Approver::User, DecidedBy::User, later(10), false),
        (Approver::User, operator, later(9), false),
        (Approver::Operator, operator, later(9), true),
        (Approver::Operator, DecidedBy::User, later(9), false),
        (Approver::Operator, operator, later(10), false),
    ] {
        for approved in [true, false] {
            let answered = asked(approver).apply(decided(approved, by), at);
            assert_eq!(answered.is_ok(), fits, "{approver:?} {by:?} {at}");
            let Ok(answered) = answered else { continue };
            let decision = answered.steps[0].approval.as_ref().unwrap().decision.clone().unwrap();
            assert_eq!((decision.approved, decision.by, decision.at), (approved, by, at));
            assert!(answered.apply(decided(!approved, by), at).is_err(), "a second answer");
        }
    }
}

#[test]
fn an_approval_request_expires_at_its_time_and_not_before() {
    let waiting = asked(Approver::Operator);
    assert!(waiting.apply(JobEvent::ApprovalLapsed, later(9)).is_err());
    let lapsed = waiting.apply(JobEvent::ApprovalLapsed, later(10)).unwrap();
    assert_eq!((lapsed.state, lapsed.effect), (JobState::Expired, Some(Effect::NotRun)));
    assert_eq!(lapsed.error.as_deref(), Some("approval_expired"));
    assert_eq!(waiting.due_at(), later(10), "nothing is due before");
    let approved = asked(Approver::User).apply(decided(true, DecidedBy::User), later(7)).unwrap();
    assert_eq!(approved.due_at(), later(7), "the time that a person took is no delay of the service");
}

#[test]
fn a_decision_is_stored_at_the_step_of_its_approval_request() {
    let operator = DecidedBy::Operator(OperatorId::from_random([1; 16]));
    let yes = DecisionInput { approved: true, digest: Digest::ZERO, by: DecidedBy::User };
    let no = DecisionInput { approved: false, ..yes };
    let other = Digest::sha256(b"another call");
    let waiting = asked(Approver::User);
    let approved = waiting.apply(decided(true, DecidedBy::User), later(5)).unwrap();
    let rejected = waiting.apply(decided(false, DecidedBy::User), later(5)).unwrap();
    let cancelled = waiting.apply(JobEvent::CancelRequested, later(5)).unwrap();
    let lapsed = waiting.apply(JobEvent::ApprovalLapsed, later(10)).unwrap();
    let never = job(JobState::Queued);
    for (story, job, input, at, stands) in [
        ("in time", &waiting, yes, later(9), ApprovalCheck::Open),
        ("in time", &waiting, no, later(9), ApprovalCheck::Open),
        ("at its end", &waiting, yes, later(10), ApprovalCheck::Lapsed),
        ("another call", &waiting, DecisionInput { digest: other, ..yes }, later(9), ApprovalCheck::OtherDigest),
        ("another call, late", &waiting, DecisionInput { digest: other, ..yes }, later(99), ApprovalCheck::OtherDigest),
        ("another person", &waiting, DecisionInput { by: operator, ..yes }, later(9), ApprovalCheck::OtherApprover),
        ("again", &approved, yes, later(99), ApprovalCheck::AsDecided),
        ("otherwise", &approved, no, later(9), ApprovalCheck::DecidedOtherwise),
        (
            "again, another call",
            &approved,
            DecisionInput { digest: other, ..yes },
            later(9),
            ApprovalCheck::OtherDigest,
        ),
        (
            "again, another person",
            &approved,
            DecisionInput { by: operator, ..yes },
            later(9),
            ApprovalCheck::OtherApprover,
        ),
        ("again", &rejected, no, later(99), ApprovalCheck::AsDecided),
        ("otherwise", &rejected, yes, later(9), ApprovalCheck::DecidedOtherwise),
        ("after a cancel", &cancelled, yes, later(9), ApprovalCheck::NotAsked),
        ("after a cancel", &cancelled, yes, later(99), ApprovalCheck::NotAsked),
        ("after the expiry", &lapsed, no, later(99), ApprovalCheck::Lapsed),
        ("nothing was asked", &never, yes, later(9), ApprovalCheck::NotAsked),
    ] {
        assert_eq!(job.approval_check(&input, at), stands, "{story}");
        let decides = job.apply(decided(input.approved, input.by), at).is_ok();
        // A decision is valid only from the approver to whom this call was shown.
        assert!(stands == ApprovalCheck::Open || !decides || input.digest != Digest::ZERO, "{story}");
        assert!(stands != ApprovalCheck::Open || decides, "{story}");
    }
}
