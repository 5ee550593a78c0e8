//! Jobs of several steps, and steps that are inserted for an agent's proposals.
#![allow(missing_docs, clippy::unwrap_used, reason = "in a test an unwrap is a failure")]

use std::time::Duration;

use domain::{
    audit::AuditHead,
    catalogue::ToolEffect,
    ids::{Approver, Digest, DigestKey, Timestamp, UserId},
    job::{
        Effect, Intent, Job, JobEvent, JobState, Lease, NewJob, ResultRef, STEPS_GROWN_AT_MOST, Seen, Start, Step,
        StepOutcome, Via,
        approval::{Approval, ApprovalCheck, DecidedBy, DecisionInput},
    },
};

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn job(steps: Vec<Step>) -> Job {
    let new = NewJob {
        user_id: UserId::from_random([1; 16]),
        request_id: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap(),
        steps,
        fingerprint: Digest::ZERO,
        audit: AuditHead::EMPTY,
        not_after: later(900),
        deadline: None,
        trace: None,
        start: Start::Queued,
    };
    Job::accepted(new, NOW)
}

fn write() -> Step {
    Step::new("pay".into(), ToolEffect::Write)
}

fn turn() -> Step {
    Step::turn("main".into(), None)
}

fn claimed(job: &Job) -> Job {
    let lease = Lease { owner: "me".into(), expires_at: later(35) };
    job.apply(JobEvent::Claimed { lease }, NOW).unwrap()
}

fn intended(job: &Job) -> Job {
    let intent = Intent { via: Via::Direct, recorded_at: NOW, sequence: 0, wake_up_token: None };
    claimed(job).apply(JobEvent::Intended(intent), NOW).unwrap()
}

fn ended(job: &Job, outcome: StepOutcome, ends_as: JobState) -> Job {
    let result = Some(ResultRef::Inline("1".into()));
    let error = (outcome != StepOutcome::Succeeded).then(|| "why".to_owned());
    job.apply(JobEvent::StepEnded { outcome, error, result, ends_as }, NOW).unwrap()
}

/// A turn whose first round has ended with these many proposals.
fn proposed(proposals: u32) -> Job {
    let round = claimed(&job(vec![turn(), Step { of: 1, ..write() }]));
    let first = round.step().unwrap().clone();
    let calls = (1..=proposals).map(|n| first.followed_by(Step { derived: true, ..write() }, n));
    let steps = calls.chain([first.followed_by(turn(), proposals + 1)]).collect();
    round.apply(JobEvent::Proposed { steps }, NOW).unwrap()
}

#[test]
fn what_a_round_proposes_comes_next_and_what_was_submitted_after_it() {
    let job = proposed(2);
    assert_eq!((job.state, job.cursor, job.steps.len()), (JobState::Queued, 1, 5));
    let places: Vec<(usize, u32, bool)> =
        job.steps.iter().map(|step| (step.of, step.round, step.is_proposed())).collect();
    assert_eq!(places, [(0, 0, false), (0, 1, true), (0, 2, true), (0, 3, false), (1, 0, false)]);
    assert_eq!(job.schema_version(), 2);
}

#[test]
fn every_call_of_a_job_has_a_key_of_its_own() {
    let job = proposed(3);
    let keys: std::collections::BTreeSet<String> =
        (0..job.steps.len()).map(|cursor| Job { cursor, ..job.clone() }.call_key().to_string()).collect();
    assert_eq!(keys.len(), job.steps.len());
}

#[test]
fn a_failed_or_refused_proposal_is_passed_to_the_agent_and_an_unknown_one_ends_the_job() {
    let out = intended(&proposed(2));
    for outcome in [StepOutcome::Succeeded, StepOutcome::Failed, StepOutcome::Refused] {
        let next = ended(&out, outcome, JobState::Failed);
        assert_eq!((next.state, next.cursor), (JobState::Queued, 2), "{outcome:?}");
        let step = &next.steps[1];
        assert_eq!((step.outcome, &step.intent, step.result.is_some()), (Some(outcome), &None, true));
        assert_eq!((next.error, next.result), (None, None), "they are the step's");
    }
    let unknown = ended(&out, StepOutcome::Unknown, JobState::Unknown);
    assert_eq!((unknown.state, unknown.effect), (JobState::Unknown, Some(Effect::Unknown)));
    let expired = ended(&out, StepOutcome::NotRun, JobState::Expired);
    assert_eq!((expired.state, expired.effect), (JobState::Expired, Some(Effect::NotRun)));
}

#[test]
fn a_submitted_step_that_fails_stops_the_job_and_says_what_was_done() {
    let first = ended(&intended(&job(vec![write(), write(), write()])), StepOutcome::Succeeded, JobState::Succeeded);
    let stopped = ended(&intended(&first), StepOutcome::Failed, JobState::Failed);
    let outcomes: Vec<_> = stopped.steps.iter().map(|step| step.outcome).collect();
    assert_eq!(outcomes, [Some(StepOutcome::Succeeded), Some(StepOutcome::Failed), None]);
    assert_eq!((stopped.state, stopped.effect, stopped.cursor), (JobState::Failed, Some(Effect::Ran), 1));
}

#[test]
fn proposals_that_were_refused_at_once_are_passed_by() {
    let round = claimed(&job(vec![turn()]));
    let first = round.step().unwrap().clone();
    let refused = Step { outcome: Some(StepOutcome::Refused), error: Some("tool_unknown".into()), ..write() };
    let steps = vec![first.followed_by(refused, 1), first.followed_by(turn(), 2)];
    let next = round.apply(JobEvent::Proposed { steps }, NOW).unwrap();
    assert_eq!((next.cursor, next.steps[2].round, next.step().unwrap().round), (2, 2, 2));
}

#[test]
fn steps_that_do_not_follow_their_turn_or_are_too_many_are_refused() {
    let round = claimed(&job(vec![turn()]));
    let first = round.step().unwrap().clone();
    let call = |n| first.followed_by(write(), n);
    let too_many = (1..).take(STEPS_GROWN_AT_MOST).map(call).collect();
    for steps in [vec![], vec![call(2)], vec![call(1), call(1)], vec![Step { of: 3, ..call(1) }], too_many] {
        assert!(round.apply(JobEvent::Proposed { steps }, NOW).is_err());
    }
    let tool = claimed(&job(vec![write()]));
    assert!(tool.apply(JobEvent::Proposed { steps: vec![call(1)] }, NOW).is_err(), "only a turn proposes");
}

#[test]
fn an_approval_request_at_the_cursor_is_no_attempt_and_is_made_once() {
    let asked = |job: &Job| {
        let approval = Approval::requested(Approver::User, Digest::ZERO, NOW, later(600));
        job.apply(JobEvent::Prepared { input: None, approval: Some(approval) }, NOW)
    };
    let waits = asked(&claimed(&proposed(1))).unwrap();
    assert_eq!((waits.state, waits.step().unwrap().attempts, &waits.lease), (JobState::AwaitingApproval, 0, &None));
    assert_eq!(waits.sweep_at, Some(later(660)));
    let yes = waits.apply(JobEvent::Decided { approved: true, by: DecidedBy::User }, NOW).unwrap();
    let again = claimed(&yes);
    assert_eq!((yes.state, again.step().unwrap().attempts), (JobState::Queued, 1));
    assert!(asked(&again).is_err(), "never asked twice");
    let no = waits.apply(JobEvent::Decided { approved: false, by: DecidedBy::User }, NOW).unwrap();
    assert_eq!((no.state, no.cursor, no.steps[1].outcome), (JobState::Queued, 2, Some(StepOutcome::Refused)));
    assert_eq!(no.steps[1].error.as_deref(), Some("approval_rejected"), "the agent is told");
    let late = waits.apply(JobEvent::ApprovalLapsed, later(600)).unwrap();
    assert_eq!(late.state, JobState::Expired);
}

#[test]
fn an_approval_of_one_round_does_not_hold_in_the_next_and_repeating_it_changes_nothing() {
    let key = DigestKey::from_random([1; 32]);
    let digest = |n: u8| key.digest_bytes(&[n]);
    let ask = |job: &Job, n: u8| {
        let approval = Approval::requested(Approver::User, digest(n), NOW, later(600));
        claimed(job).apply(JobEvent::Prepared { input: None, approval: Some(approval) }, NOW).unwrap()
    };
    let say = |n: u8, approved| DecisionInput { approved, digest: digest(n), by: DecidedBy::User };
    let first = ask(&proposed(2), 1);
    let yes = first.apply(JobEvent::Decided { approved: true, by: DecidedBy::User }, NOW).unwrap();
    let second = ask(&ended(&intended(&yes), StepOutcome::Succeeded, JobState::Succeeded), 2);
    assert_eq!(second.approval_check(&say(2, true), NOW), ApprovalCheck::Open);
    assert_eq!(second.approval_check(&say(1, true), NOW), ApprovalCheck::AsDecided);
    assert_eq!(second.approval_check(&say(1, false), NOW), ApprovalCheck::DecidedOtherwise);
    assert_eq!(second.approval_check(&say(3, true), NOW), ApprovalCheck::OtherDigest);
}

#[test]
fn a_cancelled_job_requests_no_approval() {
    let mut running = claimed(&job(vec![write()]));
    running.cancel_requested = true;
    let approval = Approval::requested(Approver::User, Digest::ZERO, NOW, later(600));
    let over = running.apply(JobEvent::Prepared { input: None, approval: Some(approval) }, NOW).unwrap();
    assert_eq!(
        (over.state, over.effect, over.step().unwrap().approval.as_ref()),
        (JobState::Cancelled, Some(Effect::NotRun), None)
    );
}

#[test]
fn what_is_sent_is_written_once() {
    let input = |job: &Job, n: u8| {
        let digest = DigestKey::from_random([1; 32]).digest_bytes(&[n]);
        job.apply(JobEvent::Prepared { input: Some(digest), approval: None }, NOW)
    };
    let once = input(&claimed(&job(vec![write()])), 1).unwrap();
    assert_eq!(once.state, JobState::Running);
    assert!(input(&once, 2).is_err());
    assert!(input(&intended(&job(vec![write()])), 1).is_err(), "not after it was sent");
}

#[test]
fn a_steps_deadline_begins_with_its_first_claim_and_holds_for_all_its_rounds() {
    let limited = job(vec![Step { deadline_s: Some(60), ..turn() }]);
    assert_eq!(limited.deadline_at(), None, "it has not begun");
    let round = claimed(&limited);
    assert_eq!(round.deadline_at(), Some(later(60)));
    let first = round.step().unwrap().clone();
    let steps = vec![first.followed_by(write(), 1), first.followed_by(turn(), 2)];
    let call = round.apply(JobEvent::Proposed { steps }, later(50)).unwrap();
    assert_eq!(call.deadline_at(), Some(later(60)));
    let sooner = Job { deadline: Some(later(55)), ..call };
    assert_eq!(sooner.deadline_at(), Some(later(55)));
}

#[test]
fn a_cancel_between_steps_runs_no_further_one() {
    let mut out = intended(&proposed(1));
    out.cancel_requested = true;
    let stopped = ended(&out, StepOutcome::Succeeded, JobState::Succeeded);
    assert_eq!(
        (stopped.state, stopped.effect, stopped.error.as_deref()),
        (JobState::Cancelled, Some(Effect::Ran), Some("cancelled"))
    );
    assert_eq!(stopped.step().unwrap().outcome, Some(StepOutcome::NotRun));
}

#[test]
fn progress_is_replaced_and_goes_with_its_round() {
    let seen = |text: &str| Some(Seen { progress: Vec::new(), partial: Some(text.to_owned()) });
    let park = |job: &Job, seen| {
        job.apply(JobEvent::Suspended { check_at: NOW, intent: None, running: true, seen }, NOW).unwrap()
    };
    let suspended = park(&claimed(&job(vec![turn()])), seen("a"));
    let suspended = park(&claimed(&suspended), None);
    assert_eq!(suspended.step().unwrap().partial.as_deref(), Some("a"));
    let round = claimed(&suspended);
    let first = round.step().unwrap().clone();
    let next = round.apply(JobEvent::Proposed { steps: vec![first.followed_by(turn(), 1)] }, NOW).unwrap();
    assert_eq!(next.steps[0].partial, None);
}

#[test]
fn what_waits_in_line_is_due_at_once_when_it_is_woken() {
    let waits = claimed(&job(vec![turn()]));
    let back = JobEvent::Rescheduled { check_at: later(15), attempt: domain::job::Attempt::NotStarted };
    let waits = waits.apply(back, NOW).unwrap();
    assert!(!waits.claimable(later(1)));
    assert!(waits.apply(JobEvent::Woken, later(1)).unwrap().claimable(later(1)));
}
