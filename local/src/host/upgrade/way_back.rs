//! The way back to the version before.

use super::{
    Host, Outcome, UpgradeFault, dpkg,
    packages::{Begun, Packages, Previous, State},
};
use crate::{
    data::{TABLE_FILE, is_restoring},
    host::{
        backup,
        config_file::ConfigFile,
        readiness::{self, Port},
    },
};

/// After a failed upgrade. The outcome of the upgrade is known by now, so no fault of the way back hides it.
pub(super) async fn go_back(
    host: &Host<'_>,
    packages: &mut Packages,
    config: &ConfigFile,
    previous: &Previous,
) -> Result<Outcome, UpgradeFault> {
    let back = match stop_and_decide(config, previous) {
        Ok(None) => return_to(host, packages, config, previous, false).await,
        Ok(Some(fault)) => {
            // The version stays installed, and the state says so: `rollback --restore` is the operator's decision.
            packages.state.begun = None;
            packages.remember()?;
            Err(fault.to_string())
        }
        Err(fault) => Err(fault.to_string()),
    };
    Ok(match back {
        Ok(()) => Outcome::RolledBack(previous.version.clone()),
        Err(seen) => Outcome::Stuck(seen),
    })
}

/// Stops the service, and then says why the version before cannot read the table: a service that runs could migrate it
/// after the question. It is started again if it stays.
pub(super) fn stop_and_decide(config: &ConfigFile, previous: &Previous) -> Result<Option<UpgradeFault>, UpgradeFault> {
    dpkg::stop_service()?;
    let needs = needs_restore(config, previous);
    if !matches!(needs, Ok(None)) {
        dpkg::restart_service();
    }
    needs
}

/// Installs the version before, with the backup if the table needs it, and waits until it is ready. The error says what a
/// person has to look at.
pub(super) async fn return_to(
    host: &Host<'_>,
    packages: &mut Packages,
    config: &ConfigFile,
    previous: &Previous,
    restores: bool,
) -> Result<(), String> {
    let (version, file) = (&previous.version, packages.file(&previous.version));
    packages.state.begun = Some(Begun::Rollback);
    let change = || -> Result<(), UpgradeFault> {
        packages.remember()?;
        dpkg::stop_service()?;
        dpkg::install(&file)?;
        if restores {
            // By the old program: the new one would migrate the table of the backup, too.
            dpkg::restore(&previous.backup, host.config_file)?;
        }
        Ok(())
    };
    change().map_err(|fault| format!("version {version} cannot be put back: {fault}; run `rollback` again"))?;
    let since = host.runtime.now();
    dpkg::restart_service();
    let ready = readiness::wait(Port(config.rings_port), &previous.failing, since, host.wait).await;
    let ready = ready.map_err(|seen| format!("version {version} is installed again, and does not work: {seen}"))?;
    ready.still_failing().into_iter().for_each(|failing| (host.say)(&failing));
    // Not before: `rollback` has to find the way again after a kill, and while the version does not work.
    finish(packages, previous).map_err(|fault| fault.to_string())
}

/// The version before works, and nothing is left to go back to.
pub(super) fn finish(packages: &mut Packages, previous: &Previous) -> Result<(), UpgradeFault> {
    packages.state = State::default();
    packages.remember()?;
    packages.forget_all_but(&[&previous.version]);
    Ok(())
}

/// Why the version before cannot read the table as it is; `None` if it can. The table engine migrates a table when it
/// opens it, and refuses one of a later schema.
pub(super) fn needs_restore(config: &ConfigFile, previous: &Previous) -> Result<Option<UpgradeFault>, UpgradeFault> {
    let now = match is_restoring(&config.data) {
        true => "of an interrupted restore".to_owned(),
        false => backup::table_schema(&config.data.join(TABLE_FILE))?,
    };
    let then = previous.table_schema.clone();
    let version = |text: &str| text.parse::<u32>().ok();
    let is_readable = match (version(&now), version(&then)) {
        (Some(now), Some(then)) => now <= then,
        _ => now == then,
    };
    let (version, backup_of) = (previous.version.clone(), previous.backup_of.clone());
    Ok((!is_readable).then_some(UpgradeFault::NeedsRestore { version, now, then, backup_of }))
}
