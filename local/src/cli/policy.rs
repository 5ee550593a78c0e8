//! `local policy`: checks policy files, writes their schema, and says what would become of a call and why. Reads the files of
//! the checkout, so that a change can be tried before anything is built.

use std::{
    collections::BTreeSet,
    fmt::Display,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Subcommand};
use serde_json::Value;
use shared::{
    canonical,
    clock::World,
    config::{self, Env},
    mode::{CheckpointSeen, Controls, Mode, Setting},
    policy::{Asked, Decided, Gate, Gated, OperatorPolicy, Policy, PolicyFiles, SCHEMA},
    summary,
    table::Table,
    timestamp::Timestamp,
    user_id::UserId,
};

use super::{Failure, output::say};
use crate::data::{checkout, failed};

/// What to do with policy files.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Read and check every policy file; names the file, line and column of the first fault, and ends with 1
    Check(Folder),
    /// Print the schema that policies about tools are checked against, as the catalogue makes it
    Schema {
        #[command(flatten)]
        folder: Folder,
        /// Write it to schema.cedarschema instead
        #[arg(long)]
        write: bool,
    },
    /// Say what would become of one call, and which policies make it so; ends with 0: runs, 10: asks the user, 11: asks an
    /// operator, 12: is explained, 13: is refused
    Explain(ExplainArgs),
}

/// Where the files are.
#[derive(Debug, Args)]
pub(super) struct Folder {
    /// The folder with tools.toml [default: policy/ of the checkout]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// One call, and the circumstances.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    folder: Folder,
    /// The user's id
    #[arg(long)]
    user: UserId,
    /// The tool
    #[arg(long)]
    tool: String,
    /// The arguments, as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    args: String,
    /// A group that the user is in; may be repeated [default: those in the table, with --table; else none]
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// The mode of the service [default: that in the table, with --table; else full]
    #[arg(long, value_parser = mode)]
    mode: Option<Mode>,
    /// When, RFC 3339 [default: now]
    #[arg(long, value_parser = time)]
    at: Option<Timestamp>,
    /// An operator has opened the tool
    #[arg(long)]
    opened: bool,
    /// An audit checkpoint was signed and exported a moment ago
    #[arg(long)]
    audit_proven: bool,
    /// An argument comes from a turn or an earlier step
    #[arg(long)]
    derived: bool,
    /// The audit record could not be written
    #[arg(long)]
    unaudited: bool,
    /// Read the user's groups, the modes, openings and the last checkpoint from this table; region, credentials and endpoint
    /// come from the standard AWS_* environment
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// How old a checkpoint of that table may be: CHECKPOINT_MAX_AGE_S of the deployment
    #[arg(long, default_value_t = 900)]
    checkpoint_max_age_s: u64,
}

fn mode(text: &str) -> Result<Mode, String> {
    Mode::parse(text).ok_or_else(|| format!("one of {}", Mode::ALL.map(Mode::name).join(", ")))
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(&Value::String(text.to_owned())).map_err(|error| error.to_string())
}

/// Runs one of them.
pub(super) async fn run(command: PolicyCommand) -> Result<ExitCode, Failure> {
    match command {
        PolicyCommand::Check(folder) => check(&folder.files()?).map(|()| ExitCode::SUCCESS),
        PolicyCommand::Schema { folder, write } => schema(&folder, write).map(|()| ExitCode::SUCCESS),
        PolicyCommand::Explain(args) => explain(args).await,
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
    let tools = policy.catalogue().tools().count();
    say(format_args!("ok: {tools} tools, {} policies about them, version {}", policy.ids().len(), policy.version()));
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

async fn explain(args: ExplainArgs) -> Result<ExitCode, Failure> {
    let policy = Policy::parse(&args.folder.files()?)?;
    let arguments = canonical::parse(args.args.as_bytes()).map_err(|fault| format!("--args: {fault}"))?;
    let now = args.at.unwrap_or_else(|| World::system().now());
    let (groups, controls) = circumstances(&args, now).await?;
    let faults = policy.tool(&args.tool).and_then(|tool| tool.validate(&arguments).err());
    if let Some(faults) = faults {
        let faults = faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.message));
        tell("gate", "refuse: arguments_invalid");
        tell("faults", faults.collect::<Vec<_>>().join("; "));
        return Ok(ExitCode::from(13));
    }
    let asked = Asked {
        user_id: args.user,
        groups: &groups,
        tool: &args.tool,
        arguments: &arguments,
        derived: args.derived,
        audited: !args.unaudited,
        now,
    };
    let Gated { gate, decided: Decided { policies, errors, .. } } = policy.gate(&controls, &asked);
    // What the ladder refuses is not put to the policies; here somebody wants to know.
    let said = policy.decide(&asked, controls.mode_for(&args.tool));
    tell("gate", told(gate));
    tell("policy", said.decision.name());
    tell("policies", listed(if policies.is_empty() { &said.policies } else { &policies }));
    tell("errors", listed(if errors.is_empty() { &said.errors } else { &errors }));
    if let (Gate::Ask(_), Some(tool)) = (gate, policy.tool(&args.tool)) {
        match summary::describe(tool, &arguments) {
            Ok(described) => tell("asks", described.summary),
            Err(error) => tell("asks", error),
        }
    }
    let mode = controls.mode_for(&args.tool).name();
    tell("looked at", format_args!("groups {}, mode {mode}, {now}", listed(&groups)));
    tell("version", policy.version());
    Ok(ExitCode::from(code(gate)))
}

/// What is not given on the command line: from the table if there is one, else the plainest case.
async fn circumstances(args: &ExplainArgs, now: Timestamp) -> Result<(BTreeSet<String>, Controls), Failure> {
    let max_age = Duration::from_secs(args.checkpoint_max_age_s);
    let by_hand = |mode| Setting { mode, reason: String::new(), by: "command line".to_owned(), at: now };
    let (mut groups, mut controls) = match &args.table {
        Some(name) => {
            let aws = config::aws(&Env::process())?;
            let table = Table::new(aws.dynamodb(), name.clone(), Duration::ZERO);
            let user = table.user(args.user).await?;
            let user = user.ok_or_else(|| format!("the table {name} has no user {}", args.user))?;
            (user.groups, table.controls(now, max_age).await?)
        }
        None => (
            BTreeSet::new(),
            Controls { service: by_hand(Mode::Full), checkpoint_max_age: max_age, ..Controls::unreadable(now) },
        ),
    };
    if !args.groups.is_empty() {
        groups = args.groups.iter().cloned().collect();
    }
    if let Some(mode) = args.mode {
        controls.service = by_hand(mode);
    }
    if args.opened {
        let switch = controls.tools.entry(args.tool.clone()).or_default();
        switch.opened_until = Some(now.plus(Duration::from_secs(1)));
    }
    if args.audit_proven {
        controls.checkpoint = Some(CheckpointSeen { seq: 1, signed_at: now, exported_at: Some(now) });
        controls.checkpoint_max_age = max_age.max(Duration::from_secs(1));
    }
    Ok((groups, controls))
}

fn told(gate: Gate) -> String {
    match gate {
        Gate::Run => "run".to_owned(),
        Gate::Ask(approver) => format!("ask: {}", approver.name()),
        Gate::Explain(reason) => format!("explain: {}", reason.code()),
        Gate::Refuse(reason) => format!("refuse: {}", reason.code()),
    }
}

const fn code(gate: Gate) -> u8 {
    use shared::approval::Approver;
    match gate {
        Gate::Run => 0,
        Gate::Ask(Approver::User) => 10,
        Gate::Ask(Approver::Operator) => 11,
        Gate::Explain(_) => 12,
        Gate::Refuse(_) => 13,
    }
}

fn listed<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn tell(what: &str, told: impl Display) {
    say(format_args!("{what:<10} {told}"));
}
