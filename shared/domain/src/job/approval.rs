//! Approvals: the permission of a person for exactly one call, valid once, until it expires.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    ids::{Actor, Approver, Digest, DigestKey, OperatorId, RequestId, Timestamp, UserId},
    job::{CallKey, Job, JobState, submission::Call},
    json::canonical,
};

/// The person who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// The job's owner, who proved it with a fresh login code.
    User,
    /// This operator.
    Operator(OperatorId),
}

impl DecidedBy {
    /// The same person as the actor of an audit record.
    pub const fn actor(self) -> Actor {
        match self {
            Self::User => Actor::User,
            Self::Operator(_) => Actor::Operator,
        }
    }

    /// The role in which the person decided.
    pub const fn approver(self) -> Approver {
        match self {
            Self::User => Approver::User,
            Self::Operator(_) => Approver::Operator,
        }
    }
}

/// A decision about an approval request. Written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether the call was approved.
    #[serde(rename = "y")]
    pub approved: bool,
    /// Who decided.
    #[serde(rename = "b")]
    pub by: DecidedBy,
    /// Time of the decision.
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// The approval request of a step, and the decision about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who has to decide.
    #[serde(rename = "w")]
    pub approver: Approver,
    /// Digest of the call to approve: see [`digest`].
    #[serde(rename = "g")]
    pub digest: Digest,
    /// When the approval was requested.
    #[serde(rename = "a")]
    pub asked_at: Timestamp,
    /// The request expires at this time: no decision is accepted from then on.
    #[serde(rename = "x")]
    pub expires_at: Timestamp,
    /// The decision; `None` while the request is pending.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

impl Approval {
    /// A pending approval request.
    pub const fn requested(approver: Approver, digest: Digest, asked_at: Timestamp, expires_at: Timestamp) -> Self {
        Self { approver, digest, asked_at, expires_at, decision: None }
    }

    /// Whether the request has expired.
    pub fn lapsed(&self, now: Timestamp) -> bool {
        self.expires_at.has_come(now, super::APPROVED_WITHIN)
    }

    /// Whether the approval that was given suffices for the approver that the policy asks for now. An operator's
    /// approval also counts as a user's, never the reverse.
    pub fn suffices_for(&self, need: Approver) -> bool {
        self.decision.as_ref().is_some_and(|decision| decision.approved && decision.by.approver() >= need)
    }
}

/// How a decision relates to the job's approval request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalCheck {
    /// The job waits for exactly this decision.
    Open,
    /// The same decision was stored before, by a person who may make it.
    AsDecided,
    /// The opposite decision was stored before.
    DecidedOtherwise,
    /// The decision is about another call than the job's approval request.
    OtherDigest,
    /// Another approver has to decide.
    OtherApprover,
    /// The request expired before the decision.
    Lapsed,
    /// No approval was requested, or the job ended before a decision.
    NotAsked,
}

/// A person's decision about the call that was shown to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionInput {
    /// Whether the person approves the call.
    pub approved: bool,
    /// Digest of the call that was shown.
    pub digest: Digest,
    /// Who decides.
    pub by: DecidedBy,
}

impl Job {
    /// The approval request of the step at the cursor, or, if that step has none, the last one of the job.
    pub fn approval_request(&self) -> Option<&Approval> {
        self.approval_request_at().map(|(_, approval)| approval)
    }

    /// The same request, with the index of its step.
    pub fn approval_request_at(&self) -> Option<(usize, &Approval)> {
        let begun = self.steps.iter().enumerate().take(self.cursor + 1).rev();
        begun.filter_map(|(place, step)| Some((place, step.approval.as_ref()?))).next()
    }

    /// Compares a decision with the job. Pure: only [`JobEvent::Decided`](crate::job::JobEvent) changes the job.
    pub fn approval_check(&self, input: &DecisionInput, now: Timestamp) -> ApprovalCheck {
        let Some(latest) = self.approval_request() else { return ApprovalCheck::NotAsked };
        // The decision may be a repetition about an earlier step of the job: report that it was accepted then.
        let earlier = self.steps.iter().filter_map(|step| step.approval.as_ref());
        let Some(approval) = earlier.chain([latest]).find(|approval| approval.digest == input.digest) else {
            return ApprovalCheck::OtherDigest;
        };
        if approval.approver != input.by.approver() {
            return ApprovalCheck::OtherApprover;
        }
        match &approval.decision {
            Some(decision) if decision.approved == input.approved => return ApprovalCheck::AsDecided,
            Some(_) => return ApprovalCheck::DecidedOtherwise,
            None => {}
        }
        match self.state {
            JobState::AwaitingApproval if approval.lapsed(now) => ApprovalCheck::Lapsed,
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

/// Everything that an approval is bound to (invariant 8).
#[derive(Debug, Clone, Copy)]
pub struct Bound<'a> {
    /// The user who owns the job.
    pub user_id: UserId,
    /// The request id of the job.
    pub request_id: RequestId,
    /// Index of the submitted step.
    pub step: usize,
    /// Position within that step; 0 for a submitted call.
    pub round: u32,
    /// The tool's name in the catalogue.
    pub tool: &'a str,
    /// The arguments that will be sent.
    pub arguments: &'a Value,
}

impl<'a> Bound<'a> {
    /// The call of the step at the job's cursor.
    pub fn at_cursor(job: &Job, call: &'a Call) -> Self {
        let CallKey { user_id, request_id, step, round, .. } = job.call_key();
        Self { user_id, request_id, step, round, tool: &call.tool, arguments: &call.arguments }
    }
}

/// HMAC under the job's own key over the canonical form (RFC 8785) of everything that the approval is bound to.
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
    fn every_part_of_an_approval_changes_its_digest() {
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
    fn a_users_approval_is_not_enough_where_an_operators_is_needed() {
        let asked = Approval::requested(Approver::User, Digest::ZERO, NOW, NOW);
        assert!(!asked.suffices_for(Approver::User), "no approval was given");
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
