//! `POST /v1/jobs/{request_id}/approval`: the user approves or rejects exactly the call that the service showed.
//!
//! An approval carries a fresh `wx.login` code, so that a stolen session token alone cannot approve anything. Checks
//! that need no call to WeChat come first, and the user's rate is charged before WeChat is called: a repeated decision
//! spends no code.

use domain::{
    access::session::Session,
    audit::RefusalEvent,
    ids::{Digest, RequestId, Timestamp},
    job::{
        Job,
        approval::{ApprovalCheck, DecidedBy, DecisionInput},
    },
};
use lambda_http::Request;
use platform::{
    http::{self as answers, ApiError, Code, Response, body},
    telemetry::RequestLog,
    wechat::LoginCode,
};
use serde::Deserialize;
use service::{
    jobs::{Decided, known_job},
    session,
};

use crate::{EdgeAuth, charge, log_in, refuse};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(deserialize_with = "body::name")]
    decision: Choice,
    digest: Digest,
    #[serde(default)]
    code: Option<LoginCode>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Choice {
    Approve,
    Reject,
}

pub(crate) async fn approval(
    edge: &EdgeAuth,
    request: &Request,
    id: Option<RequestId>,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let now = edge.runtime.now();
    let session = edge.session(request, now, log).await?;
    let own = session::alive_with_named_job(&session, &edge.table, id).await?;
    let body = parse(request)?;
    let input = DecisionInput { approved: body.decision == Choice::Approve, digest: body.digest, by: DecidedBy::User };
    let job = known_job(own.job.map_err(ApiError::unavailable)?)?;
    charge::charge(edge, session.user_id, now).await?;
    match job.approval_check(&input, now) {
        ApprovalCheck::Open if input.approved => {
            let code = body.code.as_ref().ok_or_else(|| {
                ApiError::new(Code::BodyInvalid).detail("an approval needs a fresh wx.login code in the field code")
            })?;
            is_the_user(edge, &session, &job, code).await?;
        }
        // A lapsed approval request may not be recorded as expired yet; `decide_approval` records that.
        ApprovalCheck::Open | ApprovalCheck::Lapsed => {}
        approval_check @ (ApprovalCheck::AsDecided
        | ApprovalCheck::DecidedOtherwise
        | ApprovalCheck::OtherDigest
        | ApprovalCheck::OtherApprover
        | ApprovalCheck::NotAsked) => return stands(edge, approval_check, &job, now).await,
    }
    match edge.jobs().decide_approval(session.user_id, job.request_id, &input).await.map_err(ApiError::unavailable)? {
        Decided::Made(after) => answer(edge, &after, now).await,
        Decided::Stands(approval_check, job) => stands(edge, approval_check, &job, now).await,
        Decided::NoJob => Err(ApiError::new(Code::NotFound)),
        Decided::Newer | Decided::Lost => Err(ApiError::try_again()),
    }
}

fn parse(request: &Request) -> Result<Body, ApiError> {
    let expected = r#"{"decision": "approve" or "reject", "digest": of the approval request, "code": from wx.login}"#;
    body::read(request, expected)
}

/// Exchanges the login code, which WeChat accepts once, and requires that it belongs to the openid of the session.
async fn is_the_user(edge: &EdgeAuth, session: &Session, job: &Job, code: &LoginCode) -> Result<(), ApiError> {
    let keys = edge.keys().await?;
    let openid = log_in::openid_of(edge, &keys, code).await?;
    let found = edge.table.find_login(&log_in::logins(edge, &keys, &openid)).await.map_err(ApiError::unavailable)?;
    if found.is_some_and(|(_, user)| user == session.user_id) {
        return Ok(());
    }
    Err(refuse(edge, Code::ApprovalOtherUser, job).await)
}

/// The response to a decision that changed nothing. Repeating the same decision is not an error.
async fn stands(
    edge: &EdgeAuth,
    approval_check: ApprovalCheck,
    job: &Job,
    now: Timestamp,
) -> Result<Response, ApiError> {
    match approval_check {
        ApprovalCheck::AsDecided => answer(edge, job, now).await,
        ApprovalCheck::DecidedOtherwise => Err(ApiError::new(Code::ApprovalDecided)),
        ApprovalCheck::OtherDigest => Err(refuse(edge, Code::ApprovalDigestMismatch, job).await),
        ApprovalCheck::OtherApprover => Err(refuse(edge, Code::ApprovalByOperator, job).await),
        ApprovalCheck::Lapsed => Err(refuse(edge, Code::ApprovalExpired, job).await),
        // `Open` does not occur here: an open approval request was decided before.
        ApprovalCheck::Open | ApprovalCheck::NotAsked => {
            Err(ApiError::new(Code::ApprovalNotAsked).with("job_status", domain::view::status(job.state)))
        }
    }
}

/// Records a refusal that may be an attack in the user's side chain of refusals.
async fn refuse(edge: &EdgeAuth, code: Code, job: &Job) -> ApiError {
    let tool = job.approval_request_at().and_then(|(place, _)| Some(job.steps.get(place)?.tool.clone()));
    let (code_text, request_id) = (code.text().to_owned(), Some(job.request_id));
    let refusal = RefusalEvent { tool, code: code_text, policies: Vec::new(), request_id };
    refuse::record_refusal(edge, job.user_id, refusal).await;
    ApiError::new(code)
}

/// The response to an accepted decision. Sends a wake-up message when the job may run, also for a repeated decision:
/// the first message may have been lost.
async fn answer(edge: &EdgeAuth, job: &Job, now: Timestamp) -> Result<Response, ApiError> {
    edge.jobs().wake_if_due(job).await;
    Ok(answers::ok(&edge.render(job, now).await?))
}
