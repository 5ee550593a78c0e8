//! `local mode`: shows or changes the service mode. Works on the table without the operator's API, so that the service
//! can be closed and opened when that API does not work.

use std::{
    fmt::{self, Display},
    time::Duration,
};

use clap::{Args, Subcommand};
use domain::{
    access::service_mode::{Controls, Mode, Reason, Setting},
    audit::OperatorActor,
    ids::Timestamp,
    policy::Policy,
};
use platform::{config, runtime::Runtime};
use service::{
    change_mode::{self, Change},
    controls,
};
use store::{Applied, Table};

use super::{
    Failure,
    output::say,
    table_args::{Opened, Which},
};
use crate::program;

/// Commands about the service mode.
#[derive(Debug, Subcommand)]
pub(super) enum ModeCommand {
    /// Show the service's mode, the tools with a mode or a temporary unlock of their own, and the last audit checkpoint
    Get(Which),
    /// Set the service's mode
    Set {
        /// closed, explain_only, read_only or full
        #[arg(value_parser = mode)]
        mode: Mode,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        which: Which,
    },
    /// Set the mode of one tool; the more restrictive of it and the service's mode applies
    Tool {
        /// The tool's name in the catalogue
        tool: String,
        /// closed, explain_only, read_only, or full to let the service's mode apply alone
        #[arg(value_parser = mode)]
        mode: Mode,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        which: Which,
    },
    /// Unlock a destructive tool for some minutes, or end its unlock
    Open {
        /// The tool's name in the catalogue
        tool: String,
        /// Minutes from now; 0 ends the unlock
        #[arg(long)]
        minutes: u32,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        which: Which,
    },
}

/// The reason of a change.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// The reason: kept in the audit chain for ever, so it must not contain names or personal data
    #[arg(long, value_parser = Reason::parse)]
    reason: Reason,
}

fn mode(name: &str) -> Result<Mode, String> {
    Mode::parse(name).ok_or_else(|| format!("a mode is one of {}", Mode::ALL.map(Mode::name).join(", ")))
}

/// Runs one of the commands.
pub(super) async fn run(command: ModeCommand) -> Result<(), Failure> {
    let (change, which) = match command {
        ModeCommand::Get(which) => (None, which),
        // The policy is not parsed: the service can be closed while the files of its policy are refused.
        ModeCommand::Set { mode, why, which } => (Some(Change::mode(mode, why.reason)), which),
        ModeCommand::Tool { tool, mode, why, which } => {
            let policy = Policy::parse(&which.policy()?)?;
            (Some(Change::tool(policy.catalogue(), &tool, mode, why.reason).map_err(about(&tool))?), which)
        }
        ModeCommand::Open { tool, minutes, why, which } => {
            let policy = Policy::parse(&which.policy()?)?;
            (Some(Change::unlock(policy.catalogue(), &tool, minutes, why.reason).map_err(about(&tool))?), which)
        }
    };
    let policy_version = which.policy()?.version();
    let opened = Opened::open(&which).await?;
    let done = act(&opened.table, change.as_ref(), &policy_version).await;
    opened.close().await;
    done
}

fn about<E: Display>(tool: &str) -> impl FnOnce(E) -> Failure {
    move |fault| format!("{tool}: {fault}").into()
}

async fn act(table: &Table, change: Option<&Change>, policy_version: &str) -> Result<(), Failure> {
    let runtime = Runtime::system();
    if let Some(change) = change {
        match change_mode::change(table, &runtime, OperatorActor::Command, change, policy_version).await? {
            Applied::Done => {}
            Applied::Overtaken => say("A later change applies instead."),
        }
    }
    let max_age = Duration::from_secs(config::defaults::CHECKPOINT_MAX_AGE_S);
    let controls = table.controls(runtime.now(), max_age).await?;
    say(Shown(&controls, runtime.now()));
    if change.is_some() {
        say(format_args!("Every function acts on it within {} s.", controls::MAX_AGE.as_secs()));
    }
    Ok(())
}

/// The modes that are set, one on each line.
pub(super) struct Shown<'a>(pub(super) &'a Controls, pub(super) Timestamp);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(controls, now) = self;
        if controls.is_set() {
            write!(f, "service  {}", Line(&controls.service))?;
        } else {
            let program = program::name();
            write!(
                f,
                "service  read_only: no mode was ever set; open it with `{program} mode set full --reason TEXT`"
            )?;
        }
        for (tool, switch) in &controls.tools {
            if let Some(setting) = &switch.setting {
                write!(f, "\n{tool}  {}", Line(setting))?;
            }
            if let Some(until) = switch.opened_until {
                let state = if controls.opened(tool, *now) { "unlocked until" } else { "locked since" };
                write!(f, "\n{tool}  {state} {until}")?;
            }
        }
        match controls.checkpoint {
            None => write!(f, "\naudit checkpoint  none"),
            Some(seen) => {
                write!(f, "\naudit checkpoint  {} signed {}", seen.seq, seen.signed_at)?;
                match seen.exported_at {
                    Some(at) => write!(f, ", exported {at}"),
                    None => write!(f, ", not exported"),
                }
            }
        }
    }
}

struct Line<'a>(&'a Setting);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setting { mode, reason, by, at } = self.0;
        write!(f, "{}  since {at} by {by}: {reason}", mode.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::access::service_mode::{CheckpointSeen, ToolSwitch};

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    #[test]
    fn what_is_set_is_shown_whole() {
        let setting = |mode| Setting { mode, reason: "a test".into(), by: "command".into(), at: NOW };
        let mut controls = Controls::unset(NOW);
        let shown = |controls: &Controls| Shown(controls, NOW).to_string();
        assert!(shown(&controls).contains("local mode set full"), "it says how to open it");
        controls.service = setting(Mode::Full);
        let until = |millis| Some(Timestamp::from_millis(NOW.millis() + millis));
        controls.tools.insert("a".into(), ToolSwitch { setting: Some(setting(Mode::Closed)), opened_until: until(1) });
        controls.tools.insert("b".into(), ToolSwitch { setting: None, opened_until: until(0) });
        controls.checkpoint = Some(CheckpointSeen { seq: 7, signed_at: NOW, exported_at: None });
        let lines = shown(&controls);
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines[0], format!("service  full  since {NOW} by command: a test"));
        assert_eq!(lines[1], format!("a  closed  since {NOW} by command: a test"));
        assert!(lines[2].starts_with("a  unlocked until ") && lines[3].starts_with("b  locked since "), "{lines:?}");
        assert_eq!(lines[4], format!("audit checkpoint  7 signed {NOW}, not exported"));
    }
}
