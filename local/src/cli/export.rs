//! `local export`: a stopped host as files for a deployment on AWS.

use std::path::PathBuf;

use clap::Args;
use platform::runtime::Runtime;

use super::{Failure, output::say, table_args::HostArgs};
use crate::{
    data::DataDir,
    host::export::{self, SECRETS_FOLDER, TABLE_FOLDER},
};

/// Options of an export.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// A new directory for the table and the documents of secrets
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Export once more what was exported
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    host: HostArgs,
}

/// Exports. Refused while the service runs: what it changed afterwards would be missing.
pub(super) async fn run(args: ExportArgs) -> Result<(), Failure> {
    let directory = args.host.directory()?;
    let data = if args.again { DataDir::take_for_export(&directory) } else { DataDir::take(&directory) };
    let items = export::export(&data?, &args.to, Runtime::system().now()).await?;
    let to = args.to.display();
    say(format_args!("{items} items are in {to}/{TABLE_FOLDER}, for `aws dynamodb import-table`."));
    say(format_args!(
        "Four documents are in {to}/{SECRETS_FOLDER}, for `secrets put`. They are secrets: delete them after that."
    ));
    say("This service does not start again: a request that reaches both would run twice.");
    Ok(())
}
