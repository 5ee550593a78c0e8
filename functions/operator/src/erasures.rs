//! `GET /v1/operator/erasures`: the erasures of users, those that are open first, then the finished ones, newest first.

use domain::erasure::ErasureView;
use lambda_http::Request;
use platform::http::{self, ApiError, Response, query};
use serde::Serialize;
use store::keys;

use crate::{Operator, pages};

const LIST: &str = "erasures";
/// How many open ones the first page shows at most, the oldest ones.
const OPEN_AT_MOST: usize = 100;

#[derive(Serialize)]
struct Page {
    erasures: Vec<ErasureView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// One page. Open ones are on the first page only.
pub(crate) async fn list(operator: &Operator, request: &Request) -> Result<Response, ApiError> {
    let limit = query::limit(request)?;
    let after = pages::after(request, LIST)?;
    if after.as_deref().is_some_and(|after| keys::parse_erasure_at(after).is_none()) {
        return Err(pages::invalid());
    }
    let mut users = Vec::new();
    if after.is_none() {
        let open = operator.table.open_erasures(OPEN_AT_MOST).await?;
        let mut open: Vec<_> = open.into_iter().map(|(user, _, at)| (at, user)).collect();
        open.sort_unstable();
        users.extend(open.into_iter().map(|(_, user)| user));
    }
    let (finished, next) = operator.table.finished_erasures(after, limit).await?;
    // The pointer to an open one is removed after the one to the finished one is put.
    let finished: Vec<_> = finished.into_iter().filter(|user| !users.contains(user)).collect();
    users.extend(finished);
    let read = users.iter().map(|user| operator.table.erasure(*user));
    let read = futures_util::future::try_join_all(read).await?;
    let erasures = users.iter().zip(read).filter_map(|(user, erasure)| Some(erasure?.view(*user))).collect();
    Ok(http::ok(&Page { erasures, next_cursor: next.map(|place| pages::cursor(LIST, place)) }))
}
