//! The units of a host that is set up.

use super::{
    SetupFault,
    commands::{run, succeeds},
    steps::{Restart, Steps},
};
use crate::host::systemd::{BACKUP_TIMER, SERVICE, WATCH_TIMER};

/// What runs on a host that is set up.
const UNITS: [&str; 3] = [SERVICE, BACKUP_TIMER, WATCH_TIMER];

/// Restarts Caddy if its files have changed since its start. A Caddy that has been removed since then has nothing to read.
pub(super) fn restart_caddy(steps: &mut Steps<'_>) -> Result<(), SetupFault> {
    if steps.is_pending(Restart::Caddy) {
        if succeeds("systemctl", &["cat", "caddy.service"]) {
            steps.step("restart Caddy", || run("systemctl", &["restart", "caddy.service"]))?;
        }
        steps.settle(Restart::Caddy)?;
    }
    Ok(())
}

/// Enables and starts what is not running, and restarts a service whose files have changed since its start.
pub(super) fn start(steps: &mut Steps<'_>) -> Result<(), SetupFault> {
    for unit in UNITS {
        let is = |state| succeeds("systemctl", &[state, "--quiet", unit]);
        let (is_enabled, is_active) = (is("is-enabled"), is("is-active"));
        let is_outdated = is_active && unit == SERVICE && steps.is_pending(Restart::Service);
        if is_outdated {
            steps.step(&format!("restart {unit}"), || run("systemctl", &["restart", unit]))?;
        }
        if !(is_enabled && is_active) {
            let what = format!("start {unit}, now and at boot");
            steps.step(&what, || run("systemctl", &["enable", "--now", unit]))?;
        }
        if unit == SERVICE {
            steps.settle(Restart::Service)?;
        }
    }
    Ok(())
}
