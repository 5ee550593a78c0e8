//! Wakes the erasures that are not finished, and measures the oldest. A worker reads each one, and does nothing while
//! its next pass is not due.

use platform::{
    metrics::{self, Metric},
    queue::WakeUpMessage,
};

use crate::{Sweep, budget::Budget};

/// How many are woken in a run. The next run wakes the same first ones, and those after them as soon as these are
/// finished.
const AT_MOST: usize = 200;

/// Wakes them. Returns the gauges of their number and age; none when there are none, so that they cost nothing most of
/// the time, or when they could not be read.
pub(crate) async fn wake(sweep: &Sweep, budget: &Budget<'_>) -> Vec<(Metric, f64)> {
    find_and_wake(sweep, budget).await.unwrap_or_default()
}

async fn find_and_wake(sweep: &Sweep, budget: &Budget<'_>) -> Option<Vec<(Metric, f64)>> {
    let share = budget.share(25);
    let open = share.limit("waking erasures", sweep.table.open_erasures(AT_MOST)).await.ok()?;
    let open = open
        .inspect_err(|error| tracing::warn!(function = "sweep", error = %error, "the open erasures could not be read"))
        .ok()?;
    let now = sweep.runtime.now();
    let oldest = open.iter().map(|(_, _, at)| now.since(*at)).max()?;
    let gauges = vec![(Metric::ErasuresOpen, metrics::number(open.len())), (Metric::ErasureAge, oldest.as_secs_f64())];
    let messages = open.into_iter().map(|(user, id, _)| WakeUpMessage::of_erasure(user, id)).collect();
    if let Ok(failed) = share.limit("waking erasures", sweep.queue.wake_many(messages)).await
        && let Some((message, error)) = failed.first()
    {
        sweep.runtime.measure(&[(Metric::WakeUpFailures, metrics::number(failed.len()))], &[]);
        tracing::warn!(
            function = "sweep", request_id = %message.request_id, error = %error, "the wake-up message of an erasure could not be sent"
        );
    }
    Some(gauges)
}
