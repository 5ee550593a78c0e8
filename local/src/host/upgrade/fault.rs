//! Why an upgrade or a rollback was refused.

use std::path::PathBuf;

use super::Version;
use crate::{
    data::DataError,
    host::{backup::BackupFault, config_file::ConfigFault, readiness::NoReadiness},
};

/// Nothing was changed, and why.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeFault {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] DataError),
    /// The configuration cannot be read.
    #[error(transparent)]
    Configuration(#[from] ConfigFault),
    /// A backup cannot be made or read.
    #[error(transparent)]
    Backup(#[from] BackupFault),
    /// A command does not exist or has failed.
    #[error("{0}: {1}")]
    Command(String, String),
    /// Two commands at once.
    #[error("another upgrade or rollback runs")]
    Busy,
    /// A `.deb` of something else, or none at all.
    #[error("{0} is not a package of this service")]
    OtherPackage(PathBuf),
    /// The package that was named is not the installed one.
    #[error("{0} is version {1}, and {2} is installed")]
    OtherVersion(PathBuf, Version, Version),
    /// dpkg does not know the package.
    #[error("dpkg has no package miniprogram installed: use `apt install` the first time")]
    NotInstalled,
    /// dpkg has not finished with an earlier installation.
    #[error("dpkg has not finished with version {0}: run `dpkg --configure -a`")]
    NotWhole(Version),
    /// The same version, or an older one.
    #[error("version {0} is not newer than the installed {1}; `rollback` goes back")]
    NotNewer(Version, Version),
    /// The doctor found what would keep either version from starting, or the backup from being made.
    #[error("repair this first: {0}")]
    Unsafe(String),
    /// The service does not run, so the new version could not be judged.
    #[error("{0}, so nothing could tell whether the new version works; start the service, or use `apt install`")]
    NoAnswer(NoReadiness),
    /// There is nothing to go back to after a failure.
    #[error(
        "the package of the installed version {0} is not kept, so the upgrade could not be rolled back: name its file \
         with --previous"
    )]
    PresentMissing(Version),
    /// The program of a package does not take the configuration of this host.
    #[error("version {0} refuses the configuration of this host: {1}")]
    Refuses(Version, String),
    /// An upgrade to this version was interrupted.
    #[error("an upgrade to {0} was interrupted: run it again with the same package, or run `rollback`")]
    OtherUpgrade(Version),
    /// A rollback was interrupted.
    #[error("a rollback to {0} was interrupted: run `rollback` again")]
    OpenRollback(Version),
    /// Nothing was upgraded.
    #[error("no version is kept to go back to")]
    NothingKept,
    /// Something else was installed in between.
    #[error("version {0} was installed by another command; the kept {1} is what {2} replaced")]
    Elsewhere(Version, Version, Version),
    /// The table is newer than the old version reads.
    #[error(
        "the table has schema {now}, and version {version} reads up to {then}. Only a restore of the backup of \
         {backup_of} leads back. It loses all that users and operators have done since, ends open jobs that may have run \
         as unknown, and leaves the service closed: run `rollback --restore` for that"
    )]
    NeedsRestore {
        /// The version to go back to.
        version: Version,
        /// The schema now.
        now: String,
        /// The schema before the upgrade.
        then: String,
        /// When the backup was made.
        backup_of: String,
    },
}
