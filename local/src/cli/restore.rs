//! `local restore`: restores a backup while the service is stopped.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use domain::policy::PolicyFiles;
use platform::runtime::Runtime;

use super::{
    Failure,
    backup::contents,
    output::say,
    table_args::{Host, HostArgs, policy_of},
};
use crate::{
    data::DataDir,
    host::{
        backup::{self, ConfigurationTo, JournalAfter, Restore, Restored, credentials_beside},
        config_file::ConfigFile,
    },
    program,
};

/// Options of a restore.
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup
    file: PathBuf,
    /// The gateway's journal [default: backup.journal of the configuration file]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// A copy of the exported checkpoints from another host, to name what was lost [default: those in the data
    /// directory]
    #[arg(long, value_name = "DIR")]
    checkpoints: Option<PathBuf>,
    /// Restore configuration file, policy folder and credentials, too; existing ones are renamed
    #[arg(long, conflicts_with = "data")]
    with_configuration: bool,
    #[command(flatten)]
    host: HostArgs,
}

const DEFAULT_RETENTION_DAYS: u64 = 30;

/// The service that is restored.
struct Target {
    data: PathBuf,
    journal: Option<PathBuf>,
    policy: PolicyFiles,
    retention_days: u64,
    configuration: Option<ConfigurationTo>,
}

impl RestoreArgs {
    fn target(&self) -> Result<Target, Failure> {
        if self.with_configuration {
            let file = self.host.config_file();
            let text = backup::configuration(&self.file)?.ok_or("the backup has no configuration file")?;
            let config = ConfigFile::parse(&file, &text)?;
            let configuration =
                ConfigurationTo { credentials: credentials_beside(&file), policy_dir: config.policy_dir.clone(), file };
            // The folder may be lost, too; its policy is only named in records.
            let policy = policy_of(&config).unwrap_or_else(|_| PolicyFiles::built_in());
            return Ok(Target { configuration: Some(configuration), policy, ..Target::of(config) });
        }
        match self.host.host()? {
            Host::Configured(_, config) => Ok(Target { policy: policy_of(&config)?, ..Target::of(*config) }),
            Host::Directory(data) => Ok(Target {
                data,
                journal: None,
                policy: PolicyFiles::built_in(),
                retention_days: DEFAULT_RETENTION_DAYS,
                configuration: None,
            }),
        }
    }
}

impl Target {
    fn of(config: ConfigFile) -> Self {
        Self {
            data: config.data,
            journal: config.backup.journal,
            policy: PolicyFiles::built_in(),
            retention_days: config.settings.retention_days,
            configuration: None,
        }
    }
}

/// Restores, and says what was lost and what is to be done.
pub(super) async fn run(args: RestoreArgs) -> Result<(), Failure> {
    let Target { data, journal, policy, retention_days, configuration } = args.target()?;
    let journal = args.journal.clone().or(journal);
    let data = DataDir::take_for_restore(&data)?;
    let restored = backup::restore(Restore {
        file: &args.file,
        data: &data,
        journal: journal.as_deref(),
        checkpoints: args.checkpoints.as_deref(),
        configuration,
        policy,
        retention: Duration::from_secs(retention_days * 86_400),
        runtime: Runtime::system(),
    });
    tell(&restored.await?, journal.as_deref());
    Ok(())
}

fn tell(restored: &Restored, journal: Option<&Path>) {
    let Restored { manifest, report, .. } = restored;
    say(format_args!("restored: {}", contents(manifest)));
    say(format_args!("verified: {} records of {} jobs, every chain is whole", report.records, report.jobs));
    let file = journal.map_or_else(|| "the gateway's journal".to_owned(), |file| file.display().to_string());
    match restored.journal {
        JournalAfter::Kept => say(format_args!("{file} has every call since the backup, and stays in place")),
        JournalAfter::Installed => say(format_args!("{file} was restored under a new id")),
        JournalAfter::Lost => {
            say(format_args!("{file} is not the journal of the backup: calls since the backup are unknown"))
        }
    }
    if restored.ended > 0 {
        say(format_args!("ended as unknown, because they may have run since: {} jobs", restored.ended));
    }
    match &restored.lost {
        None => say("no newer checkpoints are known, so what was lost cannot be named"),
        Some(lost) => {
            lost.faults.iter().for_each(|fault| say(format_args!("lost: {fault}")));
            say(format_args!("lost by the newer checkpoints: {}", lost.broken));
        }
    }
    say(format_args!("The old state is in {}.", restored.old_state.display()));
    say(format_args!(
        "The mode is closed. Request ids of before {} are refused; open the service after that: {} mode set full \
         --reason 'WHY'",
        restored.accepts_from,
        program::name()
    ));
}
