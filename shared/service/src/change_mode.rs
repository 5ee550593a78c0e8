//! How what is set is changed: one routine for operators, for alarms and for the command line.

use std::time::Duration;

use domain::{
    access::service_mode::{Mode, Reason, Setting, UNLOCKED_AT_MOST_MIN},
    audit::{OperatorActor, OperatorEvent},
    catalogue::{Catalogue, ToolEffect},
    ids::Timestamp,
};
use platform::{metrics::Metric, runtime::Runtime};
use store::{Applied, Table, TableError};

/// What is to be changed, and why. One of these fits the catalogue.
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

/// A change that fits no tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadChange {
    /// The catalogue does not list the tool.
    #[error("there is no tool of this name")]
    ToolUnknown,
    /// Other tools need no opening.
    #[error("only a destructive tool is opened and shut")]
    NotDestructive,
    /// Longer than a day.
    #[error("a tool is opened for 1 to {UNLOCKED_AT_MOST_MIN} minutes; 0 shuts it")]
    TooLong,
}

impl Change {
    /// The mode of the service.
    pub fn mode(mode: Mode, reason: Reason) -> Self {
        Self { what: What::Mode(mode), reason }
    }

    /// The mode of one tool; `full` leaves it to the service's.
    pub fn tool(catalogue: &Catalogue, tool: &str, mode: Mode, reason: Reason) -> Result<Self, BadChange> {
        let listed = catalogue.get(tool).ok_or(BadChange::ToolUnknown)?;
        Ok(Self { what: What::Tool { tool: listed.entry.name.clone(), mode }, reason })
    }

    /// A destructive tool is opened from now on for so many minutes, whatever was left of an opening before; none shut it.
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

/// Makes a change: its record in the chain of what operators did first, then the item. A change whose record cannot be
/// written is not made. Each change is made as recorded last: see [`store::Table::set_mode`].
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
            // What it was is worth a word, and no reason not to change it.
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

/// Lowers the service's mode on behalf of an alarm. Never raises it: what is as low already is left, and not recorded.
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
