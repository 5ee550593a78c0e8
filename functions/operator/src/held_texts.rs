//! `GET /v1/operator/held-texts`, and `GET` and `POST /v1/operator/jobs/{job}/held-text`: texts that content safety holds,
//! and the decisions about them. The list has no text; the text is shown only to operators who may decide about it.

use domain::{
    audit::OperatorEvent,
    catalogue::visible_text,
    content_safety::{CheckedText, ContentFinding, HeldKind, Label, Suggestion},
    ids::{Digest, RequestId, UserId, support_code},
    job::{HeldText, Job, held_text::HeldTextCheck},
    view,
};
use lambda_http::Request;
use platform::{
    http::{self, ApiError, Code, Response, body, routes::OperatorCall},
    telemetry::RequestLog,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::jobs::{Decided, TextDecisionInput};

use crate::{
    Operator,
    caller::Caller,
    get_job::named,
    pages::{Of, Page},
    request_body::Decision,
};

/// A held text in a list.
#[derive(Serialize)]
struct Entry {
    job: String,
    user_id: UserId,
    request_id: RequestId,
    what: HeldKind,
    /// The tool, or the agent.
    name: String,
    suggestion: Suggestion,
    label: Label,
    digest: Digest,
    asked_at: String,
    expires_at: String,
    /// Whether the job belongs to a user of this operator, who then may not decide about it.
    own: bool,
}

#[derive(Serialize)]
struct Entries {
    held_texts: Vec<Entry>,
    /// Support codes of jobs that belong in this list and cannot be parsed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A held text with its content, in which characters that cannot be seen are escaped.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    entry: Entry,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<Value>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Choice {
    Pass,
    Refuse,
}

impl Entry {
    fn of(caller: &Caller, job: &Job, held: &HeldText) -> Self {
        let ContentFinding { suggestion, label, .. } = held.finding;
        Self {
            job: support_code(job.user_id, job.request_id),
            user_id: job.user_id,
            request_id: job.request_id,
            what: held.what,
            name: job.step().map(|step| step.tool.clone()).unwrap_or_default(),
            suggestion,
            label,
            digest: held.digest,
            asked_at: held.asked_at.to_string(),
            expires_at: held.expires_at.to_string(),
            own: caller.is(job.user_id),
        }
    }
}

/// The texts that wait for a decision, those whose time for it ends first first.
pub(crate) async fn list(operator: &Operator, caller: &Caller, request: &Request) -> Result<Response, ApiError> {
    let of = Of::HeldTexts(operator.runtime.now());
    let Page { jobs, unreadable, next_cursor } = operator.page(request, "held-texts", of).await?;
    let held = jobs.iter().filter_map(|job| Some(Entry::of(caller, job, job.pending_text()?)));
    Ok(http::ok(&Entries { held_texts: held.collect(), unreadable, next_cursor }))
}

/// Shows the text that a job waits for a decision about.
pub(crate) async fn show(
    operator: &Operator,
    caller: &Caller,
    code: &str,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let (user, id) = named(code, log)?;
    operator.may_about(caller, OperatorCall::HeldText, user, Code::ApprovalOwnRequest).await?;
    let job = operator.job(user, id).await?;
    let held = job.pending_text().ok_or_else(|| not_held(&job))?;
    let text = operator.table.held_text(&job, held).await?.ok_or_else(|| ApiError::new(Code::JobUnreadable))?;
    let (text, arguments) = match text {
        CheckedText::Arguments { arguments, .. } => (None, Some(visible_text::visible_value(&arguments))),
        CheckedText::Message { text, .. } | CheckedText::Reply { text, .. } => {
            // A line break is what it looks like.
            let lines: Vec<_> = text.split('\n').map(visible_text::visible).collect();
            (Some(lines.join("\n")), None)
        }
    };
    Ok(http::ok(&Shown { entry: Entry::of(caller, &job, held), text, arguments }))
}

/// Lets exactly the text that was shown pass, or refuses it. A repeated decision gets the same response as the first.
pub(crate) async fn decide(
    operator: &Operator,
    caller: &Caller,
    request: &Request,
    code: &str,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let (user, id) = named(code, log)?;
    let expected = r#"{"decision": "pass" or "refuse", "digest": of the held text, "note"?: 1 to 200 characters}"#;
    let body: Decision<Choice> = body::read(request, expected)?;
    operator.may_about(caller, OperatorCall::DecideText, user, Code::ApprovalOwnRequest).await?;
    let job = operator.job(user, id).await?;
    let passed = body.decision == Choice::Pass;
    let input = TextDecisionInput { passed, digest: body.digest, by: caller.known.id };
    let check = job.held_text_check(passed, input.digest, operator.runtime.now());
    if check != HeldTextCheck::Open {
        return stands(operator, caller, check, &job).await;
    }
    let event =
        OperatorEvent::TextDecided { job: code.to_owned(), passed, digest: input.digest, reason: body.reason() };
    operator.record(caller, event).await?;
    match operator.jobs().decide_held_text(user, id, &input).await? {
        Decided::Made(after) => operator.woken(&after).await,
        Decided::Stands(check, job) => stands(operator, caller, check, &job).await,
        Decided::NoJob => Err(ApiError::new(Code::NotFound)),
        Decided::Newer | Decided::Lost => Err(ApiError::try_again()),
    }
}

/// The response to a decision that changed nothing. Records what may be an attack or a serious mistake.
async fn stands(operator: &Operator, caller: &Caller, check: HeldTextCheck, job: &Job) -> Result<Response, ApiError> {
    Err(match check {
        HeldTextCheck::AsDecided => return operator.woken(job).await,
        HeldTextCheck::DecidedOtherwise => ApiError::new(Code::TextDecided),
        HeldTextCheck::OtherDigest => operator.refuse(caller, OperatorCall::DecideText, Code::TextDigestMismatch).await,
        HeldTextCheck::Lapsed => operator.refuse(caller, OperatorCall::DecideText, Code::TextDecisionExpired).await,
        HeldTextCheck::Busy => ApiError::try_again(),
        // `Open` does not occur: it was decided before.
        HeldTextCheck::Open | HeldTextCheck::NotHeld => not_held(job),
    })
}

fn not_held(job: &Job) -> ApiError {
    ApiError::new(Code::TextNotHeld).with("job_status", view::status(job.state))
}
