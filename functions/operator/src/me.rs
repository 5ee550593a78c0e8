//! `GET /v1/operator/me` and `POST /v1/operator/me/users`: the operator, their permissions, and the users that belong
//! to them.

use domain::{
    audit::OperatorEvent,
    ids::{OperatorId, UserId},
    policy::OperatorAction,
};
use lambda_http::Request;
use platform::http::{self, ApiError, Code, Response, body};
use serde::{Deserialize, Serialize};
use store::OWN_AT_MOST;

use crate::{Operator, caller::Caller};

#[derive(Serialize)]
struct Me<'a> {
    operator_id: OperatorId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    roles: Vec<&'a str>,
    user_ids: Vec<UserId>,
    may: May,
}

#[derive(Serialize)]
struct May {
    view: bool,
    decide: bool,
    administer: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    user_id: UserId,
}

/// The operator of this request.
pub(crate) fn me(operator: &Operator, caller: &Caller) -> Response {
    let may = |action| operator.may(caller.known.id, &caller.identity.roles, action, false);
    http::ok(&Me {
        operator_id: caller.known.id,
        name: caller.known.name.as_deref(),
        roles: caller.identity.roles.iter().map(String::as_str).collect(),
        user_ids: caller.known.user_ids.iter().copied().collect(),
        may: May {
            view: may(OperatorAction::View),
            decide: may(OperatorAction::Decide),
            administer: may(OperatorAction::Administer),
        },
    })
}

/// Records that a user is the operator's own. It cannot be removed: an operator could otherwise remove it and decide
/// their own requests.
pub(crate) async fn add_user(operator: &Operator, caller: &Caller, request: &Request) -> Result<Response, ApiError> {
    let Body { user_id } = body::read(request, r#"{"user_id": …}"#)?;
    if caller.is(user_id) {
        return Ok(me(operator, caller));
    }
    if operator.table.user(user_id).await?.is_none() {
        return Err(ApiError::new(Code::NotFound));
    }
    let full =
        || ApiError::new(Code::BodyInvalid).detail(format!("an operator has at most {OWN_AT_MOST} users of their own"));
    if caller.known.user_ids.len() >= OWN_AT_MOST {
        return Err(full());
    }
    operator.record(caller, OperatorEvent::UserRegistered { user_id }).await?;
    let added = operator.table.add_own_user(caller.identity.subject, user_id).await?;
    let known = added.ok_or_else(full)?;
    Ok(me(operator, &Caller { identity: caller.identity.clone(), known }))
}
