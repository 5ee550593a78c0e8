//! `local checkpoints`: copies exported checkpoints to another host, and deletes old ones.

use std::path::PathBuf;

use clap::Subcommand;
use domain::limits::RetentionClock;
use platform::runtime::Runtime;

use super::{
    Failure,
    output::say,
    table_args::{Host, HostArgs, Opened, Which},
};
use crate::host::checkpoint_folder;

/// Commands about exported checkpoints.
#[derive(Debug, Subcommand)]
pub(super) enum CheckpointsCommand {
    /// Copy new checkpoints by checkpoints.copy_command, then delete those older than checkpoints.keep_days
    Keep {
        /// Where the newest copied name is remembered
        #[arg(long, value_name = "FILE", default_value = "/var/lib/miniprogram-checkpoints/copied")]
        mark: PathBuf,
        #[command(flatten)]
        host: HostArgs,
    },
}

/// Runs one of the commands.
pub(super) async fn run(command: CheckpointsCommand) -> Result<(), Failure> {
    let CheckpointsCommand::Keep { mark, host } = command;
    let Host::Configured(_, config) = host.host()? else {
        return Err("copy_command and keep_days are keys of the configuration file: name it with --config".into());
    };
    let now = Runtime::system().now();
    // After a jump of the clock nothing is deleted until it is confirmed, as in the table.
    let opened = Opened::open(&Which { host, table: None }).await?;
    let clock = opened.table.retention_clock().await;
    opened.close().await;
    let deletes = clock?.map_or_else(|| RetentionClock::confirmed(now), |clock| clock.read(now)).deletes();
    let folder = config.data.join("checkpoints");
    let kept = checkpoint_folder::keep(&folder, &mark, &config.checkpoints, deletes)?;
    if kept.copied {
        say("copied");
    }
    if kept.deleted > 0 {
        say(format_args!("deleted: {}", kept.deleted));
    }
    Ok(())
}
