//! Lowers the service mode for the faults that `sweep` observes, and raises it again after an outage of the gateway.

use domain::access::{fault_watch::FaultWatch, service_mode::Controls};
use service::change_mode;
use store::{KeptWatch, TableError};

use crate::Sweep;

/// Counts the run's health check and the unwritable audit records, and changes the mode where they call for it. True:
/// the mode may have changed.
pub(crate) async fn run(
    sweep: &Sweep,
    reachable: Option<bool>,
    controls: Option<&Controls>,
) -> Result<bool, TableError> {
    let now = sweep.runtime.now();
    let (before, unwritten) = tokio::try_join!(sweep.table.fault_watch(), sweep.table.unwritten_audit())?;
    let Some(kept) = keep(sweep, before, before.watch.observe(reachable, unwritten, now)).await? else {
        // Another run has counted at the same time, and acts.
        return Ok(false);
    };
    let mut watch = kept.watch;
    for fault in kept.watch.due(unwritten) {
        // A change that fails is due again in the next run, since the counts say so until it is handled.
        change_mode::lower(&sweep.table, &sweep.runtime, fault, &sweep.policy_version).await?;
        watch = watch.handled(fault, unwritten, now);
    }
    let mut changed = watch != kept.watch;
    keep(sweep, kept, watch).await?;
    if let Some((controls, lowered)) = controls.and_then(|controls| Some((controls, controls.lowered?)))
        && let Some(mode) = watch.raise_to(lowered.was, controls.service.at)
    {
        change_mode::raise(&sweep.table, &sweep.runtime, lowered, mode, &sweep.policy_version).await?;
        changed = true;
    }
    Ok(changed)
}

/// Stores the counts if they have changed.
async fn keep(sweep: &Sweep, before: KeptWatch, watch: FaultWatch) -> Result<Option<KeptWatch>, TableError> {
    if watch == before.watch { Ok(Some(before)) } else { sweep.table.keep_watch(before, watch).await }
}
