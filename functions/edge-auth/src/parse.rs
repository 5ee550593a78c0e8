//! The stage *parse* of a submission: the request id, the body, and the times that they contain.

use std::time::Duration;

use domain::{
    ids::{BadRequestId, IdAge, RequestId, Timestamp},
    job::submission::{Submission, SubmissionFault},
};
use lambda_http::Request;
use platform::http::{ApiError, Code, body};

/// How far in the future `not_after` and `deadline` may be.
pub(crate) const AHEAD_AT_MOST: Duration = Duration::from_secs(24 * 3600);

/// The `Idempotency-Key` header.
#[derive(Debug)]
pub(crate) struct IdempotencyKey {
    /// The id, in any spelling, also as the UUID that the service made of a ULID.
    pub(crate) id: RequestId,
    /// Why it cannot name a new job, if it cannot: such an id has to contain a time.
    unfit: Option<BadRequestId>,
}

impl IdempotencyKey {
    /// Reads the header. More than one is malformed.
    pub(crate) fn of(request: &Request) -> Result<Self, Code> {
        let mut values = request.headers().get_all("idempotency-key").iter();
        let value = values.next().ok_or(Code::KeyMissing)?;
        let text = value.to_str().map_err(|_| Code::KeyMalformed)?;
        if values.next().is_some() {
            return Err(Code::KeyMalformed);
        }
        let id = text.trim().trim_matches('"').parse().map_err(|_| Code::KeyMalformed)?;
        Ok(Self { id, unfit: RequestId::parse_key(text).err() })
    }

    /// The id of a new job: it contains a time, which is neither too old nor ahead.
    pub(crate) fn of_new_job(&self, now: Timestamp) -> Result<RequestId, ApiError> {
        if let Some(fault) = &self.unfit {
            return Err(ApiError::new(Code::KeyMalformed).detail(fault.to_string()));
        }
        let code = match self.id.age(now) {
            IdAge::Fresh => return Ok(self.id),
            IdAge::TooOld => Code::RequestIdExpired,
            IdAge::InFuture => Code::RequestIdInFuture,
        };
        let says = format!("The id says {}, the server says {now}.", self.id.time());
        Err(ApiError::new(code).detail(says).with("server_time", now.to_string()))
    }
}

/// Reads the body.
pub(crate) fn submission(request: &Request) -> Result<Submission, ApiError> {
    Submission::parse(body::read_json(request)?).map_err(|fault| faulty(&fault))
}

/// Requires that the times given by the client are in the future, and at most `AHEAD_AT_MOST` from now.
pub(crate) fn check_times(submission: &Submission, now: Timestamp) -> Result<(), ApiError> {
    for (at, code) in [(submission.not_after(), Code::NotAfterInvalid), (submission.deadline(), Code::DeadlineInvalid)]
    {
        if at.is_some_and(|at| at <= now || at > now.plus(AHEAD_AT_MOST)) {
            return Err(ApiError::new(code).with("server_time", now.to_string()));
        }
    }
    Ok(())
}

/// Describes an invalid body to the client: the index of the faulty step, and a JSON pointer into its arguments or
/// message.
fn faulty(fault: &SubmissionFault) -> ApiError {
    let error = ApiError::new(Code::BodyInvalid).detail(fault.to_string());
    let (error, inner) = match fault {
        SubmissionFault::Step { step, fault } => (error.with("step", step), fault.as_ref()),
        other => (error, other),
    };
    match inner {
        SubmissionFault::Reference(reference) => error.with("pointer", reference.at()),
        SubmissionFault::NotAnObject
        | SubmissionFault::UnknownField(_)
        | SubmissionFault::Missing(_)
        | SubmissionFault::WrongType(..)
        | SubmissionFault::EmptyMessage
        | SubmissionFault::LongMessage
        | SubmissionFault::TwoConversations
        | SubmissionFault::Step { .. } => error,
    }
}
