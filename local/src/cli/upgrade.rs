//! `local upgrade` and `local rollback`: the package of one host.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use platform::runtime::Runtime;

use super::{ended, output::say};
use crate::{
    host::{
        config_file::DEFAULT_FILE,
        upgrade::{self, DEFAULT_PACKAGES, Host, Outcome, UpgradeFault},
    },
    program,
};

/// The version before works again.
const ROLLED_BACK: u8 = 3;
/// Neither version works, or an operator has to decide.
const STUCK: u8 = 4;

/// What both commands act on.
#[derive(Debug, Args)]
struct HostArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// Where packages are kept
    #[arg(long, value_name = "DIR", default_value = DEFAULT_PACKAGES)]
    packages: PathBuf,
    /// How many seconds the service may take until it is ready
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    wait: u64,
}

/// Options of an upgrade. Exit code 0: the new version works; 1: refused, and nothing has changed; 3: the version before
/// is installed again, and works; 4: a person is needed.
#[derive(Debug, Args)]
pub(super) struct UpgradeArgs {
    /// The new package
    deb: PathBuf,
    /// The package of the installed version, if no upgrade has kept it
    #[arg(long, value_name = "DEB")]
    previous: Option<PathBuf>,
    #[command(flatten)]
    host: HostArgs,
}

/// Options of a rollback. Exit code 0: the version before works; 1: refused, and nothing has changed; 4: a person is
/// needed.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Restore the backup that was made before the upgrade, if the version before cannot read the table; what came later
    /// is lost
    #[arg(long)]
    restore: bool,
    #[command(flatten)]
    host: HostArgs,
}

impl HostArgs {
    fn host(&self) -> Host<'_> {
        Host {
            config_file: &self.config,
            packages: &self.packages,
            wait: Duration::from_secs(self.wait),
            runtime: Runtime::system(),
            say: &|line| say(line),
        }
    }
}

/// Upgrades.
pub(super) async fn upgrade(args: UpgradeArgs) -> ExitCode {
    told(upgrade::upgrade(&args.host.host(), &args.deb, args.previous.as_deref()).await)
}

/// Rolls back.
pub(super) async fn rollback(args: RollbackArgs) -> ExitCode {
    told(upgrade::rollback(&args.host.host(), args.restore).await)
}

fn told(outcome: Result<Outcome, UpgradeFault>) -> ExitCode {
    match outcome {
        Ok(Outcome::Done(version)) => {
            say(format_args!("ok: version {version} is installed, and /readyz names nothing new"));
            say("The gateway loads the plugin of this version when it is restarted.");
            ExitCode::SUCCESS
        }
        Ok(Outcome::RolledBack(version)) => {
            say(format_args!("rolled back: version {version} is installed again, and /readyz names nothing new"));
            ExitCode::from(ROLLED_BACK)
        }
        Ok(Outcome::Stuck(what)) => {
            eprintln!("{}: {what}; journalctl -u miniprogram says why", program::name());
            ExitCode::from(STUCK)
        }
        Err(fault) => ended(Err(fault.into())),
    }
}
