//! What becomes of a submission: decided by policy and the ladder before anything is recorded (invariant 9, *default deny*,
//! for the first time). A refusal is charged to the user's rate, and then recorded in the chain of what they were refused.

use shared::{
    audit::RefusalEvent,
    bearer,
    catalogue::Tool,
    http::{ApiError, Code},
    metrics::{Dimension, Metric},
    policy::{self, DenyReason, Gate, Gated, PolicyDecision},
    rate_limit::RateDecision,
    request_id::RequestId,
    session::Session,
    submission::{Call, Submission},
    summary,
    table::TableError,
    timestamp::Timestamp,
    user_id::UserId,
};

use crate::EdgeAuth;

/// A call that is recorded, and as what.
#[derive(Debug)]
pub(crate) struct Passed<'a> {
    pub(crate) tool: &'a Tool,
    pub(crate) call: Call,
    /// Never [`Gate::Refuse`].
    pub(crate) gated: Gated,
}

/// Decides about a submission of this session's user.
pub(crate) async fn decide<'a>(
    edge: &'a EdgeAuth,
    session: &Session,
    id: RequestId,
    submission: &Submission,
    now: Timestamp,
) -> Result<Passed<'a>, ApiError> {
    let user_id = session.user_id;
    let (user, controls) = tokio::join!(edge.table.user(user_id), edge.controls.get(&edge.table, &edge.world));
    let Some(user) = user.map_err(ApiError::unavailable)?.filter(|user| !user.revokes(session.began_at)) else {
        return Err(bearer::no_session("revoked"));
    };
    let call = submission.calls().first().ok_or_else(|| ApiError::new(Code::BodyInvalid))?;
    let known = edge.policy.tool(&call.tool);
    // Policies look at nothing that the tool's schema does not accept.
    if let Some(tool) = known {
        let faults = tool.validate(&call.arguments);
        faults.map_err(|faults| ApiError::new(Code::ArgumentsInvalid).with("errors", faults))?;
    }
    let asked = policy::Asked {
        user_id,
        groups: &user.groups,
        tool: &call.tool,
        arguments: &call.arguments,
        derived: false,
        audited: true,
        now,
    };
    let gated = edge.policy.gate(&controls, &asked);
    let reason = match (gated.gate, known) {
        (Gate::Refuse(reason), _) => reason,
        (_, None) => DenyReason::ToolUnknown,
        (Gate::Run | Gate::Ask(_) | Gate::Explain(_), Some(tool)) => {
            if matches!(gated.gate, Gate::Ask(_)) {
                let showable = summary::describe(tool, &call.arguments);
                showable.map_err(|why| ApiError::new(Code::ArgumentsNotShowable).detail(why.to_string()))?;
            }
            return Ok(Passed { tool, call: call.clone(), gated });
        }
    };
    note(edge, reason, &gated);
    charge(edge, user_id).await?;
    let tool = known.map(|tool| tool.entry.name.clone());
    let code = Code::from(reason);
    let refusal =
        RefusalEvent { tool, code: code.text().to_owned(), policies: gated.decided.policies, request_id: Some(id) };
    record_refusal(edge, user_id, refusal).await;
    Err(ApiError::new(code))
}

/// Counts a refusal, and says in the log why a policy could not be evaluated.
fn note(edge: &EdgeAuth, reason: DenyReason, gated: &Gated) {
    tracing::info!(function = "edge-auth", reason = reason.code(), "refused by policy");
    edge.world.measure(&[(Metric::PolicyRefusals, 1.0)], &[(Dimension::Reason, reason.code())]);
    if gated.decided.decision == PolicyDecision::Deny(DenyReason::PolicyError) {
        edge.world.count(Metric::PolicyErrors);
        for error in &gated.decided.errors {
            tracing::error!(function = "edge-auth", code = "policy_error", error = %error, "a policy cannot be evaluated");
        }
    }
}

/// Charges one request to the user, who may have none left.
pub(crate) async fn charge(edge: &EdgeAuth, user: UserId) -> Result<(), ApiError> {
    let (now, nonce, rate) = (edge.world.now(), edge.world.nonce(), edge.config.limits.submissions);
    match edge.table.charge_user(user, rate, now, &nonce).await.map_err(ApiError::unavailable)? {
        RateDecision::Pass(_) => Ok(()),
        RateDecision::Wait(wait) => Err(ApiError::new(Code::RateLimited).retry_after(wait)),
    }
}

/// Records what a user was refused. If that fails, the refusal stands all the same.
pub(crate) async fn record_refusal(edge: &EdgeAuth, user: UserId, refusal: RefusalEvent) {
    let recorded = edge.table.append_refusal(&edge.world, user, refusal, edge.policy.version()).await;
    if let Err(error) = recorded {
        // Requests of one user that race each other are not a failing table: no alarm, and no mode, follows from them.
        if !matches!(error, TableError::Contended(_)) {
            edge.world.count(Metric::AuditWriteFailures);
        }
        tracing::error!(function = "edge-auth", code = "refusal_unrecorded", error = %error, "a refusal was not recorded");
    }
}
