//! In which mode a table on one machine begins.
//!
//! A table that is new was made by whoever starts the service, and means it: it begins in `full`. One that was there before
//! keeps what it says, also when it says nothing, which acts as `read_only`: what was lost from it is nobody's permission.

use domain::{
    access::service_mode::{Controls, Mode, Reason},
    audit::OperatorActor,
    policy::{Policy, PolicyFault},
};
use platform::runtime::Runtime;
use service::change_mode::{self, Change};
use store::{Table, TableError};

use std::time::Duration;

/// Why it cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginFault {
    /// The table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Catalogue or policies cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
}

/// Opens a new table, once, and tells what is set in any.
pub async fn begin(table: &Table, runtime: &Runtime, is_new: bool) -> Result<Controls, BeginFault> {
    let now = async || table.controls(runtime.now(), Duration::from_secs(platform::config::CHECKPOINT_MAX_AGE_S)).await;
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
