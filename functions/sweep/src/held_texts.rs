//! Measures the texts that wait for an operator's decision. Changes nothing.

use std::collections::BTreeSet;

use domain::ids::{RequestId, Timestamp, UserId};
use futures_util::{StreamExt, TryStreamExt, stream};
use platform::metrics::{self, Metric};
use store::{Order, TableError, keys};

use crate::{Sweep, budget::Budget};

/// Entries of the operators' list that are read at once: those whose time for a decision ends first come first. An entry is
/// one read unit a run, also between a decision and that time.
const PAGE: usize = 200;
/// So many pages are read while fewer than a page of texts waits: entries of decided texts come first in the list.
const PAGES: usize = 5;
/// How many jobs are read concurrently.
const AT_ONCE: usize = 32;

/// The gauges; none while no text waits, so that they cost nothing most of the time, or when they could not be read.
pub(crate) async fn look(sweep: &Sweep, budget: &Budget<'_>) -> Vec<(Metric, f64)> {
    let share = budget.share(25);
    // The next run counts them: a run that is late has more important duties left.
    if share.is_used_up() {
        return Vec::new();
    }
    let waiting = match share.limit("counting held texts", waiting(sweep)).await {
        Ok(Ok(waiting)) => waiting,
        Ok(Err(error)) => {
            tracing::warn!(function = "sweep", error = %error, "the held texts could not be counted");
            return Vec::new();
        }
        // It is logged where it was cut off.
        Err(_) => return Vec::new(),
    };
    let Some(oldest) = waiting.iter().min() else { return Vec::new() };
    let age = sweep.runtime.now().since(*oldest);
    vec![(Metric::HeldTexts, metrics::number(waiting.len())), (Metric::HeldTextAge, age.as_secs_f64())]
}

/// Since when each of them is held. The list is read each time, and only its entries cost more: a text that was decided
/// about, or whose job is over, is still listed until its time is over.
async fn waiting(sweep: &Sweep) -> Result<Vec<Timestamp>, TableError> {
    let (now, mut after) = (sweep.runtime.now(), None);
    let (mut seen, mut waiting) = (BTreeSet::new(), Vec::new());
    for _ in 0..PAGES {
        let listed = sweep.table.pointers(keys::JOBS_WITH_HELD_TEXT, Order::EarliestFirst, (after, now), PAGE).await?;
        after = listed.last().copied();
        let is_last = listed.len() < PAGE;
        // A job is listed once for each of its texts.
        let jobs = listed.into_iter().map(|place| (place.user_id, place.request_id));
        let unseen: Vec<_> = jobs.filter(|job| seen.insert(*job)).collect();
        waiting.extend(held_since(sweep, unseen).await?);
        if is_last || waiting.len() >= PAGE {
            break;
        }
    }
    Ok(waiting)
}

async fn held_since(sweep: &Sweep, jobs: Vec<(UserId, RequestId)>) -> Result<Vec<Timestamp>, TableError> {
    let held = stream::iter(jobs).map(|(user, id)| async move {
        let job = sweep.table.job(user, id).await?;
        Ok::<_, TableError>(match job {
            Some(store::Stored::Job(job)) => job.pending_text().map(|held| held.asked_at),
            Some(store::Stored::Newer) | None => None,
        })
    });
    let held: Vec<Option<Timestamp>> = held.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(held.into_iter().flatten().collect())
}
