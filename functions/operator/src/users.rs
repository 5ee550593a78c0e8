//! `/v1/operator/users/{user_id}/…`: a user's sessions, groups and refusals.

use std::collections::BTreeSet;

use domain::{
    audit::{OperatorEvent, checkpoint::End},
    ids::UserId,
    limits::admission::UserState,
};
use lambda_http::Request;
use platform::{
    http::{self, ApiError, Code, Response, body, routes::OperatorCall},
    telemetry::RequestLog,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Operator, caller::Caller, request_body::Reason};

/// The most groups of one user.
const GROUPS_AT_MOST: usize = 16;
/// The longest name of a group, in characters.
const GROUP_NAME_AT_MOST: usize = 40;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevocationBody {
    reason: Reason,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupsBody {
    groups: BTreeSet<Group>,
    reason: Reason,
}

/// The name of a group, as policies spell it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Group(String);

/// The text is not a valid name of a group.
#[derive(Debug, thiserror::Error)]
#[error("not a name of a group")]
struct NotAGroup;

impl TryFrom<String> for Group {
    type Error = NotAGroup;

    fn try_from(text: String) -> Result<Self, NotAGroup> {
        let of_a_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let fits = (1..=GROUP_NAME_AT_MOST).contains(&text.len()) && text.bytes().all(of_a_name);
        if fits { Ok(Self(text)) } else { Err(NotAGroup) }
    }
}

#[derive(Serialize)]
struct Refusals {
    records: Vec<Value>,
    head: End,
}

/// The user that a path names. From then on the log line of the request contains the user id.
fn named(user: &str, log: &mut RequestLog<'_>) -> Result<UserId, ApiError> {
    let user: UserId = user.parse().map_err(|_| ApiError::new(Code::NotFound))?;
    log.user_id = Some(user);
    Ok(user)
}

impl Operator {
    /// A user who is not erased.
    async fn known_user(&self, user: UserId) -> Result<UserState, ApiError> {
        let known = self.table.user(user).await?;
        known.filter(|known| known.erasure.is_none()).ok_or_else(|| ApiError::new(Code::NotFound))
    }
}

/// Revokes every session of a user. They may log in again.
pub(crate) async fn revoke(
    operator: &Operator,
    caller: &Caller,
    request: &Request,
    user: &str,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let user_id = named(user, log)?;
    let RevocationBody { reason } = body::read(request, r#"{"reason": 1 to 200 characters}"#)?;
    operator.known_user(user_id).await?;
    operator.record(caller, OperatorEvent::UserRevoked { user_id, reason: reason.text() }).await?;
    let now = operator.runtime.now();
    operator.table.revoke_sessions(user_id, now).await?;
    Ok(http::ok(&json!({ "user_id": user_id, "revoked_at": now.to_string() })))
}

/// Replaces a user's groups. Policy uses them from its next decision, also for jobs that were accepted before.
pub(crate) async fn set_groups(
    operator: &Operator,
    caller: &Caller,
    request: &Request,
    user: &str,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let user_id = named(user, log)?;
    let expected = r#"{"groups": up to 16 names of a-z, 0-9, - and _, "reason": 1 to 200 characters}"#;
    let GroupsBody { groups, reason } = body::read(request, expected)?;
    if groups.len() > GROUPS_AT_MOST {
        return Err(ApiError::new(Code::BodyInvalid).detail(format!("expected {expected}")));
    }
    operator.may_about(caller, OperatorCall::Groups, user_id, Code::OperatorForbidden).await?;
    let groups: BTreeSet<String> = groups.into_iter().map(|group| group.0).collect();
    let now = operator.known_user(user_id).await?;
    if now.groups != groups {
        let named = groups.iter().cloned().collect();
        operator.record(caller, OperatorEvent::GroupsSet { user_id, groups: named, reason: reason.text() }).await?;
        if !operator.table.set_groups(user_id, &groups).await? {
            return Err(ApiError::new(Code::NotFound));
        }
    }
    Ok(http::ok(&json!({ "user_id": user_id, "groups": groups })))
}

/// The user's newest refusals.
pub(crate) async fn refusals(operator: &Operator, user: &str, log: &mut RequestLog<'_>) -> Result<Response, ApiError> {
    let page = operator.table.refusals_of(named(user, log)?).await?;
    Ok(http::ok(&Refusals { records: page.records, head: page.head.into() }))
}
