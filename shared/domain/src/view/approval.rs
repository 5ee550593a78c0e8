//! The public view of an approval request and its decision.

use serde::Serialize;
use serde_json::Value;

use crate::{
    catalogue::{
        Catalogue,
        approval_summary::{self, Described},
        visible_text,
    },
    ids::{Approver, Digest},
    job::{Job, submission::Work},
};

/// The public form of an approval request and its decision: the complete call, with invisible and confusable
/// characters escaped.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalView {
    /// Index of its step in `steps`.
    pub place: usize,
    /// Whether an agent proposed the call.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proposed: bool,
    /// Whether an argument comes from a turn or an earlier step, not from the user.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
    /// Who has to decide.
    pub approver: Approver,
    /// Digest of exactly this call; a decision has to contain it.
    pub digest: Digest,
    /// The tool's title.
    pub title: String,
    /// What the call does.
    pub summary: String,
    /// Its arguments, with invisible characters escaped. Absent once they are erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
    /// When the approval request expires.
    pub expires_at: String,
    /// `approve` or `reject`; absent before the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<&'static str>,
    /// Role of the person who decided: `user` or `operator`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Approver>,
    /// When it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl ApprovalView {
    /// The view of a job's approval request; `work` is what the step of the request sends.
    pub fn of(job: &Job, work: Option<&Work>, catalogue: &Catalogue) -> Option<Self> {
        let (place, approval) = job.approval_request_at()?;
        let call = match work {
            Some(Work::Call(call)) => Some(call),
            Some(Work::Turn(_) | Work::End(_)) | None => None,
        };
        let step = job.steps.get(place)?;
        // The tool may have been removed, or the arguments erased, since. The decision is shown nevertheless.
        let described =
            call.and_then(|call| approval_summary::describe(catalogue.get(&call.tool)?, &call.arguments).ok());
        let described = described.unwrap_or_else(|| Described {
            title: step.tool.clone(),
            summary: String::new(),
            arguments: call.map_or(Value::Null, |call| visible_text::visible_value(&call.arguments)),
        });
        let decision = approval.decision.as_ref();
        Some(Self {
            place,
            proposed: step.is_proposed(),
            derived: step.derived,
            approver: approval.approver,
            digest: approval.digest,
            title: described.title,
            summary: described.summary,
            arguments: call.map(|_| described.arguments),
            expires_at: approval.expires_at.to_string(),
            decision: decision.map(|decision| if decision.approved { "approve" } else { "reject" }),
            by: decision.map(|decision| decision.by.approver()),
            at: decision.map(|decision| decision.at.to_string()),
        })
    }
}
