//! Replies that WeChat could not check, because their user was away. WeChat checks them once the user is back, and
//! a login is the first that the service learns of it.

use std::time::Duration;

use domain::{
    ids::{Timestamp, UserId},
    job::{Job, JobState},
    limits::admission::UserState,
};
use store::Stored;

use crate::{EdgeAuth, webhook};

/// Jobs of one user that a login wakes at most: each is a read and a write, for which the login waits.
const WOKEN_AT_MOST: usize = 8;
/// A job that is due within this time is not woken: its own wake-up message comes soon.
const SOON: Duration = Duration::from_secs(30);

/// Makes the user's waiting jobs due that would be due only much later. A failure does not fail the login: such a job is
/// due within a quarter of an hour.
pub(crate) async fn wake_held(edge: &EdgeAuth, user_id: UserId, user: &UserState) {
    if edge.policy.content_safety().checks().is_none() {
        return;
    }
    for id in user.in_flight_long.iter().take(WOKEN_AT_MOST).filter_map(|id| id.parse().ok()) {
        let Ok(Some(Stored::Job(job))) = edge.table.job(user_id, id).await else { continue };
        if is_held(&job, edge.runtime.now()) && matches!(webhook::make_due(edge, &job).await, Ok(true)) {
            edge.jobs().wake(&job, Duration::ZERO).await;
        }
    }
}

fn is_held(job: &Job, now: Timestamp) -> bool {
    job.state == JobState::Waiting && job.check_at.is_some_and(|at| at > now.plus(SOON))
}
