//! Authenticates the operator of a request, and decides whether they may make it.

use std::collections::BTreeSet;

use domain::{
    access::operator_token::{Identity, MAX_TOKEN_LEN, Unverified},
    audit::{OperatorActor, OperatorEvent},
    ids::{OperatorId, UserId},
    policy::{OperatorAction, OperatorQuery},
};
use http::HeaderMap;
use platform::{
    http::{ApiError, Code, bearer, routes::OperatorCall},
    metrics::Metric,
    telemetry::RequestLog,
};
use store::KnownOperator;

use crate::Operator;

/// An operator who is permitted to make the call.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The claims of their token.
    pub(crate) identity: Identity,
    /// What the service has stored about them.
    pub(crate) known: KnownOperator,
}

impl Caller {
    /// The actor in audit records.
    pub(crate) fn actor(&self) -> OperatorActor {
        OperatorActor::Operator(self.known.id)
    }

    /// Whether the user belongs to this operator.
    pub(crate) fn is(&self, user: UserId) -> bool {
        self.known.user_ids.contains(&user)
    }
}

/// Why a request is not authenticated.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Reason(String);

fn no_operator(reason: impl ToString) -> ApiError {
    ApiError::new(Code::NoOperator).because(Reason(reason.to_string()))
}

impl Operator {
    /// Authenticates the operator of a request, and asks policy whether they may use the route. Operators without any
    /// permission are not stored. A call that the operator's role does not permit is recorded in the operators' side
    /// chain.
    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        call: OperatorCall,
        log: &mut RequestLog<'_>,
    ) -> Result<Caller, ApiError> {
        let identity = self.identify(headers).await?;
        let stored = self.table.operator(identity.subject).await?;
        let id = stored.as_ref().map_or_else(|| OperatorId::from_random(self.runtime.bytes()), |known| known.id);
        let permitted = OperatorAction::ALL.map(|action| self.may(id, &identity.roles, action, false));
        if !permitted.contains(&true) {
            return Err(ApiError::new(Code::OperatorForbidden));
        }
        let known = match stored {
            Some(known) if known.name == identity.name => known,
            Some(_) | None => {
                let met = self.table.meet_operator(identity.subject, id, identity.name.as_deref());
                met.await?
            }
        };
        log.operator_id = Some(known.id);
        let caller = Caller { identity, known };
        if !self.may(id, &caller.identity.roles, call.action(), false) {
            return Err(self.refuse(&caller, call, Code::OperatorForbidden).await);
        }
        Ok(caller)
    }

    async fn identify(&self, headers: &HeaderMap) -> Result<Identity, ApiError> {
        let token = bearer::token(headers, MAX_TOKEN_LEN).map_err(no_operator)?;
        let unverified = Unverified::read(token).map_err(no_operator)?;
        let keys = self.jwks.keys(unverified.kid(), &self.runtime).await.map_err(ApiError::unavailable)?;
        keys.verify(token, &unverified, &self.config.audience, self.runtime.now()).map_err(no_operator)
    }

    /// Asks policy. A policy that cannot be evaluated denies, and is logged and counted.
    pub(crate) fn may(&self, id: OperatorId, roles: &BTreeSet<String>, action: OperatorAction, own: bool) -> bool {
        let query = OperatorQuery { operator_id: id, roles, action, own, now: self.runtime.now() };
        let decided = self.operators.decide(&query);
        if !decided.errors.is_empty() {
            self.runtime.count(Metric::PolicyErrors);
            let error = Vec::from_iter(decided.errors).join("; ");
            tracing::error!(
                function = "operator",
                code = "policy_error",
                error,
                "a policy about operators cannot be evaluated"
            );
        }
        decided.permitted
    }

    /// The response to a call that is refused. The refusal is recorded once per minute for the same call and code, so
    /// that one operator cannot fill a chain that is kept for ever; refusals at the same moment may each be recorded.
    /// If recording fails, the call is refused nevertheless.
    pub(crate) async fn refuse(&self, caller: &Caller, call: OperatorCall, code: Code) -> ApiError {
        match self.record_refusal(caller, call.name(), code.text()).await {
            Ok(()) => ApiError::new(code),
            Err(_) => ApiError::new(code).because(Reason("the refusal could not be recorded".to_owned())),
        }
    }

    async fn record_refusal(&self, caller: &Caller, call: &str, code: &str) -> Result<(), ApiError> {
        let (subject, at) = (caller.identity.subject, self.runtime.now());
        if self.table.call_refusal_noted(subject, call, code, at).await? {
            return Ok(());
        }
        let event = OperatorEvent::CallRefused { call: call.to_owned(), code: code.to_owned() };
        self.record(caller, event).await?;
        // The refusal is recorded. Without the marker of this minute the same refusal may be recorded once more, which
        // does no harm.
        if let Err(error) = self.table.note_call_refusal(subject, call, code, at).await {
            tracing::warn!(function = "operator", error = %error, "a refusal was recorded, and its marker for this minute was not stored");
        }
        Ok(())
    }

    /// Whether policy lets an operator do this to this particular user.
    pub(crate) async fn may_about(
        &self,
        caller: &Caller,
        call: OperatorCall,
        user: UserId,
        code: Code,
    ) -> Result<(), ApiError> {
        if self.may(caller.known.id, &caller.identity.roles, call.action(), caller.is(user)) {
            return Ok(());
        }
        Err(self.refuse(caller, call, code).await)
    }

    /// Appends to the operators' side chain. Must succeed before the action, so that no action lacks its record.
    pub(crate) async fn record(&self, caller: &Caller, event: OperatorEvent) -> Result<(), ApiError> {
        let appended = self.table.append_operator(&self.runtime, caller.actor(), event, self.operators.version()).await;
        self.table.audited(&self.runtime, appended).await?;
        Ok(())
    }
}
