//! `local clock`: the clock by which a host deletes expired items, and an operator's confirmation that the clock is
//! right.

use clap::Subcommand;
use domain::{
    ids::Timestamp,
    limits::{JUMP, RetentionClock},
};
use platform::runtime::Runtime;
use serde_json::Value;
use store::Table;

use super::{
    Failure,
    output::say,
    table_args::{HostArgs, Opened, Which},
};
use crate::emulation::expiry::Late;

/// Commands about the clock.
#[derive(Debug, Subcommand)]
pub(super) enum ClockCommand {
    /// Show the host's clock, and the time before which expired items are deleted
    Show(HostArgs),
    /// Confirm that the host's clock is right after a jump: items that have expired by it are deleted within a day
    Confirm {
        /// Today's date in UTC, as YYYY-MM-DD, from another clock than this host's
        #[arg(long, value_parser = noon)]
        today: Timestamp,
        #[command(flatten)]
        host: HostArgs,
    },
}

fn noon(date: &str) -> Result<Timestamp, String> {
    Timestamp::parse(&Value::String(format!("{date}T12:00:00Z"))).map_err(|_| "a date is YYYY-MM-DD".to_owned())
}

/// Runs one of the commands.
pub(super) async fn run(command: ClockCommand) -> Result<(), Failure> {
    // Only a service on this machine has a clock of its own.
    let (today, host) = match command {
        ClockCommand::Show(host) => (None, host),
        ClockCommand::Confirm { today, host } => (Some(today), host),
    };
    let opened = Opened::open(&Which { host, table: None }).await?;
    let done = act(&opened.table, Runtime::system().now(), today).await;
    opened.close().await;
    done
}

async fn act(table: &Table, now: Timestamp, today: Option<Timestamp>) -> Result<(), Failure> {
    if let Some(today) = today {
        // The date was parsed as noon; another day is allowed for the time zone that the date was read in.
        if now.since(today).max(today.since(now)) > JUMP + JUMP / 2 {
            return Err(format!("this host's clock says {now}, which is another day: set the clock first").into());
        }
        let before = table.retention_clock().await?;
        if !table.set_retention_clock(before, RetentionClock::confirmed(now)).await? {
            return Err("the service has just read its clock; run the command again".into());
        }
    }
    let clock = table.retention_clock().await?.map_or_else(|| RetentionClock::confirmed(now), |clock| clock.read(now));
    say(format_args!("this host's clock says {now}"));
    say(format_args!("expired items are deleted as of {}", clock.deletes()));
    if let Some(late) = clock.late_by() {
        say(Late(late));
    }
    Ok(())
}
