//! What the decisions about calls, turns and proposals have in common.

use std::{collections::BTreeSet, sync::Arc};

use domain::{
    access::service_mode::Controls,
    limits::admission::UserState,
    policy::{Decided, DenyReason, PolicyDecision},
};
use platform::metrics::Metric;
use service::controls;

use super::{RunError, StepContext};
use crate::Worker;

/// Input of policy decisions: the user's groups and the service modes.
pub(crate) struct PolicyContext {
    pub(crate) groups: BTreeSet<String>,
    pub(crate) controls: Arc<Controls>,
}

/// The user of a job, as far as a run has read the item.
#[derive(Debug)]
pub(crate) enum KnownUser {
    /// Read with the payload, after the claim: policy decides milliseconds later, with the groups as they are now.
    /// `None`: the item does not exist.
    Read(Option<UserState>),
    /// Not read, because nothing is decided, or only after an answer of the gateway, for which groups have to be read
    /// then.
    NotRead,
}

impl Worker {
    /// Input of policy decisions. `None` when the user's item does not exist, or the user is erased: without groups,
    /// rules that forbid something to a group would not apply, so policy is not asked, and nothing is sent.
    pub(crate) async fn policy_context(&self, context: &StepContext<'_>) -> Result<Option<PolicyContext>, RunError> {
        let user = async {
            match &context.user {
                KnownUser::Read(user) => Ok(user.clone()),
                KnownUser::NotRead => self.table.user(context.job.user_id).await,
            }
        };
        let (user, controls) = tokio::join!(user, self.controls.get(&self.table, &self.runtime));
        Ok(user?.filter(|user| user.erasure.is_none()).map(|user| {
            let controls = controls::limited(controls, &user, &self.policy);
            PolicyContext { groups: user.groups, controls }
        }))
    }

    /// Counts and logs policies that could not be evaluated. The decision was to deny.
    pub(crate) fn report_policy_errors(&self, decided: &Decided) {
        if decided.decision == PolicyDecision::Deny(DenyReason::PolicyError) {
            self.runtime.count(Metric::PolicyErrors);
            for error in &decided.errors {
                tracing::error!(function = "worker", code = "policy_error", error = %error, "a policy cannot be evaluated");
            }
        }
    }
}
