//! `local backup`: makes, lists and verifies backups of a service on this machine, running or not.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use platform::runtime::Runtime;

use super::{
    Failure,
    output::say,
    table_args::{Host, HostArgs},
};
use crate::{
    disk::MIB,
    host::backup::{self, BackupSettings, Created, LastBackup, Manifest, Sources},
};

/// Commands about backups.
#[derive(Debug, Subcommand)]
pub(super) enum BackupCommand {
    /// Make a backup while the service runs, and delete the oldest beyond `keep`
    Create(Place),
    /// List the backups, oldest first
    List(Place),
    /// Read a backup completely: every file as in its manifest, both databases consistent
    Verify {
        /// The backup
        file: PathBuf,
    },
}

/// The service, and the directory of its backups.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The directory of the backups [default: backup.dir of the configuration file]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The gateway's journal [default: backup.journal of the configuration file]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    #[command(flatten)]
    host: HostArgs,
}

/// Without a configuration file.
const KEEP: usize = 14;
const MIN_FREE_MB: u64 = 500;

impl Place {
    fn resolve(&self) -> Result<(Sources, BackupSettings), Failure> {
        let (sources, mut settings) = match self.host.host()? {
            Host::Configured(file, config) => {
                let sources = Sources::of(&file, &config);
                (sources, config.backup)
            }
            Host::Directory(data) => {
                let dir = self.dir.clone().ok_or("where are the backups? Say it with --dir")?;
                let settings =
                    BackupSettings { dir, keep: KEEP, min_free_mb: MIN_FREE_MB, journal: None, after_command: None };
                (Sources { data, config_file: None, policy_dir: None, credentials: None }, settings)
            }
        };
        if let Some(dir) = &self.dir {
            settings.dir.clone_from(dir);
        }
        if let Some(journal) = &self.journal {
            settings.journal = Some(journal.clone());
        }
        Ok((sources, settings))
    }
}

/// Runs one of the commands.
pub(super) fn run(command: BackupCommand) -> Result<(), Failure> {
    match command {
        BackupCommand::Create(place) => create(&place),
        BackupCommand::List(place) => list(&place),
        BackupCommand::Verify { file } => {
            let manifest = backup::verify(&file)?;
            say(format_args!("ok: {}", contents(&manifest)));
            Ok(())
        }
    }
}

fn create(place: &Place) -> Result<(), Failure> {
    let (sources, settings) = place.resolve()?;
    let now = Runtime::system().now();
    let Created { file, manifest } = backup::create(&sources, &settings, now)?;
    say(format_args!("{}: {}", file.display(), contents(&manifest)));
    if manifest.journal.is_none() {
        say("The gateway's journal is not in it: name it with backup.journal.");
    }
    for old in backup::prune(&settings, &file)? {
        say(format_args!("deleted: {}", old.display()));
    }
    settings.copy_away(&file)?;
    // After the copy: a copy that fails each day must fire the alarm for late backups, too.
    LastBackup::of(&sources.data).record(now)?;
    Ok(())
}

fn list(place: &Place) -> Result<(), Failure> {
    let (_, settings) = place.resolve()?;
    for found in backup::list(&settings.dir)? {
        let said = match &found.manifest {
            Ok(manifest) => contents(manifest),
            Err(fault) => fault.to_string(),
        };
        say(format_args!("{}  {} MiB  {said}", found.file.display(), found.bytes.div_ceil(MIB)));
    }
    Ok(())
}

/// The contents of a backup, in one phrase.
pub(super) fn contents(manifest: &Manifest) -> String {
    let journal = match &manifest.journal {
        Some(mark) => format!("journal {} at {}", mark.id, mark.sequence),
        None => "no journal".to_owned(),
    };
    format!("of {}, {} files, {journal}", manifest.created_at, manifest.files.len())
}
