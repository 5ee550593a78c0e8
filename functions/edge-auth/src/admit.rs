//! The stage *admit* of a submission: the user's rate, the limit of open jobs, a place in its conversation queue, the
//! limit of conversations.

use std::time::Duration;

use domain::{
    access::{service_mode::Mode, session::Session},
    ids::{RequestId, Timestamp, UserId},
    job::submission::Submission,
    limits::admission::{Admission, JobKind, RECORDED_WITHIN},
};
use platform::http::{ApiError, Code, bearer};
use store::Stored;

use crate::{EdgeAuth, charge::charge, conversation_cap, conversation_queue};

/// What a job that was admitted has reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// A place among the open jobs and, for a turn, a place in the queue of a conversation that exists.
    Joins,
    /// The same, and a count for the conversation that it begins.
    Begins,
}

/// Reserves places in the conversation queue and among the open jobs and, if the job begins a conversation, a
/// count against the user's limit.
pub(crate) async fn admit(
    edge: &EdgeAuth,
    session: &Session,
    id: RequestId,
    submission: &Submission,
    now: Timestamp,
) -> Result<Admitted, ApiError> {
    let user = session.user_id;
    let begins = conversation_queue::check(edge, user, id, submission, now).await?;
    let job = InFlight { id, kind: JobKind::of(submission.steps()) };
    let Some(name) = begins else {
        take_place(edge, session, job, Charged::With, now).await?;
        return Ok(Admitted::Joins);
    };
    // Counted before the job joins the set of open jobs, given back when it is full. The other order would have to
    // give back a place, which may be shared with another request of this id. If the process dies in between, the count
    // stays until `conversation_cap` prunes it.
    charge(edge, user, now).await?;
    let counted = conversation_cap::count(edge, user, name, now).await?;
    if let Err(refusal) = take_place(edge, session, job, Charged::Before, now).await {
        conversation_cap::give_back(edge, user, name, counted).await;
        return Err(refusal);
    }
    Ok(Admitted::Begins)
}

/// Whether the caller has charged the user's rate before the job is added to the set of open jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charged {
    /// Not yet: the same conditional update charges and takes the place.
    With,
    /// Already charged, because the caller did expensive reads before.
    Before,
}

/// A job to be added to the set of open jobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InFlight {
    pub(crate) id: RequestId,
    pub(crate) kind: JobKind,
}

/// One conditional update of the user item: the session is not revoked, there is a place, and the rate allows it.
pub(crate) async fn take_place(
    edge: &EdgeAuth,
    session: &Session,
    InFlight { id, kind }: InFlight,
    charged: Charged,
    now: Timestamp,
) -> Result<(), ApiError> {
    let mut pruned = false;
    loop {
        let nonce = edge.runtime.nonce();
        let limits = &edge.config.limits;
        let admission = match charged {
            Charged::With => edge.table.admit(session, (id, kind), limits, now, &nonce).await,
            Charged::Before => edge.table.admit_charged(session, (id, kind), limits, now, &nonce).await,
        };
        match admission.map_err(ApiError::unavailable)? {
            Admission::Applied => return Ok(()),
            Admission::Revoked => return Err(bearer::no_session("revoked")),
            Admission::RateLimited(wait) => return Err(ApiError::new(Code::RateLimited).retry_after(wait)),
            Admission::FullUnlessPruned if !pruned => {
                pruned = true;
                // Pruning reads every job of the set, the most expensive work that a submission can cause, so it is
                // charged separately.
                charge(edge, session.user_id, now).await?;
                if prune_stale(edge, session.user_id, kind, now).await? == 0 {
                    return Err(ApiError::new(Code::InFlightFull).retry_after(Duration::from_secs(2)));
                }
            }
            Admission::FullUnlessPruned => {
                return Err(ApiError::new(Code::InFlightFull).retry_after(Duration::from_secs(2)));
            }
            // `admit` itself tries the burst, so a burst that is still refused counts as over the rate.
            Admission::Burst => return Err(ApiError::new(Code::RateLimited).retry_after(limits.submissions.interval())),
        }
    }
}

/// Removes from the user's set of open jobs of this kind those that are over and those that were never recorded.
/// Therefore no worker has to update the user item when a job ends, and a crash cannot leave a place taken for ever. An
/// id without a job may belong to a request that is still recording it: such an id is removed only when the last
/// admission is so long ago that its job can no longer be recorded.
async fn prune_stale(edge: &EdgeAuth, user_id: UserId, kind: JobKind, now: Timestamp) -> Result<usize, ApiError> {
    let Some(user) = edge.table.user(user_id).await.map_err(ApiError::unavailable)? else { return Ok(0) };
    let (mut over, mut unrecorded) = (Vec::new(), Vec::new());
    for id in user.taken(kind).iter().filter_map(|id| id.parse::<RequestId>().ok()) {
        match edge.table.job(user_id, id).await.map_err(ApiError::unavailable)? {
            Some(Stored::Job(job)) if job.state.is_over() => over.push(id),
            Some(Stored::Job(_) | Stored::Newer) => {}
            None => unrecorded.push(id),
        }
    }
    edge.table.drop_in_flight(user_id, kind, &over).await.map_err(ApiError::unavailable)?;
    let mut dropped = over.len();
    if user.last_admission.is_none_or(|at| at.plus(RECORDED_WITHIN) <= now) {
        let gone = edge.table.drop_unrecorded(user_id, kind, &unrecorded, user.last_admission).await;
        dropped += if gone.map_err(ApiError::unavailable)? { unrecorded.len() } else { 0 };
    }
    Ok(dropped)
}

/// Refuses requests that need no policy decision while the service is `closed`.
pub(crate) async fn open(edge: &EdgeAuth, user_id: UserId, now: Timestamp) -> Result<(), ApiError> {
    let controls = edge.controls.get(&edge.table, &edge.runtime).await;
    if controls.service.mode != Mode::Closed {
        return Ok(());
    }
    charge(edge, user_id, now).await?;
    Err(ApiError::new(Code::ModeClosed))
}
