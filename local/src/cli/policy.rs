//! `local policy`: checks policy files, prints their schema, and explains the decision about a call. Reads the files of
//! the checkout, so that a change can be tried without building.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use domain::policy::{OperatorPolicy, Policy, PolicyFiles, SCHEMA};

use super::{Failure, output::say};
use crate::data::{checkout, failed};

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
        let root = self.path()?;
        let mut files = Vec::new();
        for (folder, prefix) in [(root.clone(), ""), (root.join("schemas"), "schemas/")] {
            read(&folder, prefix, &mut files)?;
        }
        Ok(files.into_iter().collect())
    }
}

fn read(folder: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder).map_err(failed(folder, "read"))? {
        let path = entry.map_err(failed(folder, "read"))?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_file()) {
            files.push((format!("{prefix}{name}"), std::fs::read(&path).map_err(failed(&path, "read"))?));
        }
    }
    Ok(())
}

fn check(files: &PolicyFiles) -> Result<(), Failure> {
    let (policy, operators) = (Policy::parse(files)?, OperatorPolicy::parse(files)?);
    for warning in policy.warnings().iter().chain(operators.warnings()) {
        say(format_args!("odd: {warning}"));
    }
    if files.text(SCHEMA) != Some(policy.schema_text().as_str()) {
        return Err(
            format!("policy/{SCHEMA} is not what the catalogue makes: run `local policy schema --write`").into()
        );
    }
    let (tools, agents) = (policy.catalogue().tools().count(), policy.catalogue().agents().count());
    let policies = policy.ids().len();
    say(format_args!(
        "ok: {tools} tools, {agents} agents, {policies} policies about them, version {}",
        policy.version()
    ));
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
