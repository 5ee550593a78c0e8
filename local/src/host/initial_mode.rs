//! The initial service mode of a table on one host.
//!
//! `local run` makes a new table for the operator who starts it, so it begins in `full`. With a configuration file a new
//! table has no mode until an operator sets one, which acts as `read_only`: the package starts the service at boot,
//! before it was tested. An existing table keeps its
//! mode. If it has none, which acts as `read_only`, its mode was lost, and a lost mode must not become permission to
//! write.

use domain::{
    access::service_mode::{Controls, Mode, Reason},
    audit::OperatorActor,
    policy::{Policy, PolicyFault},
};
use platform::runtime::Runtime;
use service::change_mode::{self, Change};
use store::{Table, TableError};

use std::time::Duration;

/// The service cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginFault {
    /// A request to the table failed.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The catalogue or the policies are invalid.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
}

/// Sets a new table to `full`, once. Returns the modes of any table.
pub async fn begin(table: &Table, runtime: &Runtime, is_new: bool) -> Result<Controls, BeginFault> {
    let now = async || {
        table.controls(runtime.now(), Duration::from_secs(platform::config::defaults::CHECKPOINT_MAX_AGE_S)).await
    };
    let controls = now().await?;
    match Reason::parse("a new data directory") {
        Ok(reason) if is_new && !controls.is_set() => {
            let (change, policy) = (Change::mode(Mode::Full, reason), Policy::built_in()?);
            change_mode::change(table, runtime, OperatorActor::Command, &change, policy.version()).await?;
            Ok(now().await?)
        }
        Ok(_) | Err(_) => Ok(controls),
    }
}
