//! `local policy`: checks policy files, prints their schema, and explains the decision about a call. Reads the files of
//! the checkout, so that a change can be tried without building.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use domain::policy::{OperatorPolicy, Policy, PolicyFiles, SCHEMA};

use super::{Failure, output::say};
use crate::{
    data::{checkout, failed},
    host::{guard_lists::GuardLists, policy_folder},
    program,
};

mod explain;

/// Commands about policy files.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Read and check every policy file; names the file, line and column of the first fault, and ends with 1
    Check(Folder),
    /// Print the schema that policies about tools are checked against, which is generated from the catalogue
    Schema {
        #[command(flatten)]
        folder: Folder,
        /// Write it to schema.cedarschema instead
        #[arg(long)]
        write: bool,
    },
    /// Print the lists of tools that the gateway's plugin needs in its configuration, `guard` and `reads`, as JSON
    Guard(Folder),
    /// Explain the decision about one call, or one turn of an agent, and the policies that determine it; exit code 0:
    /// runs, 10: asks the user, 11: asks an operator, 12: is explained, or is a turn that runs without tools, 13: is
    /// refused
    Explain(explain::ExplainArgs),
}

/// Options that name the folder of policy files.
#[derive(Debug, Args)]
pub(super) struct Folder {
    /// The folder with tools.toml [default: policy/ of the checkout]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// Runs one of the commands.
pub(super) async fn run(command: PolicyCommand) -> Result<ExitCode, Failure> {
    match command {
        PolicyCommand::Check(folder) => check(&folder.files()?).map(|()| ExitCode::SUCCESS),
        PolicyCommand::Schema { folder, write } => schema(&folder, write).map(|()| ExitCode::SUCCESS),
        PolicyCommand::Guard(folder) => guard(&folder.files()?).map(|()| ExitCode::SUCCESS),
        PolicyCommand::Explain(args) => explain::explain(args).await,
    }
}

impl Folder {
    fn path(&self) -> Result<PathBuf, Failure> {
        match &self.dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(checkout()?.join("policy")),
        }
    }

    fn files(&self) -> Result<PolicyFiles, Failure> {
        Ok(policy_folder::read(&self.path()?)?)
    }
}

fn check(files: &PolicyFiles) -> Result<(), Failure> {
    let (policy, operators) = (Policy::parse(files)?, OperatorPolicy::parse(files)?);
    for warning in policy.warnings().iter().chain(operators.warnings()) {
        say(format_args!("warning: {warning}"));
    }
    if files.text(SCHEMA) != Some(policy.schema_text().as_str()) {
        return Err(format!(
            "policy/{SCHEMA} is not what the catalogue makes: run `{} policy schema --write`",
            program::name()
        )
        .into());
    }
    let (tools, agents) = (policy.catalogue().tools().count(), policy.catalogue().agents().count());
    let policies = policy.ids().len();
    say(format_args!(
        "ok: {tools} tools, {agents} agents, {policies} policies about them, version {}",
        policy.version()
    ));
    Ok(())
}

/// Reads are also those that only the gateway has, and that the catalogue lists for an agent.
fn guard(files: &PolicyFiles) -> Result<(), Failure> {
    let policy = Policy::parse(files)?;
    say(serde_json::to_string(&GuardLists::of(&policy))?);
    Ok(())
}

fn schema(folder: &Folder, write: bool) -> Result<(), Failure> {
    let text = Policy::schema_of(&folder.files()?)?;
    if write {
        let path = folder.path()?.join(SCHEMA);
        std::fs::write(&path, text).map_err(failed(&path, "written"))?;
        say(format_args!("written: {}", path.display()));
    } else {
        say(text.trim_end());
    }
    Ok(())
}
