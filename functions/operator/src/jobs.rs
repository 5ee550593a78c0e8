//! `GET /v1/operator/jobs?state=` and `GET /v1/operator/users/{user_id}/jobs`: jobs by state, and jobs of one user.

use domain::{
    ids::{RequestId, Timestamp, UserId, support_code},
    job::{Effect, Job, JobState},
    view::{self, ResolutionView},
};
use lambda_http::Request;
use platform::{
    http::{self, ApiError, Code, Response, query},
    telemetry::RequestLog,
};
use serde::Serialize;
use store::Order;

use crate::{
    Operator,
    pages::{self, Of, Page},
};

/// One job in a list.
#[derive(Serialize)]
struct Entry {
    /// The support code.
    job: String,
    user_id: UserId,
    request_id: RequestId,
    status: &'static str,
    tool: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<Effect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<ResolutionView>,
    created_at: String,
    updated_at: String,
    age_s: u64,
}

#[derive(Serialize)]
struct Jobs {
    jobs: Vec<Entry>,
    /// Support codes of jobs that belong in this list and cannot be parsed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl Entry {
    fn new(job: &Job, now: Timestamp) -> Self {
        Self {
            job: support_code(job.user_id, job.request_id),
            user_id: job.user_id,
            request_id: job.request_id,
            status: view::status(job.state),
            tool: job.step().or_else(|| job.steps.last()).map(|step| step.tool.clone()).unwrap_or_default(),
            error: job.error.clone(),
            effect: job.effect,
            resolution: job.resolution.as_ref().map(ResolutionView::from),
            created_at: job.created_at.to_string(),
            updated_at: job.updated_at.to_string(),
            age_s: now.since(job.created_at).as_secs(),
        }
    }
}

/// The states that may be asked for, and how the list of each is stored.
fn list_of(state: &str) -> Option<Of> {
    let ever = Timestamp::from_millis(0);
    Some(match JobState::parse(state)? {
        state @ (JobState::Queued | JobState::Running | JobState::Retrying | JobState::AwaitingApproval) => {
            Of::Open(state)
        }
        state @ (JobState::Unknown | JobState::Failed | JobState::Refused | JobState::Expired) => {
            Of::Pointers(state, Order::LatestFirst, ever)
        }
        // The public name of `Waiting` is `running`. No list is kept of jobs that ended as expected.
        JobState::Waiting | JobState::Succeeded | JobState::Explained | JobState::Cancelled => return None,
    })
}

/// Jobs in one state.
pub(crate) async fn by_state(operator: &Operator, request: &Request) -> Result<Response, ApiError> {
    let state = query::once(request, "state")?.unwrap_or_default();
    let of = list_of(state).ok_or_else(|| {
        let states = "queued, running, retrying, awaiting_approval, unknown, failed, refused, expired";
        query::invalid("state", format!("state must be one of {states}"))
    })?;
    let Page { jobs, unreadable, next_cursor } = operator.page(request, &format!("jobs:{state}"), of).await?;
    let now = operator.runtime.now();
    Ok(http::ok(&Jobs { jobs: jobs.iter().map(|job| Entry::new(job, now)).collect(), unreadable, next_cursor }))
}

/// A user's jobs, newest first.
pub(crate) async fn of_user(
    operator: &Operator,
    request: &Request,
    user: &str,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let user: UserId = user.parse().map_err(|_| ApiError::new(Code::NotFound))?;
    log.user_id = Some(user);
    let limit = query::limit(request)?;
    let list = format!("user:{user}");
    let after = pages::after(request, &list)?;
    let after = after.map(|text| text.parse::<RequestId>().map_err(|_| pages::invalid())).transpose()?;
    // Reads one more than is shown, to know whether there is another page.
    let (mut jobs, mut next) = operator.table.jobs_of(user, after, limit + 1).await?;
    if jobs.len() > limit {
        jobs.truncate(limit);
        next = jobs.last().map(|job| job.request_id);
    }
    let now = operator.runtime.now();
    let jobs = jobs.iter().map(|job| Entry::new(job, now)).collect();
    Ok(http::ok(&Jobs { jobs, unreadable: Vec::new(), next_cursor: next.map(|after| pages::cursor(&list, after)) }))
}
