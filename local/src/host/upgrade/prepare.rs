//! What comes before an upgrade: the checks that can refuse it, the package to go back to, the backup.

use std::path::Path;

use super::{
    Host, UpgradeFault,
    dpkg::{self, Deb, Installed},
    packages::{Packages, Previous},
};
use crate::host::{
    backup::{self, Created, LastBackup, Sources},
    config_file::ConfigFile,
    doctor::{self, Finding, State},
    readiness::{Port, Readiness},
};

/// The checks of the doctor after whose failure neither version would start, or no backup can be made. Whatever else is
/// wrong, a newer version may be what mends it.
const UNSAFE: [&str; 5] = ["configuration", "policy", "wechat-app-secret", "gateway-token", "disk"];

/// Everything that can refuse an upgrade, and the backup. Nothing of the host changes.
pub(super) async fn prepare(
    host: &Host<'_>,
    packages: &Packages,
    deb: &Deb,
    present: Option<&Path>,
) -> Result<Previous, UpgradeFault> {
    let Installed { version, is_whole } = dpkg::installed()?;
    if !is_whole {
        return Err(UpgradeFault::NotWhole(version));
    }
    if !dpkg::is_newer(&deb.version, &version)? {
        return Err(UpgradeFault::NotNewer(deb.version.clone(), version));
    }
    let findings = doctor::examine(host.config_file, host.packages, &host.runtime).await;
    let is_unsafe = |found: &&Finding| found.state == State::Fail && UNSAFE.contains(&found.check);
    let unsafe_ones = findings.iter().filter(is_unsafe).map(|found| format!("{}: {}", found.check, found.reason));
    let unsafe_ones = unsafe_ones.collect::<Vec<_>>().join("; ");
    if !unsafe_ones.is_empty() {
        return Err(UpgradeFault::Unsafe(unsafe_ones));
    }
    let config = ConfigFile::read(host.config_file)?;
    let failing = Readiness::read(Port(config.rings_port)).await.map_err(UpgradeFault::NoAnswer)?.failing;
    let present = packages.present(&version, present)?;
    dpkg::accepts(&present, packages.scratch()?.path(), host.config_file)?;
    dpkg::accepts(&packages.keep(deb)?, packages.scratch()?.path(), host.config_file)?;
    let Created { file, manifest } = back_up(host, &config)?;
    Ok(Previous {
        version,
        replaced_by: deb.version.clone(),
        backup: file,
        backup_of: manifest.created_at,
        table_schema: manifest.table_schema,
        failing,
    })
}

fn back_up(host: &Host<'_>, config: &ConfigFile) -> Result<Created, UpgradeFault> {
    let now = host.runtime.now();
    let created = backup::create(&Sources::of(host.config_file, config), &config.backup, now)?;
    (host.say)(&format!("backup: {}", created.file.display()));
    backup::prune(&config.backup, &created.file)?;
    // The upgrade needs the file on this host only, so a copy that fails stops nothing; the alarm for late backups
    // fires if it goes on failing.
    match config.backup.copy_away(&created.file) {
        Ok(()) => LastBackup::of(&config.data).record(now)?,
        Err(fault) => (host.say)(&fault.to_string()),
    }
    Ok(created)
}
