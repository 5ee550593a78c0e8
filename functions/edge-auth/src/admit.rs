//! Admission of a submission: one conditional update of the user item takes a place in flight and, unless the caller
//! has charged already, charges the rate.

use std::time::Duration;

use domain::{
    access::session::Session,
    ids::RequestId,
    limits::admission::{Admission, JobKind, RECORDED_WITHIN},
};
use platform::http::{ApiError, Code, bearer};
use store::Stored;

use crate::{EdgeAuth, gate};

/// Whether the caller has charged the user's rate before it asks for a place in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charged {
    /// Not yet: the same conditional update charges and takes the place.
    With,
    /// Already charged, because the caller did expensive reads before.
    Before,
}

pub(crate) async fn admit(
    edge: &EdgeAuth,
    session: &Session,
    (id, kind): (RequestId, JobKind),
    charged: Charged,
) -> Result<(), ApiError> {
    let mut healed = false;
    loop {
        let (now, nonce) = (edge.runtime.now(), edge.runtime.nonce());
        let limits = &edge.config.limits;
        let admission = match charged {
            Charged::With => edge.table.admit(session, (id, kind), limits, now, &nonce).await,
            Charged::Before => edge.table.admit_charged(session, (id, kind), limits, now, &nonce).await,
        };
        match admission.map_err(ApiError::unavailable)? {
            Admission::Applied => return Ok(()),
            Admission::Revoked => return Err(bearer::no_session("revoked")),
            Admission::RateLimited(wait) => return Err(ApiError::new(Code::RateLimited).retry_after(wait)),
            Admission::FullUnlessHealed if !healed => {
                healed = true;
                // Pruning reads every job in flight, the most expensive work that a submission can cause, so it is
                // charged separately.
                gate::charge(edge, session.user_id).await?;
                if prune_stale(edge, session, kind).await? == 0 {
                    return Err(ApiError::new(Code::InFlightFull).retry_after(Duration::from_secs(2)));
                }
            }
            Admission::FullUnlessHealed => {
                return Err(ApiError::new(Code::InFlightFull).retry_after(Duration::from_secs(2)));
            }
            // `admit` itself tries the burst, so a burst that is still refused counts as over the rate.
            Admission::Burst => return Err(ApiError::new(Code::RateLimited).retry_after(limits.submissions.interval())),
        }
    }
}

/// Removes from the user's set in flight, for this kind, the jobs that are over and those that were never recorded.
/// Therefore no worker has to update the user item when a job ends, and a crash cannot leave a place taken for ever. An
/// id without a job may belong to a request that is still recording it: such an id is removed only when the last
/// admission is so long ago that its job can no longer be recorded.
async fn prune_stale(edge: &EdgeAuth, session: &Session, kind: JobKind) -> Result<usize, ApiError> {
    let (user_id, now) = (session.user_id, edge.runtime.now());
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
