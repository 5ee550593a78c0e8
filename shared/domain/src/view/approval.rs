//! What clients see of a question and its answer.

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

/// The public shape of a question and its answer: all of what runs, and nothing that looks like something else.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalView {
    /// The place of its step in `steps`.
    pub place: usize,
    /// An agent proposed the call.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proposed: bool,
    /// Something of it comes from a turn or from an earlier step, not from the user.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
    /// Who has to decide.
    pub approver: Approver,
    /// Names exactly this call; a decision repeats it.
    pub digest: Digest,
    /// The tool's title.
    pub title: String,
    /// What the call does.
    pub summary: String,
    /// Its arguments, with everything that could not be seen as a visible escape. Absent once they are erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
    /// From here on nobody can say yes.
    pub expires_at: String,
    /// `approve` or `reject`; absent while nobody has decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<&'static str>,
    /// As whom it was decided: `user` or `operator`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Approver>,
    /// When it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl ApprovalView {
    /// What was, or is, asked about a job; `work` is what the step that asked sends.
    pub fn of(job: &Job, work: Option<&Work>, catalogue: &Catalogue) -> Option<Self> {
        let (place, question) = job.approval_request_at()?;
        let call = match work {
            Some(Work::Call(call)) => Some(call),
            Some(Work::Turn(_) | Work::End(_)) | None => None,
        };
        let step = job.steps.get(place)?;
        // A tool that has gone since, or arguments that were erased: there is still a question that was answered.
        let described =
            call.and_then(|call| approval_summary::describe(catalogue.get(&call.tool)?, &call.arguments).ok());
        let described = described.unwrap_or_else(|| Described {
            title: step.tool.clone(),
            summary: String::new(),
            arguments: call.map_or(Value::Null, |call| visible_text::visible_value(&call.arguments)),
        });
        let decision = question.decision.as_ref();
        Some(Self {
            place,
            proposed: step.is_proposed(),
            derived: step.derived,
            approver: question.approver,
            digest: question.digest,
            title: described.title,
            summary: described.summary,
            arguments: call.map(|_| described.arguments),
            expires_at: question.expires_at.to_string(),
            decision: decision.map(|decision| if decision.approved { "approve" } else { "reject" }),
            by: decision.map(|decision| decision.by.approver()),
            at: decision.map(|decision| decision.at.to_string()),
        })
    }
}
