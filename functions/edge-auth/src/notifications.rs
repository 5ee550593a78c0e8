//! `POST /v1/notifications`: the user has accepted templates in a dialog of WeChat, so one message of each may be sent.

use lambda_http::Request;
use platform::{
    http::{self, ApiError, Code, Response, body},
    telemetry::RequestLog,
};
use serde::Deserialize;
use service::session;

use crate::{EdgeAuth, charge};

/// Templates that one dialog of WeChat may show.
const ACCEPTED_AT_MOST: usize = 3;
const EXPECTED: &str = r#"{"accepted": [1 to 3 names of notifications]}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    accepted: Vec<String>,
}

pub(crate) async fn accepted(
    edge: &EdgeAuth,
    request: &Request,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let now = edge.runtime.now();
    let session = edge.session(request, now, log).await?;
    session::alive(&session, &edge.table).await?;
    let Accepted { accepted } = body::read(request, EXPECTED)?;
    charge::charge(edge, session.user_id, now).await?;
    if !(1..=ACCEPTED_AT_MOST).contains(&accepted.len()) {
        return Err(ApiError::new(Code::BodyInvalid).detail(format!("expected {EXPECTED}")));
    }
    let templates = accepted.iter().map(|name| template(edge, name)).collect::<Result<Vec<_>, _>>()?;
    for template_id in templates {
        edge.table.add_credit(&session, template_id).await.map_err(ApiError::unavailable)?;
    }
    Ok(http::no_content())
}

/// WeChat's id of the template of a notification.
fn template<'a>(edge: &'a EdgeAuth, name: &str) -> Result<&'a str, ApiError> {
    let known = edge.policy.notifications().get(name);
    known.map(|known| known.template_id.as_str()).ok_or_else(|| ApiError::new(Code::NotificationUnknown))
}

/// Requires that a notification which a submission asks for is one of the settings.
pub(crate) fn check(edge: &EdgeAuth, name: Option<&str>) -> Result<(), ApiError> {
    name.map_or(Ok(()), |name| template(edge, name).map(drop))
}
