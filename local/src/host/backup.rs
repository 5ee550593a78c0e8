//! Backup and restore of one host: table, journal, secrets, checkpoints, configuration and policy in one file.

mod archive;
mod create;
mod last;
mod manifest;
mod restore;
mod retention;
mod sqlite;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use domain::ids::Timestamp;

pub use archive::configuration;
pub use create::{Created, Listed, Sources, create, credentials_beside, list, prune, verify};
pub use last::LastBackup;
pub use manifest::{FileEntry, JournalMark, Manifest};
pub use restore::{ConfigurationTo, JournalAfter, Restore, Restored, restore};
pub use sqlite::table_schema;

use crate::{audit::AuditError, data::DataError, emulation::engines::EngineError};

/// Where backups are kept, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSettings {
    /// The directory, on a disk of its own if there is one.
    pub dir: PathBuf,
    /// How many are kept.
    pub keep: usize,
    /// Free space, in MiB, that a backup leaves on the disk.
    pub min_free_mb: u64,
    /// The gateway's journal.
    pub journal: Option<PathBuf>,
    /// A command of `sh` that copies the new backup to another host; its path is in `BACKUP_FILE`.
    pub after_command: Option<String>,
}

impl BackupSettings {
    /// Runs `after_command` for a new backup.
    pub fn copy_away(&self, file: &Path) -> Result<(), CopyFault> {
        let Some(command) = &self.after_command else { return Ok(()) };
        let status = Command::new("/bin/sh").args(["-c", command]).env("BACKUP_FILE", file).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(CopyFault(format!("ended with {status}"))),
            Err(cause) => Err(CopyFault(format!("cannot be run: {cause}"))),
        }
    }
}

/// The backup is complete on this host, and was not copied to another one.
#[derive(Debug, thiserror::Error)]
#[error("the backup is there, but backup.after_command {0}")]
pub struct CopyFault(String);

/// A backup cannot be made, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupFault {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] DataError),
    /// SQLite refuses a database.
    #[error("the database {file} cannot be {done}: {source}")]
    Sqlite {
        /// The database.
        file: PathBuf,
        /// `copied`, `read` and the like.
        done: &'static str,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// SQLite found an inconsistency.
    #[error("the database {file} is damaged: {found}")]
    Damaged {
        /// The database.
        file: PathBuf,
        /// SQLite's first finding.
        found: String,
    },
    /// Too little space is left.
    #[error("the disk of {dir} has {free_mb} MiB free; a backup needs {needed_mb} MiB and has to leave {min_mb} MiB")]
    NoSpace {
        /// The directory of backups.
        dir: PathBuf,
        /// Free space in MiB.
        free_mb: u64,
        /// Space in MiB that the backup needs for a moment.
        needed_mb: u64,
        /// `min_free_mb`.
        min_mb: u64,
    },
    /// Another backup is being made.
    #[error("another backup is being made in {0}")]
    Busy(PathBuf),
    /// There is no table.
    #[error("there is no table at {0}")]
    NoTable(PathBuf),
    /// The file is no backup, or is incomplete.
    #[error("{file} is not a complete backup: {found}")]
    NotABackup {
        /// The file.
        file: PathBuf,
        /// The first fault.
        found: String,
    },
    /// A newer version has made the backup.
    #[error("{file} has format {format}, which only a newer version can read")]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        format: u32,
    },
    /// The clock of this host shows a time before the loss.
    #[error(
        "the clock of this host says {now}, and the lost service still ran at {last_known}: set the clock, and restore again"
    )]
    ClockBehind {
        /// The time of this host.
        now: Timestamp,
        /// When the backup was made, or a newer checkpoint signed.
        last_known: Timestamp,
    },
    /// The gateway's journal was itself restored from an older copy.
    #[error(
        "the journal {file} is older than the backup (sequence {live} < {in_backup}): stop the gateway, move the file \
         away, with its -wal and -shm, and restore again"
    )]
    OlderJournal {
        /// The journal.
        file: PathBuf,
        /// Its sequence.
        live: u64,
        /// The sequence in the backup.
        in_backup: u64,
    },
    /// The restored table cannot be opened.
    #[error(transparent)]
    Engines(#[from] EngineError),
    /// A request to the restored table failed.
    #[error(transparent)]
    Table(#[from] store::TableError),
    /// The chains cannot be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] domain::policy::PolicyFault),
    /// A chain of the restored table does not verify.
    #[error("{0} faults in the audit chains of the backup; nothing was changed. The first: {1}")]
    Unverified(u64, String),
}
