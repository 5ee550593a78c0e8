//! `local reload`: a running service reads its configuration and policy again, and says which policy applies.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
    time::Duration,
};

use clap::Args;
use serde_json::Value;

use super::{Failure, config::Checked, ended, output::say};
use crate::{data::RunningService, host::config_file::DEFAULT_FILE, program};

/// How often, and after which pauses, readiness is asked for the new policy.
const ASKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(200);

/// Options of the reload.
#[derive(Debug, Args)]
pub(super) struct ReloadArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

/// Checks the files, signals the service, and waits until it has their policy. With a fault in the files nothing is
/// signalled.
pub(super) async fn run(args: ReloadArgs) -> ExitCode {
    match Checked::read_or_exit(&args.config) {
        Ok(checked) => ended(reload(&checked).await),
        Err(code) => code,
    }
}

async fn reload(checked: &Checked) -> Result<(), Failure> {
    let config = &checked.config;
    let Some(RunningService { process, base_url }) = RunningService::of(&config.data)? else {
        return Err(format!("no service runs on {}; it reads the files when it starts", config.data.display()).into());
    };
    // The shell's own command: not every host has another.
    let signalled = Command::new("/bin/sh").args(["-c", "kill -HUP \"$0\"", &process.to_string()]).status()?;
    if !signalled.success() {
        return Err(format!("process {process} cannot be signalled; run it as root").into());
    }
    let wanted = checked.policy.tools.version();
    for _ in 0..ASKS {
        if policy_of(&base_url).await.as_deref() == Some(wanted) {
            say(format_args!("Reloaded: {checked}. The log says whether other keys need a restart."));
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("the service goes on without policy {wanted}; its log and `{} doctor` say why", program::name()).into())
}

/// The version of the policy that a service has.
async fn policy_of(base_url: &str) -> Option<String> {
    let http = reqwest::Client::builder().no_proxy().timeout(PAUSE * 10).build().ok()?;
    let body = http.get(format!("{base_url}/readyz")).send().await.ok()?.bytes().await.ok()?;
    let ready: Value = domain::json::foreign(&body).ok()?;
    ready["policy_version"].as_str().map(str::to_owned)
}
