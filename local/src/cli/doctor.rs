//! `local doctor`: checks one host.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use platform::runtime::Runtime;

use super::output::say;
use crate::host::{
    config_file::DEFAULT_FILE,
    doctor::{self, Finding, State},
    upgrade::DEFAULT_PACKAGES,
};

/// Options of the checks.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// Where packages are kept
    #[arg(long, value_name = "DIR", default_value = DEFAULT_PACKAGES, hide = true)]
    packages: PathBuf,
    /// Print a JSON array, to be compared with that of another host
    #[arg(long)]
    json: bool,
}

/// Checks the host; ends with 0 if everything is well, 1 for warnings, 2 for failures.
pub(super) async fn run(args: DoctorArgs) -> ExitCode {
    let findings = doctor::examine(&args.config, &args.packages, &Runtime::system()).await;
    if args.json {
        say(serde_json::to_string_pretty(&findings).expect("findings serialise"));
    } else {
        findings.iter().for_each(tell);
    }
    ExitCode::from(doctor::exit_code(&findings))
}

fn tell(finding: &Finding) {
    let Finding { check, state, reason, mend } = finding;
    let state = match state {
        State::Ok => "ok  ",
        State::Warn => "warn",
        State::Fail => "FAIL",
    };
    match mend {
        Some(mend) => say(format_args!("{state}  {check}: {reason}\n      mend: {mend}")),
        None => say(format_args!("{state}  {check}: {reason}")),
    }
}
