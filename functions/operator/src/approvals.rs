//! `GET /v1/operator/approvals` and `POST /v1/operator/jobs/{job}/approval`: approval requests for operators, and their
//! decisions.

use domain::{
    audit::OperatorEvent,
    catalogue::ToolEffect,
    ids::{Approver, Digest, RequestId, UserId, support_code},
    job::{
        Job, JobState,
        approval::{ApprovalCheck, DecidedBy, DecisionInput},
    },
    view::{self, ApprovalView},
};
use lambda_http::Request;
use platform::{
    http::{self, ApiError, Code, Response, body, routes::OperatorCall},
    telemetry::RequestLog,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::jobs::Decided;
use store::{Order, TableError};

use crate::{
    Operator,
    caller::Caller,
    get_job::named,
    pages::{self, Of, Page},
    request_body::Decision,
};

/// An approval request in a list.
#[derive(Serialize)]
struct PendingApproval {
    job: String,
    user_id: UserId,
    request_id: RequestId,
    tool: String,
    title: String,
    summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<Value>,
    effect: ToolEffect,
    approver: Approver,
    digest: Digest,
    asked_at: String,
    expires_at: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    proposed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    derived: bool,
    /// Whether the job belongs to a user of this operator, who then may not decide it.
    own: bool,
}

#[derive(Serialize)]
struct PendingApprovals {
    approvals: Vec<PendingApproval>,
    /// Support codes of waiting jobs whose item or payload cannot be parsed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Choice {
    Approve,
    Reject,
}

/// The open approval requests, by expiry.
pub(crate) async fn list(operator: &Operator, caller: &Caller, request: &Request) -> Result<Response, ApiError> {
    let of = Of::Pointers(JobState::AwaitingApproval, Order::EarliestFirst, operator.runtime.now());
    let Page { jobs, unreadable: skipped, next_cursor } = operator.page(request, "approvals", of).await?;
    let catalogue = operator.policy.catalogue();
    let views = jobs.iter().map(|job| operator.table.approval_of(job, catalogue));
    let views = futures_util::future::join_all(views).await;
    let (mut approvals, mut unreadable) = (Vec::new(), skipped);
    for (job, view) in jobs.iter().zip(views) {
        match view {
            Ok(view) => approvals.extend(view.and_then(|view| pending_approval(caller, job, view))),
            // One job that cannot be parsed must not hide the others.
            Err(TableError::Malformed(what)) => {
                pages::note_unreadable(what, job.request_id);
                unreadable.push(support_code(job.user_id, job.request_id));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(http::ok(&PendingApprovals { approvals, unreadable, next_cursor }))
}

fn pending_approval(caller: &Caller, job: &Job, view: ApprovalView) -> Option<PendingApproval> {
    let (place, approval) = job.approval_request_at()?;
    let step = job.steps.get(place)?;
    Some(PendingApproval {
        job: support_code(job.user_id, job.request_id),
        user_id: job.user_id,
        request_id: job.request_id,
        tool: step.tool.clone(),
        title: view.title,
        summary: view.summary,
        arguments: view.arguments,
        effect: step.effect,
        approver: view.approver,
        digest: view.digest,
        asked_at: approval.asked_at.to_string(),
        expires_at: view.expires_at,
        proposed: view.proposed,
        derived: view.derived,
        own: caller.is(job.user_id),
    })
}

/// Approves or rejects exactly what was shown. A repeated decision gets the same response as the first.
pub(crate) async fn decide(
    operator: &Operator,
    caller: &Caller,
    request: &Request,
    code: &str,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let (user, id) = named(code, log)?;
    let expected =
        r#"{"decision": "approve" or "reject", "digest": of the approval request, "note"?: 1 to 200 characters}"#;
    let body: Decision<Choice> = body::read(request, expected)?;
    operator.may_about(caller, OperatorCall::Decide, user, Code::ApprovalOwnRequest).await?;
    let job = operator.job(user, id).await?;
    let approved = body.decision == Choice::Approve;
    let input = DecisionInput { approved, digest: body.digest, by: DecidedBy::Operator(caller.known.id) };
    match job.approval_check(&input, operator.runtime.now()) {
        ApprovalCheck::Open => {
            let event = OperatorEvent::ApprovalDecided {
                job: code.to_owned(),
                approved,
                digest: input.digest,
                reason: body.reason(),
            };
            operator.record(caller, event).await?;
        }
        // `decide_approval` records the expiry, which is no operator's decision.
        ApprovalCheck::Lapsed => {}
        approval_check @ (ApprovalCheck::AsDecided
        | ApprovalCheck::DecidedOtherwise
        | ApprovalCheck::OtherDigest
        | ApprovalCheck::OtherApprover
        | ApprovalCheck::NotAsked) => return stands(operator, caller, approval_check, &job).await,
    }
    match operator.jobs().decide_approval(user, id, &input).await? {
        Decided::Made(after) => operator.woken(&after).await,
        Decided::Stands(approval_check, job) => stands(operator, caller, approval_check, &job).await,
        Decided::NoJob => Err(ApiError::new(Code::NotFound)),
        Decided::Newer | Decided::Lost => Err(ApiError::try_again()),
    }
}

/// The response to a decision that changed nothing. Records what may be an attack or a serious mistake.
async fn stands(
    operator: &Operator,
    caller: &Caller,
    approval_check: ApprovalCheck,
    job: &Job,
) -> Result<Response, ApiError> {
    Err(match approval_check {
        ApprovalCheck::AsDecided => return operator.woken(job).await,
        ApprovalCheck::DecidedOtherwise => ApiError::new(Code::ApprovalDecided),
        ApprovalCheck::OtherDigest => operator.refuse(caller, OperatorCall::Decide, Code::ApprovalDigestMismatch).await,
        ApprovalCheck::Lapsed => operator.refuse(caller, OperatorCall::Decide, Code::ApprovalExpired).await,
        // `OtherApprover`: a request to the user does not exist for an operator. `Open` does not occur: it was decided
        // before.
        ApprovalCheck::OtherApprover | ApprovalCheck::Open | ApprovalCheck::NotAsked => {
            ApiError::new(Code::ApprovalNotAsked).with("job_status", view::status(job.state))
        }
    })
}
