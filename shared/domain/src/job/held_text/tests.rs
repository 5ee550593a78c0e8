use std::borrow::Cow;

use serde_json::{Value, json};

use super::*;
use crate::{
    audit::AuditHead,
    catalogue::ToolEffect,
    content_safety::{ContentDecision, Label, Suggestion},
    ids::{Approver, UserId},
    job::{Intent, JobEvent, Lease, NewJob, Start, StepKind, Via, approval::Approval},
};

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn running(step: Step) -> Job {
    let new = NewJob {
        user_id: UserId::from_random([1; 16]),
        request_id: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap(),
        steps: vec![step],
        fingerprint: Digest::ZERO,
        audit: AuditHead::EMPTY,
        not_after: later(900),
        deadline: None,
        trace: None,
        start: Start::Queued,
    };
    let lease = Lease { owner: "o".into(), expires_at: later(30) };
    Job::accepted(new, NOW).apply(JobEvent::Claimed { lease }, NOW).unwrap()
}

fn write() -> Job {
    running(Step::new("t".into(), ToolEffect::Write))
}

fn held(what: HeldKind) -> HeldText {
    let finding =
        ContentFinding { decision: ContentDecision::Hold, suggestion: Suggestion::Review, label: Label::Vulgar };
    HeldText { what, digest: Digest::ZERO, key: None, finding, asked_at: NOW, expires_at: later(600), decision: None }
}

fn decided(passed: bool) -> JobEvent {
    JobEvent::TextDecided { passed, by: OperatorId::from_random([7; 16]) }
}

fn waiting() -> Job {
    write().apply(JobEvent::TextHeld(held(HeldKind::Arguments)), NOW).unwrap()
}

/// A turn that has replied, with its reply held.
fn replied() -> Job {
    let turn = running(Step::turn("a".into(), None));
    assert_eq!(turn.steps[0].kind, StepKind::Turn);
    let intent = Intent { via: Via::Direct, recorded_at: NOW, sequence: 0, wake_up_token: None };
    let sent = turn.apply(JobEvent::Intended(intent), NOW).unwrap();
    sent.apply(JobEvent::TextHeld(held(HeldKind::Reply)), NOW).unwrap()
}

#[test]
fn a_text_that_is_to_be_sent_waits_and_a_decision_lets_it_run_or_ends_it() {
    let job = waiting();
    assert_eq!((job.state, job.lapses_at(), job.schema_version()), (JobState::AwaitingApproval, Some(later(600)), 4));
    assert_eq!((job.steps[0].attempts, job.sweep_at, &job.lease), (0, Some(later(660)), &None));
    assert!(!job.claimable(later(700)), "only a decision or its expiry ends the wait");
    assert_eq!(job.held_text_check(true, Digest::ZERO, NOW), HeldTextCheck::Open);

    let passed = job.apply(decided(true), later(599)).unwrap();
    assert_eq!((passed.state, passed.free_to_run_at()), (JobState::Queued, later(599)));
    assert_eq!(passed.held_text_check(true, Digest::ZERO, later(700)), HeldTextCheck::AsDecided);
    assert_eq!(passed.held_text_check(false, Digest::ZERO, later(700)), HeldTextCheck::DecidedOtherwise);
    assert!(passed.apply(decided(false), later(599)).is_err(), "decided twice");

    let refused = job.apply(decided(false), NOW).unwrap();
    assert_eq!((refused.state, refused.error.as_deref()), (JobState::Refused, Some("content_refused")));
    assert_eq!(refused.schema_version(), 1, "it waits for nothing, and an earlier version may show it");

    assert_eq!(job.held_text_check(true, Digest::ZERO, later(600)), HeldTextCheck::Lapsed);
    assert!(job.apply(decided(true), later(600)).is_err() && job.apply(JobEvent::TextLapsed, later(599)).is_err());
    assert!(job.apply(JobEvent::ApprovalLapsed, later(700)).is_err(), "no approval was asked for");
    let lapsed = job.apply(JobEvent::TextLapsed, later(600)).unwrap();
    assert_eq!((lapsed.state, lapsed.error.as_deref()), (JobState::Refused, Some("content_undecided")));
    assert_eq!(lapsed.held_text_check(true, Digest::ZERO, later(601)), HeldTextCheck::Lapsed);
}

#[test]
fn a_text_is_held_once_for_each_kind_and_only_before_or_after_its_call() {
    let passed = waiting().apply(decided(true), NOW).unwrap();
    let lease = Lease { owner: "p".into(), expires_at: later(60) };
    let again = passed.apply(JobEvent::Claimed { lease }, NOW).unwrap();
    assert!(again.apply(JobEvent::TextHeld(held(HeldKind::Arguments)), NOW).is_err(), "held twice");
    assert!(write().apply(JobEvent::TextHeld(held(HeldKind::Reply)), NOW).is_err(), "no call is out");
    let intent = Intent { via: Via::Direct, recorded_at: NOW, sequence: 0, wake_up_token: None };
    let sent = write().apply(JobEvent::Intended(intent), NOW).unwrap();
    assert!(sent.apply(JobEvent::TextHeld(held(HeldKind::Message)), NOW).is_err(), "the call is out");
    // A cancel since the claim leaves nothing to decide.
    let cancelled = write().apply(JobEvent::CancelRequested, NOW).unwrap();
    let over = cancelled.apply(JobEvent::TextHeld(held(HeldKind::Arguments)), NOW).unwrap();
    assert_eq!((over.state, over.steps[0].held.is_none()), (JobState::Cancelled, true));
    // A cancel while it waits ends it at once.
    let over = waiting().apply(JobEvent::CancelRequested, NOW).unwrap();
    assert_eq!((over.state, over.pending_text()), (JobState::Cancelled, None));
    assert_eq!(over.held_text_check(true, Digest::ZERO, NOW), HeldTextCheck::NotHeld);
}

#[test]
fn a_refused_proposal_does_not_end_the_job() {
    let mut step = Step::new("t".into(), ToolEffect::Write);
    step.round = 1;
    let mut job = running(step);
    job.steps.push(Step { round: 2, ..Step::turn("a".into(), None) });
    let job = job.apply(JobEvent::TextHeld(held(HeldKind::Arguments)), NOW).unwrap();
    for (event, at, code) in
        [(decided(false), NOW, "content_refused"), (JobEvent::TextLapsed, later(600), "content_undecided")]
    {
        let after = job.apply(event, at).unwrap();
        assert_eq!((after.state, after.cursor), (JobState::Queued, 1));
        assert_eq!((after.steps[0].outcome, after.steps[0].error.as_deref()), (Some(StepOutcome::Refused), Some(code)));
    }
}

#[test]
fn a_held_reply_leaves_the_job_waiting_for_its_worker() {
    let job = replied();
    assert_eq!((job.state, job.check_at, job.lapses_at()), (JobState::Waiting, Some(later(600)), None));
    assert!(job.steps[0].reply_held && job.pending_text().is_some());
    for passed in [true, false] {
        let after = job.apply(decided(passed), later(60)).unwrap();
        assert_eq!((after.state, after.check_at), (JobState::Waiting, Some(later(60))));
        assert!(after.claimable(later(60)) && after.pending_text().is_none());
    }
    assert!(job.apply(JobEvent::TextLapsed, later(600)).is_err(), "its worker ends the round");
    // The end that a worker writes would win over a decision that is made while it looks.
    let lease = Lease { owner: "p".into(), expires_at: later(700) };
    let looking = job.apply(JobEvent::Claimed { lease }, later(600)).unwrap();
    assert_eq!(looking.held_text_check(true, Digest::ZERO, later(599)), HeldTextCheck::Busy);
    assert!(looking.apply(decided(true), later(599)).is_err());
}

#[test]
fn a_repeated_decision_about_an_earlier_text_of_the_step_finds_it() {
    let other = Digest::sha256(b"the reply");
    let message =
        running(Step::turn("a".into(), None)).apply(JobEvent::TextHeld(held(HeldKind::Message)), NOW).unwrap();
    let passed = message.apply(decided(true), NOW).unwrap();
    let lease = Lease { owner: "p".into(), expires_at: later(60) };
    let intent = Intent { via: Via::Direct, recorded_at: NOW, sequence: 0, wake_up_token: None };
    let sent = passed.apply(JobEvent::Claimed { lease }, NOW).unwrap().apply(JobEvent::Intended(intent), NOW).unwrap();
    let reply = HeldText { digest: other, ..held(HeldKind::Reply) };
    let job = sent.apply(JobEvent::TextHeld(reply), NOW).unwrap();
    assert_eq!(job.held_text_check(true, other, NOW), HeldTextCheck::Open);
    let over = job.apply(decided(false), NOW).unwrap();
    for job in [&job, &over] {
        assert_eq!(job.held_text_check(true, Digest::ZERO, NOW), HeldTextCheck::AsDecided);
        assert_eq!(job.held_text_check(false, Digest::ZERO, NOW), HeldTextCheck::DecidedOtherwise);
        assert_eq!(job.held_text_check(true, Digest::sha256(b"no text of it"), NOW), HeldTextCheck::OtherDigest);
    }
    assert_eq!(over.held_text_check(false, other, NOW), HeldTextCheck::AsDecided);
    let stored: Job = serde_json::from_value(serde_json::to_value(&over).unwrap()).unwrap();
    assert_eq!(stored, over);
    let mut erased = over;
    erased.erase();
    assert!(erased.steps[0].decided_texts.is_empty() && erased.steps[0].held.is_none());
}

#[test]
fn a_pending_text_is_not_taken_for_an_approval_request() {
    let mut job = write();
    job.steps[0].approval = Some(Approval::requested(Approver::Operator, Digest::ZERO, NOW, later(300)));
    job.steps[0].approval.as_mut().unwrap().decision = None;
    let job = job.apply(JobEvent::TextHeld(held(HeldKind::Arguments)), NOW).unwrap();
    assert_eq!(job.lapses_at(), Some(later(600)));
    assert!(job.apply(JobEvent::ApprovalLapsed, later(900)).is_err());
}

#[test]
fn every_part_of_a_text_changes_its_digest() {
    let key = DigestKey::from_random([3; 32]);
    let (job, arguments, other) = (write(), json!({"note": "é"}), json!({"note": "e"}));
    let call = |tool: &'static str, arguments: &Value| CheckedText::Arguments {
        tool: tool.into(),
        arguments: Cow::Owned(arguments.clone()),
    };
    let message = |text: &'static str| CheckedText::Message { agent: "a".into(), text: text.into() };
    let reply = |text: &'static str| CheckedText::Reply { agent: "a".into(), text: text.into() };
    let next = Job { steps: vec![Step { round: 1, ..job.steps[0].clone() }], ..job.clone() };
    let digests = [
        digest(&key, &job, &call("t", &arguments)),
        digest(&key, &job, &call("t", &other)),
        digest(&key, &job, &call("u", &arguments)),
        digest(&key, &next, &call("t", &arguments)),
        digest(&DigestKey::from_random([4; 32]), &job, &call("t", &arguments)),
        digest(&key, &job, &message("é")),
        digest(&key, &job, &message("e")),
        digest(&key, &job, &reply("é")),
    ];
    for (place, one) in digests.iter().enumerate() {
        assert!(digests[place + 1..].iter().all(|other| other != one), "{place}");
    }
    let stored: CheckedText<'static> =
        serde_json::from_value(serde_json::to_value(call("t", &arguments)).unwrap()).unwrap();
    assert_eq!(digest(&key, &job, &stored), digests[0], "what is read back is the same text");
    assert!(!format!("{stored:?} {:?}", message("secret")).contains("secret"));
}
