//! Approvals: a person's yes to exactly one call, once, until it expires.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    ids::{Actor, Approver, Digest, DigestKey, OperatorId, RequestId, Timestamp, UserId},
    job::{CallKey, Job, JobState, submission::Call},
    json::canonical,
};

/// Who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// The job's owner, with a fresh login code.
    User,
    /// This operator.
    Operator(OperatorId),
}

impl DecidedBy {
    /// Who it was for the audit log.
    pub const fn actor(self) -> Actor {
        match self {
            Self::User => Actor::User,
            Self::Operator(_) => Actor::Operator,
        }
    }

    /// As whom they decided.
    pub const fn approver(self) -> Approver {
        match self {
            Self::User => Approver::User,
            Self::Operator(_) => Approver::Operator,
        }
    }
}

/// What was decided. Written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Yes or no.
    #[serde(rename = "y")]
    pub approved: bool,
    /// By whom.
    #[serde(rename = "b")]
    pub by: DecidedBy,
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// The question that a step waits for, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who has to say yes.
    #[serde(rename = "w")]
    pub approver: Approver,
    /// Names exactly what is asked: see [`digest`].
    #[serde(rename = "g")]
    pub digest: Digest,
    /// When it was asked.
    #[serde(rename = "a")]
    pub asked_at: Timestamp,
    /// From here on nobody can say yes.
    #[serde(rename = "x")]
    pub expires_at: Timestamp,
    /// The answer.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

impl Approval {
    /// A question without an answer.
    pub const fn requested(approver: Approver, digest: Digest, asked_at: Timestamp, expires_at: Timestamp) -> Self {
        Self { approver, digest, asked_at, expires_at, decision: None }
    }

    /// Whether nobody can say yes any more.
    pub fn lapsed(&self, now: Timestamp) -> bool {
        self.expires_at.has_come(now, super::PLANNED_AHEAD_AT_MOST)
    }

    /// Whether the yes that was given is enough for what is needed now. An operator's yes is enough where a user's would be,
    /// never the other way round.
    pub fn suffices_for(&self, need: Approver) -> bool {
        self.decision.as_ref().is_some_and(|decision| decision.approved && decision.by.approver() >= need)
    }
}

/// Where a job stands towards what somebody has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalCheck {
    /// It waits for exactly this.
    Open,
    /// This was decided before, the same way, by one of those who may.
    AsDecided,
    /// It was decided otherwise.
    DecidedOtherwise,
    /// It asks, or asked, about another call than the one that was decided on.
    OtherDigest,
    /// Somebody else has to decide.
    OtherApprover,
    /// It was too late.
    Lapsed,
    /// It waits for no decision: it never asked, or it ended before anybody decided.
    NotAsked,
}

/// What somebody decided, about what they were shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionInput {
    /// Yes or no.
    pub approved: bool,
    /// Of the call that they were shown.
    pub digest: Digest,
    /// Who.
    pub by: DecidedBy,
}

impl Job {
    /// The question of this job: of the step at the cursor, or, when that has none, the last one that was asked.
    pub fn approval_request(&self) -> Option<&Approval> {
        self.approval_request_at().map(|(_, question)| question)
    }

    /// The same, with the place of its step.
    pub fn approval_request_at(&self) -> Option<(usize, &Approval)> {
        let begun = self.steps.iter().enumerate().take(self.cursor + 1).rev();
        begun.filter_map(|(place, step)| Some((place, step.approval.as_ref()?))).next()
    }

    /// Where it stands towards that decision. Pure: what changes the job is [`JobEvent::Decided`](crate::job::JobEvent).
    pub fn approval_check(&self, input: &DecisionInput, now: Timestamp) -> ApprovalCheck {
        let Some(latest) = self.approval_request() else { return ApprovalCheck::NotAsked };
        // An earlier step may have asked: whoever repeats what they said to that one is told that it stands.
        let earlier = self.steps.iter().filter_map(|step| step.approval.as_ref());
        let Some(question) = earlier.chain([latest]).find(|question| question.digest == input.digest) else {
            return ApprovalCheck::OtherDigest;
        };
        if question.approver != input.by.approver() {
            return ApprovalCheck::OtherApprover;
        }
        match &question.decision {
            Some(decision) if decision.approved == input.approved => return ApprovalCheck::AsDecided,
            Some(_) => return ApprovalCheck::DecidedOtherwise,
            None => {}
        }
        match self.state {
            JobState::AwaitingApproval if question.lapsed(now) => ApprovalCheck::Lapsed,
            JobState::AwaitingApproval => ApprovalCheck::Open,
            JobState::Expired => ApprovalCheck::Lapsed,
            JobState::Queued
            | JobState::Running
            | JobState::Waiting
            | JobState::Retrying
            | JobState::Succeeded
            | JobState::Failed
            | JobState::Refused
            | JobState::Explained
            | JobState::Cancelled
            | JobState::Unknown => ApprovalCheck::NotAsked,
        }
    }
}

/// Invariant 8, *bound approvals*: what a yes is a yes to.
#[derive(Debug, Clone, Copy)]
pub struct Bound<'a> {
    /// Whose job.
    pub user_id: UserId,
    /// Which job.
    pub request_id: RequestId,
    /// Which submitted step of it.
    pub step: usize,
    /// Its place within that step; 0 for a call that was submitted.
    pub round: u32,
    /// The tool.
    pub tool: &'a str,
    /// The arguments that will be sent.
    pub arguments: &'a Value,
}

impl<'a> Bound<'a> {
    /// The step at the cursor of a job, with these arguments.
    pub fn at_cursor(job: &Job, call: &'a Call) -> Self {
        let CallKey { user_id, request_id, step, round, .. } = job.call_key();
        Self { user_id, request_id, step, round, tool: &call.tool, arguments: &call.arguments }
    }
}

/// HMAC with the job's own key over the canonical form (RFC 8785) of everything that a yes is bound to.
pub fn digest(key: &DigestKey, bound: &Bound<'_>) -> Digest {
    let whole = json!({
        "user_id": bound.user_id.to_string(),
        "request_id": bound.request_id.to_string(),
        "step": bound.step,
        "round": bound.round,
        "tool": bound.tool,
        "arguments": bound.arguments,
    });
    key.digest_bytes(&canonical::canonical(&whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn bound(arguments: &Value) -> Bound<'_> {
        Bound {
            user_id: UserId::from_random([1; 16]),
            request_id: "019a8f3c-7e10-7abc-9def-0123456789ab".parse().unwrap(),
            step: 0,
            round: 0,
            tool: "pay",
            arguments,
        }
    }

    #[test]
    fn whatever_a_yes_is_bound_to_changes_its_digest() {
        let key = DigestKey::from_random([3; 32]);
        let (arguments, other) = (json!({"amount": 500, "note": "é"}), json!({"amount": 501, "note": "é"}));
        let one = digest(&key, &bound(&arguments));
        assert_eq!(one, digest(&key, &bound(&json!({"note": "\u{e9}", "amount": 500.0}))), "another spelling");
        let changed = [
            digest(&DigestKey::from_random([4; 32]), &bound(&arguments)),
            digest(&key, &bound(&other)),
            digest(&key, &Bound { tool: "pay2", ..bound(&arguments) }),
            digest(&key, &Bound { step: 1, ..bound(&arguments) }),
            digest(&key, &Bound { round: 1, ..bound(&arguments) }),
            digest(&key, &Bound { user_id: UserId::from_random([2; 16]), ..bound(&arguments) }),
            digest(
                &key,
                &Bound { request_id: "019a8f3c-7e10-7abc-9def-0123456789ac".parse().unwrap(), ..bound(&arguments) },
            ),
        ];
        for (place, other) in changed.into_iter().enumerate() {
            assert_ne!(one, other, "{place}");
        }
    }

    #[test]
    fn a_users_yes_is_not_enough_where_an_operators_is_needed() {
        let asked = Approval::requested(Approver::User, Digest::ZERO, NOW, NOW);
        assert!(!asked.suffices_for(Approver::User), "nobody has said yes");
        let operator = DecidedBy::Operator(OperatorId::from_random([1; 16]));
        for (approved, by, need, enough) in [
            (true, DecidedBy::User, Approver::User, true),
            (true, DecidedBy::User, Approver::Operator, false),
            (true, operator, Approver::User, true),
            (true, operator, Approver::Operator, true),
            (false, operator, Approver::User, false),
        ] {
            let decided = Approval { decision: Some(Decision { approved, by, at: NOW }), ..asked.clone() };
            assert_eq!(decided.suffices_for(need), enough, "{approved} {by:?} {need:?}");
        }
    }
}
