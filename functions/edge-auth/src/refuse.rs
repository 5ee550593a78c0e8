//! Refusals: charged to the user's rate, counted, and recorded in the user's side chain of refusals if policy decided
//! them.

use domain::{
    audit::RefusalEvent,
    ids::{RequestId, Timestamp, UserId},
    policy::{Decided, DenyReason, PolicyDecision},
};
use platform::{
    http::{ApiError, Code},
    metrics::{Dimension, Metric},
};

use crate::{EdgeAuth, charge::charge};

/// Why a step is refused.
pub(crate) enum Refusal {
    /// The step is invalid, so policy was not asked.
    Faulty(ApiError),
    /// Policy or service mode refused it.
    Refused {
        reason: DenyReason,
        /// The tool or the agent, if the catalogue lists it.
        named: Option<String>,
        decided: Decided,
    },
}

/// Charges a refusal, and records it if policy decided it. Returns the error for the client; `Err` when charging failed
/// or the rate is used up.
pub(crate) async fn refuse(
    edge: &EdgeAuth,
    user_id: UserId,
    id: RequestId,
    refusal: Refusal,
    now: Timestamp,
) -> Result<ApiError, ApiError> {
    let (reason, named, decided) = match refusal {
        Refusal::Faulty(error) => {
            charge(edge, user_id, now).await?;
            return Ok(error);
        }
        Refusal::Refused { reason, named, decided } => (reason, named, decided),
    };
    note(edge, reason, &decided);
    charge(edge, user_id, now).await?;
    let code = Code::from(reason);
    let refusal =
        RefusalEvent { tool: named, code: code.text().to_owned(), policies: decided.policies, request_id: Some(id) };
    record_refusal(edge, user_id, refusal).await;
    Ok(ApiError::new(code))
}

/// Counts a policy refusal, and logs why a policy could not be evaluated.
fn note(edge: &EdgeAuth, reason: DenyReason, decided: &Decided) {
    tracing::info!(function = "edge-auth", reason = reason.code(), "refused by policy");
    edge.runtime.measure(&[(Metric::PolicyRefusals, 1.0)], &[(Dimension::Reason, reason.code())]);
    if decided.decision == PolicyDecision::Deny(DenyReason::PolicyError) {
        edge.runtime.count(Metric::PolicyErrors);
        for error in &decided.errors {
            tracing::error!(function = "edge-auth", code = "policy_error", error = %error, "a policy cannot be evaluated");
        }
    }
}

/// Records a refusal in the user's side chain. If that fails, the request is refused nevertheless.
pub(crate) async fn record_refusal(edge: &EdgeAuth, user: UserId, refusal: RefusalEvent) {
    let recorded = edge.table.append_refusal(&edge.runtime, user, refusal, edge.policy.version()).await;
    if let Err(error) = edge.table.audited(&edge.runtime, recorded).await {
        tracing::error!(function = "edge-auth", code = "refusal_unrecorded", error = %error, "a refusal was not recorded");
    }
}
