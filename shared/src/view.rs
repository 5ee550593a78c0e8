//! What clients see of a job, and how soon they should look again.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::Value;

use crate::{
    approval::Approver,
    catalogue::Catalogue,
    digest::Digest,
    job::{Effect, Job, JobState, Resolution},
    request_id::RequestId,
    step::{Step, StepOutcome},
    submission::Call,
    summary::{self, Described},
    timestamp::Timestamp,
    user_id::UserId,
};

/// The public shape of a job. `openapi.yaml` is its contract.
#[derive(Debug, Serialize)]
pub struct JobView {
    /// The job's name.
    pub request_id: RequestId,
    /// `queued`, `running`, `retrying`, `awaiting_approval`, or one of the seven ends.
    pub status: &'static str,
    /// Only when it is over without success: whether a new request is safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// The next step.
    pub cursor: usize,
    /// The steps.
    pub steps: Vec<StepView>,
    /// What the last step returned. `{"omitted":"too_large"}` when it was over the cap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it ended without success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorView>,
    /// What somebody has to say yes to, or has decided. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalView>,
    /// What was learnt about an unknown job later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<ResolutionView>,
    /// A cancel was asked for while a call was out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// How long to wait before the next look; absent once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_poll_ms: Option<u64>,
    /// For the operator: names user and job, says nothing about either.
    pub support_code: String,
    /// Nothing starts after this.
    pub not_after: String,
    /// When it was accepted.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// The public shape of a step.
#[derive(Debug, Serialize)]
pub struct StepView {
    /// The tool.
    pub tool: String,
    /// How it ended; absent while it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<StepOutcome>,
}

/// The public shape of a job's error.
#[derive(Debug, Serialize)]
pub struct ErrorView {
    /// Stable.
    pub code: String,
    /// For people.
    pub message: &'static str,
}

/// The public shape of a question and its answer: all of what runs, and nothing that looks like something else.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalView {
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
    /// What was, or is, asked about a job with these calls.
    pub fn of(job: &Job, calls: &[Call], catalogue: &Catalogue) -> Option<Self> {
        let (place, question) = job.asked()?;
        let call = calls.get(place);
        let tool = job.steps.get(place).map_or("", |step| step.tool.as_str());
        // A tool that has gone since, or arguments that were erased: there is still a question that was answered.
        let described = call.and_then(|call| summary::describe(catalogue.get(&call.tool)?, &call.arguments).ok());
        let described = described.unwrap_or_else(|| Described {
            title: tool.to_owned(),
            summary: String::new(),
            arguments: call.map_or(Value::Null, |call| summary::visible_value(&call.arguments)),
        });
        let decision = question.decision.as_ref();
        Some(Self {
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

/// The public shape of a resolution.
#[derive(Debug, Serialize)]
pub struct ResolutionView {
    /// `journal` or `operator`.
    pub by: crate::job::ResolvedBy,
    /// Whether the write ran.
    pub happened: bool,
    /// When it was learnt.
    pub at: String,
    /// An operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl From<&Resolution> for ResolutionView {
    fn from(Resolution { by, happened, at, note }: &Resolution) -> Self {
        Self { by: *by, happened: *happened, at: at.to_string(), note: note.clone() }
    }
}

/// The public name of a state: that a call is out is nobody's business but ours.
pub const fn status(state: JobState) -> &'static str {
    match state {
        JobState::Waiting => JobState::Running.name(),
        JobState::Queued
        | JobState::Running
        | JobState::Retrying
        | JobState::AwaitingApproval
        | JobState::Succeeded
        | JobState::Failed
        | JobState::Refused
        | JobState::Explained
        | JobState::Cancelled
        | JobState::Expired
        | JobState::Unknown => state.name(),
    }
}

/// How soon to look again: quick at first and right after a yes, slow for old jobs and while a person is asked, never once it
/// is over.
pub fn next_poll_ms(job: &Job, now: Timestamp) -> Option<u64> {
    if job.state.is_over() {
        return None;
    }
    if job.state == JobState::AwaitingApproval {
        // A person is slow.
        return Some(5_000);
    }
    Some(match now.since(job.free_to_run_at()).as_millis() {
        0..=1_999 => 500,
        2_000..=9_999 => 1_000,
        10_000..=59_999 => 2_000,
        _ => 5_000,
    })
}

/// Names user and job in one token for the operator.
pub fn support_code(user: UserId, request: RequestId) -> String {
    let bytes: Vec<u8> = [user.to_string(), request.to_string()]
        .iter()
        .filter_map(|id| uuid::Uuid::try_parse(id).ok())
        .flat_map(uuid::Uuid::into_bytes)
        .collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The user and the job that a support code names.
pub fn parse_support_code(text: &str) -> Option<(UserId, RequestId)> {
    let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let id = |half: &[u8]| uuid::Uuid::from_slice(half).map(|id| id.as_hyphenated().to_string());
    let (user, request) = bytes.split_at(16);
    Some((id(user).ok()?.parse().ok()?, id(request).ok()?.parse().ok()?))
}

/// The message for people that goes with a job's error code.
fn message(code: &str) -> &'static str {
    match code {
        "tool_failed" => "The tool ran and reported a failure.",
        "tool_unavailable" => "The gateway does not offer this tool.",
        "tool_blocked" => "The gateway refused this call.",
        "gateway_request_rejected" => "The gateway could not read the call.",
        "attempts_exhausted" => "Every attempt ended without an answer, and none is left.",
        "approval_rejected" => "It was not approved.",
        "approval_expired" => "Nobody approved it in time.",
        "approval_insufficient" => "It now needs an approval that it was not given.",
        "mode_explain_only" => "The service explains now and calls nothing.",
        "mode_read_only" => "The service only reads now.",
        "mode_closed" => "The service is closed now.",
        "tool_closed" => "This tool is switched off now.",
        "tool_not_opened" => "This tool destroys, and no operator has opened it.",
        "audit_unproven" => "This tool destroys, and the audit log cannot be proven now.",
        "not_after_passed" => "Its deadline passed before it could be started.",
        "cancelled" => "It was cancelled.",
        "outcome_unknown" => "It was sent, its result cannot be proven, and it will not be sent again.",
        "arguments_invalid" => "The arguments no longer fit the tool's schema.",
        "tool_changed" => "The tool has changed since this was accepted.",
        "payload_missing" => "What was asked for is no longer stored.",
        _ => "Policy does not permit this call.",
    }
}

impl JobView {
    /// The same with what was asked.
    #[must_use]
    pub fn asking(self, approval: Option<ApprovalView>) -> Self {
        Self { approval, ..self }
    }

    /// The view of a job whose result, when it is stored apart, is `stored_result`.
    pub fn new(job: &Job, result: Option<Value>, now: Timestamp) -> Self {
        Self {
            request_id: job.request_id,
            status: status(job.state),
            effect: job.effect,
            cursor: job.cursor,
            steps: job
                .steps
                .iter()
                .map(|Step { tool, outcome, .. }| StepView { tool: tool.clone(), outcome: *outcome })
                .collect(),
            result,
            error: job.error.clone().map(|code| ErrorView { message: message(&code), code }),
            resolution: job.resolution.as_ref().map(ResolutionView::from),
            approval: None,
            cancel_requested: job.cancel_requested && !job.state.is_over(),
            next_poll_ms: next_poll_ms(job, now),
            support_code: support_code(job.user_id, job.request_id),
            not_after: job.not_after.to_string(),
            created_at: job.created_at.to_string(),
            updated_at: job.updated_at.to_string(),
        }
    }
}
