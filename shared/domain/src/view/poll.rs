//! The interval of a client's polls.

use std::time::Duration;

use crate::{
    ids::Timestamp,
    job::{Job, JobState, StepKind},
};

/// Interval in milliseconds while an approval is pending, and upper limit for every open job.
const SLOW_MS: u64 = 5_000;
/// Lower limit of the interval in milliseconds during an agent's turn.
const TURN_MS: u64 = 1_000;
/// A worker polls each running call at least this often, unless the journal sends wake-ups, which may come at any
/// moment.
const WOKEN_FOR: Duration = Duration::from_secs(60);
/// Time that a worker needs to claim a due job, query the gateway and commit.
const LOOK_TAKES: Duration = Duration::from_millis(500);

/// Delay until the next poll: short at first and right after an approval, long for old jobs and pending approvals;
/// `None` once the job is over. A turn changes when a worker has polled it, so the client is told to poll right after
/// that.
pub fn next_poll_ms(job: &Job, now: Timestamp) -> Option<u64> {
    match job.state {
        JobState::Succeeded
        | JobState::Failed
        | JobState::Refused
        | JobState::Explained
        | JobState::Cancelled
        | JobState::Expired
        | JobState::Unknown => None,
        // A person needs time to decide.
        JobState::AwaitingApproval => Some(SLOW_MS),
        JobState::Queued | JobState::Running | JobState::Waiting | JobState::Retrying if is_quick(job) => {
            Some(by_age(now.since(job.free_to_run_at())))
        }
        JobState::Waiting | JobState::Retrying => Some(by_next_look(job, now)),
        // The last step has just ended, or this one has just started.
        JobState::Queued | JobState::Running => Some(by_age(now.since(job.updated_at)).max(TURN_MS)),
    }
}

/// A single tool call.
fn is_quick(job: &Job) -> bool {
    matches!(job.steps.as_slice(), [only] if only.kind == StepKind::Call)
}

fn by_next_look(job: &Job, now: Timestamp) -> u64 {
    let look = job.check_at.map_or(now, |at| at.plus(LOOK_TAKES));
    if look.since(now) > WOKEN_FOR {
        return by_age(now.since(job.free_to_run_at())).max(TURN_MS);
    }
    u64::try_from(look.since(now).as_millis()).unwrap_or(SLOW_MS).clamp(TURN_MS, SLOW_MS)
}

fn by_age(age: Duration) -> u64 {
    match age.as_millis() {
        0..=1_999 => 500,
        2_000..=9_999 => 1_000,
        10_000..=59_999 => 2_000,
        _ => SLOW_MS,
    }
}
