//! `GET /v1/operator/audit` and `GET /v1/operator/checkpoints`: the side chain of operators, and the signed
//! checkpoints.

use domain::{
    audit::checkpoint::{Checkpoint, End, JobEnd, PublicKey},
    ids::support_code,
    job::Job,
    json,
};
use lambda_http::Request;
use platform::http::{self, ApiError, Response, query};
use serde::Serialize;
use serde_json::Value;
use store::TableError;

use crate::{Operator, get_job::Anchor, pages};

#[derive(Serialize)]
struct Chain {
    records: Vec<Value>,
    head: End,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Checkpoints {
    checkpoints: Vec<Value>,
    keys: Vec<PublicKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// The position in a numbered list, from its cursor.
fn after(request: &Request, list: &str) -> Result<Option<u64>, ApiError> {
    let place = pages::after(request, list)?;
    place.map(|text| text.parse().map_err(|_| pages::invalid())).transpose()
}

/// The records of the operators' side chain, oldest first.
pub(crate) async fn operators(operator: &Operator, request: &Request) -> Result<Response, ApiError> {
    let (list, limit) = ("audit", query::limit(request)?);
    let from = after(request, list)?.unwrap_or(0);
    let page = operator.table.operator_chain(from, limit).await?;
    let next_cursor = page.next.map(|after| pages::cursor(list, after));
    Ok(http::ok(&Chain { records: page.records, head: page.head.into(), next_cursor }))
}

/// Bytes of a response, after which the rest is left to the next page.
const ANSWER_AT_MOST: usize = 1024 * 1024;

/// The checkpoints, newest first, as they were exported, and the keys that the newest one announces.
pub(crate) async fn checkpoints(operator: &Operator, request: &Request) -> Result<Response, ApiError> {
    let (list, limit) = ("checkpoints", query::limit(request)?);
    let before = after(request, list)?;
    // Reads one more than is shown, to know whether there is another page.
    let kept = operator.table.checkpoints_before(before, limit + 1).await?;
    let newest = match before {
        None => kept.first().map(|kept| kept.checkpoint.clone()),
        Some(_) => operator.table.last_checkpoint().await?.map(|kept| kept.checkpoint),
    };
    let keys = newest.map(|checkpoint| checkpoint.statement.keys).unwrap_or_default();
    let (mut checkpoints, mut bytes, mut last) = (Vec::new(), 0, None);
    for kept in kept.iter().take(limit) {
        bytes += kept.document.len();
        if bytes > ANSWER_AT_MOST && !checkpoints.is_empty() {
            break;
        }
        checkpoints.push(json::kept(&kept.document).map_err(|_| TableError::Malformed("checkpoint"))?);
        last = Some(kept.checkpoint.statement.seq);
    }
    let more = checkpoints.len() < kept.len();
    let next_cursor = last.filter(|_| more).map(|seq| pages::cursor(list, seq));
    Ok(http::ok(&Checkpoints { checkpoints, keys, next_cursor }))
}

impl Operator {
    /// The entry of the checkpoint that covers the end of the job's chain; `None` until there is one.
    pub(crate) async fn anchor(&self, job: &Job) -> Result<Option<Anchor>, TableError> {
        if !job.state.is_over() {
            return Ok(None);
        }
        let Some(Checkpoint { statement, .. }) = self.table.checkpoint_of(job).await? else { return Ok(None) };
        let code = support_code(job.user_id, job.request_id);
        let named = statement.heads.iter().find(|head| head.job == code);
        Ok(named.map(|JobEnd { end, .. }| Anchor { checkpoint: statement.seq, length: end.length, digest: end.digest }))
    }
}
