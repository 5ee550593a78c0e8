//! How soon a client should look again.

use std::time::Duration;

use crate::{
    ids::Timestamp,
    job::{Job, JobState, StepKind},
};

/// While a person is asked, and at the latest while anything else goes on.
const SLOW_MS: u64 = 5_000;
/// No sooner while an agent is at it.
const TURN_MS: u64 = 1_000;
/// Nobody leaves a job alone for longer, unless it is rung for when there is something to see: at any moment.
const WOKEN_FOR: Duration = Duration::from_secs(60);
/// A worker that is due looks, asks the gateway and writes.
const LOOK_TAKES: Duration = Duration::from_millis(500);

/// How soon to look again: quick at first and right after a yes, slow for old jobs and while a person is asked, never once it
/// is over. A turn shows something new when a worker has looked at it, so a client is told to come right after that.
pub fn next_poll_ms(job: &Job, now: Timestamp) -> Option<u64> {
    match job.state {
        JobState::Succeeded
        | JobState::Failed
        | JobState::Refused
        | JobState::Explained
        | JobState::Cancelled
        | JobState::Expired
        | JobState::Unknown => None,
        // A person is slow.
        JobState::AwaitingApproval => Some(SLOW_MS),
        JobState::Queued | JobState::Running | JobState::Waiting | JobState::Retrying if is_quick(job) => {
            Some(by_age(now.since(job.free_to_run_at())))
        }
        JobState::Waiting | JobState::Retrying => Some(by_next_look(job, now)),
        // The last step has just ended, or this one has just begun.
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
