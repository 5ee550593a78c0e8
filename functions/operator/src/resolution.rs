//! `POST /v1/operator/jobs/{job}/resolution`: an operator has found out, outside the service, whether an unknown write
//! ran. The write is never sent again; the finding goes into the job's `resolution`, and the status stays (invariant
//! 2).

use domain::{
    audit::{AuditEvent, OperatorEvent},
    ids::{Actor, Digest},
    job::{Job, JobEvent, JobState, Resolution, ResolvedBy},
    view,
};
use lambda_http::Request;
use platform::{
    http::{ApiError, Code, Response, body, routes::OperatorCall},
    telemetry::RequestLog,
};
use serde::Deserialize;

use crate::{Operator, caller::Caller, get_job::named, request_body::Reason};

/// `sweep` writes to unknown jobs, too; after this many lost conditional writes the operator gets a retryable error.
const TRIES: usize = 5;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    happened: bool,
    note: Reason,
}

/// Records whether the write happened.
pub(crate) async fn resolve(
    operator: &Operator,
    caller: &Caller,
    request: &Request,
    code: &str,
    log: &mut RequestLog<'_>,
) -> Result<Response, ApiError> {
    let (user, id) = named(code, log)?;
    let Body { happened, note } = body::read(request, r#"{"happened": true or false, "note": 1 to 200 characters}"#)?;
    operator.may_about(caller, OperatorCall::Resolve, user, Code::OperatorForbidden).await?;
    let mut recorded = false;
    for _ in 0..TRIES {
        let job = operator.job(user, id).await?;
        if let Some(known) = &job.resolution {
            // The same finding again is a repeated request. A resolution by the journal is final and not an operator's
            // to repeat.
            let same = known.by == ResolvedBy::Operator && known.happened == happened;
            return if same { operator.shown(&job).await } else { Err(ApiError::new(Code::AlreadyResolved)) };
        }
        if job.state != JobState::Unknown {
            return Err(ApiError::new(Code::JobNotUnknown).with("job_status", view::status(job.state)));
        }
        if !recorded {
            let event = OperatorEvent::JobResolved { job: code.to_owned(), happened, reason: note.text() };
            operator.record(caller, event).await?;
            recorded = true;
        }
        if let Some(after) = commit(operator, caller, &job, happened, &note).await? {
            return operator.shown(&after).await;
        }
    }
    Err(ApiError::try_again())
}

/// Commits the resolution. Returns the job, or `None` when the conditional write was lost.
async fn commit(
    operator: &Operator,
    caller: &Caller,
    job: &Job,
    happened: bool,
    note: &Reason,
) -> Result<Option<Job>, ApiError> {
    let now = operator.runtime.now();
    let resolution = Resolution { by: ResolvedBy::Operator, happened, at: now, note: Some(note.text()) };
    let after = job
        .apply(JobEvent::Resolved(resolution), now)
        .map_err(|fault| ApiError::new(Code::JobNotUnknown).because(fault))?;
    let event = AuditEvent::Resolved {
        happened,
        by: Some("operator".to_owned()),
        operator: Some(caller.known.id),
        note_digest: Some(Digest::sha256(note.text().as_bytes())),
    };
    Ok(operator.jobs().commit_audited(job, after, Actor::Operator, event).await?)
}
