//! `GET /v1/conversations`: a user's conversations with agents, by name, page by page.

use domain::{access::cursor::Cursor, conversation::ConversationName, ids::UserId, view::ConversationView};
use lambda_http::Request;
use platform::http::{self, ApiError, Response};
use serde::Serialize;

use crate::{Status, query};

#[derive(Serialize)]
struct Page {
    conversations: Vec<ConversationView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// One page. It may have fewer entries than asked for and still be followed by another: deleted conversations are
/// skipped.
pub(crate) async fn list_conversations(status: &Status, request: &Request, user: UserId) -> Result<Response, ApiError> {
    let limit = query::limit(request)?;
    let keys = status.keys().await?;
    let after: Option<ConversationName> = query::after(request, user, &keys)?;
    // Reads one more than is shown, to know whether there is another page.
    let (mut known, mut next) = status.table.conversations_of(user, after.as_ref(), limit + 1).await?;
    if known.len() > limit {
        known.truncate(limit);
        next = known.last().map(|last| last.name.clone());
    }
    let next_cursor = next.map(|after| Cursor { after }.encode(user, keys.cursors.first()));
    Ok(http::ok(&Page { conversations: known.into_iter().map(ConversationView::from).collect(), next_cursor }))
}
