//! `GET /v1/operator/approvals` and `POST /v1/operator/jobs/{job}/approval`: what waits for an operator's yes, and the yes.

use std::time::Duration;

use domain::{
    audit::OperatorEvent,
    catalogue::ToolEffect,
    ids::{Approver, Digest, RequestId, TraceParent, UserId, support_code},
    job::{
        Job, JobState,
        approval::{DecidedBy, Said, Standing},
    },
    view::{self, ApprovalView},
};
use lambda_http::Request;
use platform::{
    http::{self, Answer, ApiError, Code, routes::OperatorCall},
    metrics::Metric,
    queue::Bell,
    telemetry::Asked,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::job_metrics;
use store::{DecisionMade, Order, Took};

use crate::{
    Operator,
    caller::Caller,
    fault,
    lists::{Of, Page},
    one_job::named,
    words::{self, Reason},
};

/// A question, as a list shows it.
#[derive(Serialize)]
struct Question {
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
    /// Whether it is of a user that this operator is.
    own: bool,
}

#[derive(Serialize)]
struct Questions {
    approvals: Vec<Question>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    decision: Choice,
    digest: Digest,
    #[serde(default)]
    note: Option<Reason>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Choice {
    Approve,
    Reject,
}

/// What waits, the soonest expiry first.
pub(crate) async fn list(operator: &Operator, caller: &Caller, request: &Request) -> Result<Answer, ApiError> {
    let of = Of::Pointers(JobState::AwaitingApproval, Order::EarliestFirst, operator.world.now());
    let Page { jobs, next_cursor } = operator.page(request, "approvals", of).await?;
    let catalogue = operator.policy.catalogue();
    let views = jobs.iter().map(|job| operator.table.approval_of(job, catalogue));
    let views = futures_util::future::try_join_all(views).await.map_err(fault)?;
    let asked = jobs.iter().zip(views).filter_map(|(job, view)| question(caller, job, view?));
    Ok(http::ok(&Questions { approvals: asked.collect(), next_cursor }))
}

fn question(caller: &Caller, job: &Job, view: ApprovalView) -> Option<Question> {
    let (place, asked) = job.asked()?;
    let step = job.steps.get(place)?;
    Some(Question {
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
        asked_at: asked.asked_at.to_string(),
        expires_at: view.expires_at,
        proposed: view.proposed,
        derived: view.derived,
        own: caller.is(job.user_id),
    })
}

/// Says yes or no to exactly what was shown. Who repeats a decision is answered as the first time.
pub(crate) async fn decide(
    operator: &Operator,
    caller: &Caller,
    request: &Request,
    code: &str,
    asked: &mut Asked<'_>,
) -> Result<Answer, ApiError> {
    let (user, id) = named(code, asked)?;
    let expected = r#"{"decision": "approve" or "reject", "digest": of the question, "note"?: 1 to 200 characters}"#;
    let body: Body = words::read(request, expected)?;
    operator.may_about(caller, OperatorCall::Decide, user, Code::ApprovalOwnRequest).await?;
    let job = operator.job(user, id).await?;
    let approved = body.decision == Choice::Approve;
    let said = Said { approved, digest: body.digest, by: DecidedBy::Operator(caller.known.id) };
    match job.standing(&said, operator.world.now()) {
        Standing::Open => {
            let reason = body.note.as_ref().map(Reason::text);
            let event = OperatorEvent::ApprovalDecided { job: code.to_owned(), approved, digest: said.digest, reason };
            operator.record(caller, event).await?;
        }
        // Applied by whoever notices; nobody decided anything.
        Standing::Lapsed => {}
        standing @ (Standing::AsDecided
        | Standing::DecidedOtherwise
        | Standing::OtherDigest
        | Standing::OtherApprover
        | Standing::NotAsked) => return stands(operator, caller, standing, &job).await,
    }
    let decided = operator.table.decide_approval(&operator.world, user, id, &said, operator.policy.version());
    match decided.await.map_err(fault)? {
        DecisionMade::Took(took) => {
            count(operator, &took);
            leave_line(operator, &took.after).await;
            answer(operator, &took.after).await
        }
        DecisionMade::Stands(standing, job, lapse) => {
            if let Some(lapse) = lapse {
                count(operator, &lapse);
                leave_line(operator, &lapse.after).await;
            }
            stands(operator, caller, standing, &job).await
        }
        DecisionMade::NoJob => Err(ApiError::new(Code::NotFound)),
        DecisionMade::Newer | DecisionMade::Lost => Err(ApiError::try_again()),
    }
}

/// Why a decision changed nothing. What might be an attack, or a mistake that matters, is recorded.
async fn stands(operator: &Operator, caller: &Caller, standing: Standing, job: &Job) -> Result<Answer, ApiError> {
    Err(match standing {
        Standing::AsDecided => return answer(operator, job).await,
        Standing::DecidedOtherwise => ApiError::new(Code::ApprovalDecided),
        Standing::OtherDigest => operator.refuse(caller, OperatorCall::Decide, Code::ApprovalDigestMismatch).await,
        Standing::Lapsed => operator.refuse(caller, OperatorCall::Decide, Code::ApprovalExpired).await,
        // A user's own question is none for an operator. Never met: what is open was decided.
        Standing::OtherApprover | Standing::Open | Standing::NotAsked => {
            ApiError::new(Code::ApprovalNotAsked).with("job_status", view::status(job.state))
        }
    })
}

fn count(operator: &Operator, took: &Took) {
    job_metrics::finished(&operator.world, operator.policy.catalogue(), &took.before, &took.after, None);
}

/// Rings for a job that may run now: also when the decision is repeated, so that it heals a bell that was lost.
async fn answer(operator: &Operator, job: &Job) -> Result<Answer, ApiError> {
    if job.claimable(operator.world.now()) {
        ring(operator, job).await;
    }
    operator.shown(job).await
}

async fn ring(operator: &Operator, job: &Job) {
    let trace = job.trace.as_deref().and_then(TraceParent::parse);
    let bell = Bell::new(job.user_id, job.request_id, trace.as_ref());
    if let Err(error) = operator.queue.ring(&bell, Duration::ZERO).await {
        operator.world.count(Metric::RingFailures);
        tracing::warn!(function = "operator", request_id = %job.request_id, error = %error, "not rung; the sweeper will");
    }
}

/// What follows when a job that stood in the line of a conversation is over: the next one is rung for. If that fails, the next
/// one finds out by itself, a little later.
async fn leave_line(operator: &Operator, job: &Job) {
    if !job.state.is_over() {
        return;
    }
    match operator.table.hand_on(&operator.world, job).await {
        Ok(None) => {}
        Ok(Some(next)) => ring(operator, &next).await,
        Err(error) => tracing::warn!(
            function = "operator", code = "not_handed_on", request_id = %job.request_id, error = %error,
            "the job is over, and still in line"
        ),
    }
}
