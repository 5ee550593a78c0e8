//! Changes of the service mode and of single tools: one routine for operators and the command line, one for `sweep`.

use std::time::Duration;

use domain::{
    access::{
        fault_watch::WatchedFault,
        service_mode::{Lowered, Mode, Reason, Setting, UNLOCKED_AT_MOST_MIN},
    },
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

/// Lowers the service mode for a fault that `sweep` observed. Never raises it: if the mode is as low already, nothing
/// is changed or recorded. Where no mode was ever set nothing is lowered either: such a service acts as `read_only`
/// until a person opens it, and its gateway may not be there yet.
pub async fn lower(
    table: &Table,
    runtime: &Runtime,
    fault: WatchedFault,
    policy_version: &str,
) -> Result<Applied, TableError> {
    let (at, mode) = (runtime.now(), fault.mode());
    let now = table.controls(at, Duration::ZERO).await?;
    if now.service.mode <= mode || !now.is_set() {
        return Ok(Applied::Overtaken);
    }
    let event = OperatorEvent::ModeSet { mode, was: Some(now.service.mode), reason: fault.reason().to_owned() };
    let (seq, by) = record_fault(table, runtime, fault, event, policy_version).await?;
    let setting = Setting { mode, reason: fault.reason().to_owned(), by, at };
    let applied = table.lower_mode(seq, &setting).await?;
    made(runtime, "sweep", applied);
    Ok(applied)
}

/// Raises a mode again that `sweep` has lowered because the gateway was not ready, unless it was changed since.
pub async fn raise(
    table: &Table,
    runtime: &Runtime,
    lowered: Lowered,
    mode: Mode,
    policy_version: &str,
) -> Result<Applied, TableError> {
    let (at, fault) = (runtime.now(), WatchedFault::GatewayNotReady);
    let reason = "the gateway answers its health checks again".to_owned();
    let event = OperatorEvent::ModeSet { mode, was: Some(fault.mode()), reason: reason.clone() };
    let (seq, by) = record_fault(table, runtime, fault, event, policy_version).await?;
    let applied = table.raise_mode(seq, lowered, &Setting { mode, reason, by, at }).await?;
    made(runtime, "sweep", applied);
    Ok(applied)
}

/// Appends a change by `sweep` to the operators' chain. Returns its number and its author.
async fn record_fault(
    table: &Table,
    runtime: &Runtime,
    fault: WatchedFault,
    event: OperatorEvent,
    policy_version: &str,
) -> Result<(u64, String), TableError> {
    let actor = OperatorActor::Alarm(fault.name().to_owned());
    let by = actor.to_string();
    let appended = table.append_operator(runtime, actor, event, policy_version).await;
    Ok((table.audited(runtime, appended).await?.length, by))
}

fn made(runtime: &Runtime, function: &'static str, applied: Applied) {
    runtime.count(Metric::ModeChanges);
    let outcome = match applied {
        Applied::Done => "done",
        Applied::Overtaken => "overtaken",
    };
    tracing::info!(function, outcome, code = "mode_changed", "a mode or a temporary unlock was changed");
}
