//! Changes of the service mode and of single tools: one routine for operators, alarms and the command line.

use std::time::Duration;

use domain::{
    access::service_mode::{Mode, Reason, Setting, UNLOCKED_AT_MOST_MIN},
    audit::{OperatorActor, OperatorEvent},
    catalogue::{Catalogue, ToolEffect},
    ids::Timestamp,
};
use platform::{metrics::Metric, runtime::Runtime};
use store::{Applied, Table, TableError};

/// A change and its reason. The constructors check it against the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    what: What,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Mode(Mode),
    Tool { tool: String, mode: Mode },
    Unlock { tool: String, minutes: u32 },
}

/// The change does not fit the tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadChange {
    /// The catalogue does not list the tool.
    #[error("there is no tool of this name")]
    ToolUnknown,
    /// Only a destructive tool can be unlocked.
    #[error("only a destructive tool is opened and shut")]
    NotDestructive,
    /// The duration of the unlock is out of range.
    #[error("a tool is opened for 1 to {UNLOCKED_AT_MOST_MIN} minutes; 0 shuts it")]
    TooLong,
}

impl Change {
    /// Sets the service mode.
    pub fn mode(mode: Mode, reason: Reason) -> Self {
        Self { what: What::Mode(mode), reason }
    }

    /// Sets the mode of one tool; `full` means no restriction besides the service mode.
    pub fn tool(catalogue: &Catalogue, tool: &str, mode: Mode, reason: Reason) -> Result<Self, BadChange> {
        let listed = catalogue.get(tool).ok_or(BadChange::ToolUnknown)?;
        Ok(Self { what: What::Tool { tool: listed.entry.name.clone(), mode }, reason })
    }

    /// Unlocks a destructive tool for so many minutes from now, replacing an earlier unlock; 0 locks it.
    pub fn unlock(catalogue: &Catalogue, tool: &str, minutes: u32, reason: Reason) -> Result<Self, BadChange> {
        let listed = catalogue.get(tool).ok_or(BadChange::ToolUnknown)?;
        match listed.entry.effect {
            ToolEffect::Read | ToolEffect::Write => Err(BadChange::NotDestructive),
            ToolEffect::Destructive if minutes > UNLOCKED_AT_MOST_MIN => Err(BadChange::TooLong),
            ToolEffect::Destructive => {
                Ok(Self { what: What::Unlock { tool: listed.entry.name.clone(), minutes }, reason })
            }
        }
    }
}

/// Makes a change: its record in the operators' chain first, then the item. Without the record no change is made. The
/// order of the records decides between concurrent changes: see [`store::Table::set_mode`].
pub async fn change(
    table: &Table,
    runtime: &Runtime,
    actor: OperatorActor,
    change: &Change,
    policy_version: &str,
) -> Result<Applied, TableError> {
    let Change { what, reason } = change;
    let function = match &actor {
        OperatorActor::Operator(_) => "operator",
        OperatorActor::Alarm(_) => "sweep",
        OperatorActor::Command => "local",
    };
    let (by, at) = (actor.to_string(), runtime.now());
    let setting = |mode| Setting { mode, reason: reason.text().to_owned(), by: by.clone(), at };
    let record = async |event| table.append_operator(runtime, actor.clone(), event, policy_version).await;
    let applied = match what {
        What::Mode(mode) => {
            // The previous mode is only informative, so a failed read does not prevent the change.
            let was = table.controls(at, Duration::ZERO).await.ok().filter(|controls| controls.is_set());
            let was = was.map(|controls| controls.service.mode);
            let seq =
                record(OperatorEvent::ModeSet { mode: *mode, was, reason: reason.text().to_owned() }).await?.length;
            table.set_mode(seq, &setting(*mode)).await?
        }
        What::Tool { tool, mode } => {
            let (tool, mode, reason) = (tool.clone(), *mode, reason.text().to_owned());
            let seq = record(OperatorEvent::ToolSet { tool: tool.clone(), mode, reason }).await?.length;
            table.set_tool(seq, &tool, &setting(mode)).await?
        }
        What::Unlock { tool, minutes } => {
            let until = at.plus(Duration::from_secs(u64::from(*minutes) * 60));
            let seq = record(unlocked(tool, at, until, reason)).await?.length;
            table.open_tool(seq, tool, until).await?
        }
    };
    made(runtime, function, applied);
    Ok(applied)
}

fn unlocked(tool: &str, at: Timestamp, until: Timestamp, reason: &Reason) -> OperatorEvent {
    let (tool, reason) = (tool.to_owned(), reason.text().to_owned());
    if until > at {
        OperatorEvent::ToolOpened { tool, until: until.to_string(), reason }
    } else {
        OperatorEvent::ToolClosed { tool, reason }
    }
}

/// Lowers the service mode for an alarm. Never raises it: if the mode is as low already, nothing is changed or
/// recorded.
pub async fn lower(
    table: &Table,
    runtime: &Runtime,
    alarm: String,
    mode: Mode,
    policy_version: &str,
) -> Result<Applied, TableError> {
    let at = runtime.now();
    let now = table.controls(at, Duration::ZERO).await?;
    if now.service.mode <= mode {
        return Ok(Applied::Overtaken);
    }
    let reason = Reason::of_alarm().text().to_owned();
    let actor = OperatorActor::Alarm(alarm);
    let by = actor.to_string();
    let was = now.is_set().then_some(now.service.mode);
    let event = OperatorEvent::ModeSet { mode, was, reason: reason.clone() };
    let seq = table.append_operator(runtime, actor, event, policy_version).await?.length;
    let applied = table.lower_mode(seq, &Setting { mode, reason, by, at }).await?;
    made(runtime, "sweep", applied);
    Ok(applied)
}

fn made(runtime: &Runtime, function: &'static str, applied: Applied) {
    runtime.count(Metric::ModeChanges);
    let outcome = match applied {
        Applied::Done => "done",
        Applied::Overtaken => "overtaken",
    };
    tracing::info!(function, outcome, code = "mode_changed", "what the service may do has been changed");
}
