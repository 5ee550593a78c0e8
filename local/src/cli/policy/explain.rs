//! `local policy explain`: what policy and service mode decide about one call or one turn, and why.

use std::{collections::BTreeSet, fmt::Display, process::ExitCode, time::Duration};

use clap::Args;
use domain::{
    access::service_mode::{CheckpointSeen, Controls, Mode, Setting},
    catalogue::approval_summary,
    ids::{Timestamp, UserId},
    json,
    policy::{CallQuery, Decided, Gate, Gated, Policy, TurnGate, TurnGated, TurnQuery},
};
use platform::{
    config::{self, Env},
    runtime::Runtime,
};
use serde_json::Value;
use store::Table;

use super::{Failure, Folder, say};

/// One call or one turn, and its circumstances.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainArgs {
    #[command(flatten)]
    folder: Folder,
    /// The user's id
    #[arg(long)]
    user: UserId,
    /// The tool that is called
    #[arg(long, required_unless_present = "agent")]
    tool: Option<String>,
    /// The agent of a turn, instead of a tool
    #[arg(long, conflicts_with_all = ["tool", "args", "opened", "audit_proven", "derived", "unaudited"])]
    agent: Option<String>,
    /// The arguments, as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    args: String,
    /// A group that the user is in; may be repeated [default: those in the table, with --table; else none]
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// The mode of the service [default: that in the table, with --table; else full]
    #[arg(long, value_parser = mode)]
    mode: Option<Mode>,
    /// Time of the decision, RFC 3339 [default: now]
    #[arg(long, value_parser = time)]
    at: Option<Timestamp>,
    /// An operator has unlocked the tool
    #[arg(long)]
    opened: bool,
    /// An audit checkpoint was signed and exported just now
    #[arg(long)]
    audit_proven: bool,
    /// An argument comes from a turn or an earlier step
    #[arg(long)]
    derived: bool,
    /// The audit record could not be written
    #[arg(long)]
    unaudited: bool,
    /// Read the user's groups, the modes, temporary unlocks and the last checkpoint from this table; region,
    /// credentials and endpoint come from the standard AWS_* environment
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Maximum age of that table's checkpoint: CHECKPOINT_MAX_AGE_S of the deployment
    #[arg(long, default_value_t = 900)]
    checkpoint_max_age_s: u64,
}

fn mode(text: &str) -> Result<Mode, String> {
    Mode::parse(text).ok_or_else(|| format!("one of {}", Mode::ALL.map(Mode::name).join(", ")))
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(&Value::String(text.to_owned())).map_err(|error| error.to_string())
}

/// Prints the decision and the policies that determined it.
pub(super) async fn explain(args: ExplainArgs) -> Result<ExitCode, Failure> {
    let policy = Policy::parse(&args.folder.files()?)?;
    let now = args.at.unwrap_or_else(|| Runtime::system().now());
    let (groups, controls) = circumstances(&args, now).await?;
    let circumstances = Circumstances { user_id: args.user, groups, controls, now };
    match (&args.tool, &args.agent) {
        (Some(tool), _) => a_call(&policy, &circumstances, tool, &args),
        (None, Some(agent)) => Ok(a_turn(&policy, &circumstances, agent)),
        (None, None) => Err("name a --tool or an --agent".to_owned().into()),
    }
}

/// The user, the time, and the service modes of the call.
struct Circumstances {
    user_id: UserId,
    groups: BTreeSet<String>,
    controls: Controls,
    now: Timestamp,
}

impl Circumstances {
    fn tell(&self, policy: &Policy, mode: Mode) {
        let (groups, mode) = (listed(&self.groups), mode.name());
        tell("looked at", format_args!("groups {groups}, mode {mode}, {}", self.now));
        tell("version", policy.version());
    }
}

fn a_turn(policy: &Policy, about: &Circumstances, agent: &str) -> ExitCode {
    let query = TurnQuery { user_id: about.user_id, groups: &about.groups, agent, now: about.now };
    let mode = about.controls.service.mode;
    let TurnGated { gate, decided, tools } = policy.gate_turn(&about.controls, &query);
    // A turn that the mode refuses is not shown to the policies in the service; here their decision is printed too.
    let said = policy.decide_turn(&query, mode);
    let (told, code) = match gate {
        TurnGate::Run => ("run".to_owned(), 0),
        TurnGate::WithoutTools => ("run without tools".to_owned(), 12),
        TurnGate::Refuse(reason) => (format!("refuse: {}", reason.code()), 13),
    };
    tell("gate", told);
    tell("policy", said.decision.name());
    tell("policies", listed(if decided.policies.is_empty() { &said.policies } else { &decided.policies }));
    tell("errors", listed(if decided.errors.is_empty() { &said.errors } else { &decided.errors }));
    if let (TurnGate::Run, Some(agent)) = (gate, policy.agent(agent)) {
        tell("uses", listed(&tools));
        tell("proposes", listed(agent.tools.iter().filter(|name| !tools.contains(name))));
    }
    about.tell(policy, mode);
    ExitCode::from(code)
}

fn a_call(policy: &Policy, about: &Circumstances, tool: &str, args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let arguments = json::parse(args.args.as_bytes()).map_err(|fault| format!("--args: {fault}"))?;
    let Circumstances { user_id, groups, controls, now } = about;
    let faults = policy.tool(tool).and_then(|tool| tool.validate(&arguments).err());
    if let Some(faults) = faults {
        let faults = faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.message));
        tell("gate", "refuse: arguments_invalid");
        tell("faults", faults.collect::<Vec<_>>().join("; "));
        return Ok(ExitCode::from(13));
    }
    let query = CallQuery {
        user_id: *user_id,
        groups,
        tool,
        arguments: &arguments,
        derived: args.derived,
        audited: !args.unaudited,
        now: *now,
    };
    let Gated { gate, decided: Decided { policies, errors, .. } } = policy.gate(controls, &query);
    // A call that the mode refuses is not shown to the policies in the service; here their decision is printed too.
    let said = policy.decide(&query, controls.mode_for(tool));
    tell("gate", told(gate));
    tell("policy", said.decision.name());
    tell("policies", listed(if policies.is_empty() { &said.policies } else { &policies }));
    tell("errors", listed(if errors.is_empty() { &said.errors } else { &errors }));
    if let (Gate::Ask(_), Some(tool)) = (gate, policy.tool(tool)) {
        match approval_summary::describe(tool, &arguments) {
            Ok(described) => tell("asks", described.summary),
            Err(error) => tell("asks", error),
        }
    }
    about.tell(policy, controls.mode_for(tool));
    Ok(ExitCode::from(code(gate)))
}

/// Circumstances that the command line does not give: from the table if there is one, otherwise defaults.
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
    if let Some(tool) = args.tool.clone().filter(|_| args.opened) {
        controls.tools.entry(tool).or_default().opened_until = Some(now.plus(Duration::from_secs(1)));
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
    use domain::ids::Approver;
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
