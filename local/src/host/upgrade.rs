//! Upgrade of the package of one host, and the way back.
//!
//! An upgrade makes a backup, installs the new package and waits until the service is ready; if it is not, the package of
//! before is installed again. Each step is remembered before it is taken, so that both commands go on after a power cut.
//! A table that the new version has migrated is refused by the old one, and is then only restored when an operator says
//! so, because a restore loses what came after the backup.

mod dpkg;
mod fault;
mod packages;
mod prepare;
mod way_back;

use std::{path::Path, time::Duration};

use platform::runtime::Runtime;

use self::{
    dpkg::Deb,
    packages::{Begun, Packages, Previous},
    prepare::prepare,
    way_back::{finish, go_back, needs_restore, return_to, stop_and_decide},
};
pub use self::{
    dpkg::Version,
    fault::UpgradeFault,
    packages::{interrupted, is_running},
};
use super::{
    backup,
    config_file::ConfigFile,
    readiness::{self, Port},
};

/// The name of the package, and of its program.
const PACKAGE: &str = "miniprogram";
/// Where packages are kept.
pub const DEFAULT_PACKAGES: &str = "/var/lib/miniprogram-packages";
/// The host, and how both commands act on it.
pub struct Host<'a> {
    /// The configuration file.
    pub config_file: &'a Path,
    /// The folder of the kept packages.
    pub packages: &'a Path,
    /// How long the service may take until it is ready.
    pub wait: Duration,
    /// Clock and randomness.
    pub runtime: Runtime,
    /// Takes each step that was done, for the operator.
    pub say: &'a (dyn Fn(&str) + Sync),
}

/// How a command ended that has begun to change something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The wanted version is installed, and ready.
    Done(Version),
    /// The upgrade failed; the version before is installed again, and works as before.
    RolledBack(Version),
    /// A person is needed; the text says for what.
    Stuck(String),
}

/// Upgrades to the package of a file. `present` names the package of the installed version, if it is not kept.
pub async fn upgrade(host: &Host<'_>, file: &Path, present: Option<&Path>) -> Result<Outcome, UpgradeFault> {
    let mut packages = Packages::take(host.packages)?;
    let deb = dpkg::describe(file)?;
    let previous = begin(host, &mut packages, &deb, present).await?;
    let config = ConfigFile::read(host.config_file)?;
    let seen = match install(&packages, &deb, &previous) {
        Ok(()) => {
            let since = host.runtime.now();
            readiness::wait(Port(config.rings_port), &previous.failing, since, host.wait).await
        }
        Err(fault) if is_untouched(&previous)? => {
            finish(&mut packages, &previous)?;
            return Err(fault);
        }
        Err(fault) => Err(fault.to_string()),
    };
    match seen {
        Ok(ready) => {
            ready.still_failing().into_iter().for_each(|failing| (host.say)(&failing));
            packages.state.begun = None;
            packages.remember()?;
            packages.forget_all_but(&[&deb.version, &previous.version]);
            Ok(Outcome::Done(deb.version))
        }
        Err(seen) => {
            (host.say)(&format!("version {} does not work: {seen}", deb.version));
            go_back(host, &mut packages, &config, &previous).await
        }
    }
}

/// Goes back to the version before the last upgrade. `with_restore` restores the backup of before it, if the table can
/// only be read by the newer version.
pub async fn rollback(host: &Host<'_>, with_restore: bool) -> Result<Outcome, UpgradeFault> {
    let mut packages = Packages::take(host.packages)?;
    let previous = packages.state.previous.clone().ok_or(UpgradeFault::NothingKept)?;
    let Previous { version, replaced_by, .. } = &previous;
    let installed = dpkg::installed()?.version;
    if installed != *version && installed != *replaced_by {
        return Err(UpgradeFault::Elsewhere(installed, version.clone(), replaced_by.clone()));
    }
    let config = ConfigFile::read(host.config_file)?;
    let restores = match (needs_restore(&config, &previous)?, with_restore) {
        (Some(fault), false) => return Err(fault),
        (Some(_), true) => {
            backup::verify(&previous.backup)?;
            true
        }
        (None, true) => {
            (host.say)("the old version reads the table, so nothing is restored");
            false
        }
        (None, false) => false,
    };
    let deb = packages.kept(version).ok_or(UpgradeFault::NothingKept)?;
    dpkg::accepts(&deb, packages.scratch()?.path(), host.config_file)?;
    if !restores && let Some(fault) = stop_and_decide(&config, &previous)? {
        return Err(fault);
    }
    Ok(match return_to(host, &mut packages, &config, &previous, restores).await {
        Ok(()) => Outcome::Done(version.clone()),
        Err(seen) => Outcome::Stuck(seen),
    })
}

/// Goes on with an interrupted upgrade to this version, or prepares a new one.
async fn begin(
    host: &Host<'_>,
    packages: &mut Packages,
    deb: &Deb,
    present: Option<&Path>,
) -> Result<Previous, UpgradeFault> {
    if let Some((begun, previous)) = packages.state.begun.zip(packages.state.previous.clone()) {
        let installed = dpkg::installed()?;
        match begun {
            // The version before is installed again and does not become ready: a newer one may be what mends it.
            Begun::Rollback if installed.is_whole && installed.version != previous.replaced_by => {}
            Begun::Rollback => return Err(UpgradeFault::OpenRollback(previous.version)),
            Begun::Upgrade if previous.replaced_by != deb.version => {
                return Err(UpgradeFault::OtherUpgrade(previous.replaced_by));
            }
            Begun::Upgrade => {
                (host.say)(&format!("the interrupted upgrade to {} goes on", deb.version));
                return Ok(previous);
            }
        }
    }
    let previous = prepare(host, packages, deb, present).await?;
    packages.state.previous = Some(previous.clone());
    packages.state.begun = Some(Begun::Upgrade);
    packages.remember()?;
    Ok(previous)
}

/// Installs the new package: with apt from the version before, with dpkg alone over an installation that was interrupted.
fn install(packages: &Packages, deb: &Deb, previous: &Previous) -> Result<(), UpgradeFault> {
    let new = packages.kept(&deb.version).map_or_else(|| packages.keep(deb), Ok)?;
    let installed = dpkg::installed()?;
    if installed.version == previous.version {
        return dpkg::install_with_dependencies(&new.file);
    }
    if !installed.is_whole {
        dpkg::install(&new.file)?;
    }
    dpkg::restart_service();
    Ok(())
}

/// Whether a failed installation has changed nothing.
fn is_untouched(previous: &Previous) -> Result<bool, UpgradeFault> {
    let installed = dpkg::installed()?;
    Ok(installed.is_whole && installed.version == previous.version)
}
