//! `local watch`: checks gateway and service once; the timer of the package runs it each minute.

use std::path::PathBuf;

use clap::Args;
use platform::runtime::Runtime;

use super::{
    Failure, config,
    output::{say, sentence},
};
use crate::host::{
    backup::credentials_beside,
    config_file::{ConfigFile, DEFAULT_FILE},
    upgrade,
    watch::{self, Target},
};

/// Options of the check.
#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// File in which restarts and alerts are stored
    #[arg(long, value_name = "FILE", default_value = "/var/lib/miniprogram-watch/state.json")]
    state: PathBuf,
    /// Where packages are kept
    #[arg(long, value_name = "DIR", default_value = upgrade::DEFAULT_PACKAGES, hide = true)]
    packages: PathBuf,
}

/// Checks once. With a fault in configuration or webhook it still checks, and fails at the end: the service
/// may be down because of the same fault.
pub(super) async fn run(args: WatchArgs) -> Result<(), Failure> {
    if upgrade::is_running(&args.packages) {
        // It restarts the service itself, and judges it.
        say("upgrade: not finished, so nothing is looked after");
        return Ok(());
    }
    let mut faults = Vec::new();
    let target = match (ConfigFile::read(&args.config), Target::remembered(&args.state)) {
        (Ok(file), _) => Target::from(&file),
        (Err(fault), Some(target)) => {
            faults.push(sentence(&fault));
            target
        }
        (Err(fault), None) => return Err(fault.into()),
    };
    // Root reads the file itself; the credential of the service's unit is not here.
    let credential = credentials_beside(&args.config).join("alerts-webhook");
    let webhook = config::webhook(target.webhook_file.as_deref(), target.format, &credential).unwrap_or_else(|fault| {
        faults.push(sentence(fault.as_ref()));
        None
    });
    let look = watch::look(&target, webhook.as_ref(), &args.state, &Runtime::system()).await;
    for watch::Done { what, done } in look.done {
        say(format_args!("{what}: {done}"));
    }
    faults.extend(look.faults.iter().map(|fault| sentence(fault)));
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ").into()) }
}
