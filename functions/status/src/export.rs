//! `GET /v1/users/me/export`: everything that is stored about the user, page by page.

use domain::{
    access::cursor::Cursor,
    ids::{Digest, RequestId, Timestamp, UserId},
    job::Step,
    view::{ConversationView, JobView},
};
use lambda_http::Request;
use platform::http::{self, ApiError, Response};
use serde::Serialize;
use serde_json::{Value, json};
use store::{ExportPlace, KeptResult, Owned, Stored};

use crate::{Status, query};

#[derive(Serialize)]
struct Page {
    user_id: UserId,
    exported_at: String,
    items: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// One page: up to `limit` items, and about 1 MB. It may have fewer and still be followed by another one.
pub(crate) async fn export(status: &Status, request: &Request, user_id: UserId) -> Result<Response, ApiError> {
    let limit = query::limit(request)?;
    let keys = status.keys().await?;
    let after: Option<ExportPlace> = query::after(request, user_id, &keys)?;
    let (owned, next) = status.table.owned(user_id, after, limit).await?;
    let now = status.runtime.now();
    let mut items = Vec::with_capacity(owned.len());
    // The requests of one job follow each other.
    let mut last: Option<(RequestId, Option<Stored>)> = None;
    for item in owned {
        let Owned::Request(id, digest, content) = item else {
            items.push(shown(item, user_id, now));
            continue;
        };
        let job = match last {
            Some((of, job)) if of == id => job,
            Some(_) | None => status.table.job(user_id, id).await.map_err(ApiError::unavailable)?,
        };
        items.push(request_of(job.as_ref(), id, digest, content));
        last = Some((id, job));
    }
    let next_cursor = next.map(|after| Cursor { after }.encode(user_id, keys.cursors.first()));
    Ok(http::ok(&Page { user_id, exported_at: now.to_string(), items, next_cursor }))
}

/// What a step sends, if its user was shown it: a model may have written what content safety holds or refuses.
fn request_of(job: Option<&Stored>, id: RequestId, digest: Digest, content: Value) -> Value {
    let is_shown = |step: &Step| step.input == Some(digest) && step.request_was_shown();
    let shown = matches!(job, Some(Stored::Job(job)) if job.steps.iter().any(is_shown));
    let content = if shown { content } else { json!({ "omitted": "not_sent" }) };
    json!({ "kind": "request", "request_id": id, "content": content })
}

fn shown(item: Owned, user_id: UserId, now: Timestamp) -> Value {
    match item {
        Owned::User { openid, last_login, groups, limited_to } => {
            let last_login_at = last_login.map(|at| at.to_string());
            json!({
                "kind": "user", "openid": openid, "last_login_at": last_login_at, "groups": groups, "limited_to": limited_to
            })
        }
        Owned::Job(Stored::Job(job)) => {
            let result = KeptResult::at_hand(job.result.as_ref()).shown();
            json!({ "kind": "job", "job": JobView::new(&job, result, now) })
        }
        Owned::Job(Stored::Newer) => json!({ "kind": "job", "unreadable": true }),
        Owned::Submission(request_id, payload, record) => {
            let (steps, digest_key) = payload.map(|kept| (kept.steps, String::from(kept.digest_key))).unzip();
            json!({
                "kind": "submission", "request_id": request_id, "steps": steps, "digest_key": digest_key, "record": record
            })
        }
        Owned::Result(request_id, content) => json!({ "kind": "result", "request_id": request_id, "content": content }),
        Owned::Request(request_id, _, _) => json!({ "kind": "request", "request_id": request_id }),
        Owned::AuditRecord(request_id, record) => {
            json!({ "kind": "audit_record", "request_id": request_id, "record": record })
        }
        Owned::Refusal(record) => json!({ "kind": "refusal", "record": record }),
        Owned::Conversation(known) => {
            json!({ "kind": "conversation", "conversation": ConversationView::from(known) })
        }
        Owned::Erasure(erasure) => json!({ "kind": "erasure", "erasure": erasure.view(user_id) }),
        Owned::Other(key, content) => json!({ "kind": "other", "key": key, "content": content }),
    }
}
