//! Who asks, and whether they may.

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
use store::{KnownOperator, TableError};

use crate::{Operator, fault};

/// An operator who may do what they ask for.
#[derive(Debug)]
pub(crate) struct Caller {
    /// What their token says.
    pub(crate) identity: Identity,
    /// What the service knows of them.
    pub(crate) known: KnownOperator,
}

impl Caller {
    /// As audit records name them.
    pub(crate) fn actor(&self) -> OperatorActor {
        OperatorActor::Operator(self.known.id)
    }

    /// Whether a user is this operator.
    pub(crate) fn is(&self, user: UserId) -> bool {
        self.known.user_ids.contains(&user)
    }
}

/// Why a request has no operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Reason(String);

fn no_operator(reason: impl ToString) -> ApiError {
    ApiError::new(Code::NoOperator).because(Reason(reason.to_string()))
}

impl Operator {
    /// The operator of a request, if the policies let them do what the route is for. Whoever may do nothing at all is not
    /// remembered; a call that somebody's role does not permit stands in the chain of what operators did.
    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        call: OperatorCall,
        log: &mut RequestLog<'_>,
    ) -> Result<Caller, ApiError> {
        let identity = self.identify(headers).await?;
        let stored = self.table.operator(identity.subject).await.map_err(fault)?;
        let id = stored.as_ref().map_or_else(|| OperatorId::from_random(self.runtime.bytes()), |known| known.id);
        let permitted = OperatorAction::ALL.map(|action| self.may(id, &identity.roles, action, false));
        if !permitted.contains(&true) {
            return Err(ApiError::new(Code::OperatorForbidden));
        }
        let known = match stored {
            Some(known) if known.name == identity.name => known,
            Some(_) | None => {
                let met = self.table.meet_operator(identity.subject, id, identity.name.as_deref());
                met.await.map_err(fault)?
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

    /// Asks the policies. What they cannot evaluate denies, loudly.
    pub(crate) fn may(&self, id: OperatorId, roles: &BTreeSet<String>, action: OperatorAction, own: bool) -> bool {
        let query = OperatorQuery { operator_id: id, roles, action, own, now: self.runtime.now() };
        let decided = self.operators.decide(&query);
        if !decided.errors.is_empty() {
            self.runtime.count(Metric::PolicyErrors);
            let error = decided.errors.join("; ");
            tracing::error!(
                function = "operator",
                code = "policy_error",
                error,
                "a policy about operators cannot be evaluated"
            );
        }
        decided.permitted
    }

    /// The answer to a call that is not permitted, or not to be had: recorded, once in a minute for the same call and code, so
    /// that one operator cannot fill a chain that is kept for ever; only calls that are refused at the same moment are each
    /// recorded. What cannot be recorded changes no refusal.
    pub(crate) async fn refuse(&self, caller: &Caller, call: OperatorCall, code: Code) -> ApiError {
        match self.record_refusal(caller, call.name(), code.text()).await {
            Ok(()) => ApiError::new(code),
            Err(_) => ApiError::new(code).because(Reason("the refusal could not be recorded".to_owned())),
        }
    }

    async fn record_refusal(&self, caller: &Caller, call: &str, code: &str) -> Result<(), ApiError> {
        let (subject, at) = (caller.identity.subject, self.runtime.now());
        if self.table.call_refusal_noted(subject, call, code, at).await.map_err(fault)? {
            return Ok(());
        }
        let event = OperatorEvent::CallRefused { call: call.to_owned(), code: code.to_owned() };
        self.record(caller, event).await?;
        // The record stands. Without the note the same refusal is recorded once more, and nothing else goes wrong.
        if let Err(error) = self.table.note_call_refusal(subject, call, code, at).await {
            tracing::warn!(function = "operator", error = %error, "a recorded refusal could not be noted");
        }
        Ok(())
    }

    /// Whether the policies let an operator do what the route is for to this very user.
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

    /// Appends to the chain of what operators did. What it tells of is done afterwards: nothing is done untold.
    pub(crate) async fn record(&self, caller: &Caller, event: OperatorEvent) -> Result<(), ApiError> {
        let appended = self.table.append_operator(&self.runtime, caller.actor(), event, self.operators.version()).await;
        // Operators that race each other are not a failing table.
        let count = |error: &TableError| {
            if !matches!(error, TableError::Contended(_)) {
                self.runtime.count(Metric::AuditWriteFailures);
            }
        };
        appended.map(drop).inspect_err(count).map_err(fault)
    }
}
