//! Alarms that lower the service's mode.

use domain::{
    access::alarm::{self, Message},
    policy::PolicyFiles,
};
use service::change_mode;
use store::TableError;

use crate::Sweep;

/// Handles each message, also after one has failed: the failed event is delivered again as a whole, and a mode that is
/// low enough already is left unchanged.
pub(crate) async fn take(sweep: &Sweep, texts: &[&str]) -> Result<(), TableError> {
    let mut taken = Ok(());
    for text in texts {
        match alarm::read(text) {
            Message::Nothing(code) => tracing::warn!(function = "sweep", code, "a message changes no mode"),
            Message::Lower(name, mode) => {
                let version = PolicyFiles::built_in().version();
                let lowered = change_mode::lower(&sweep.table, &sweep.runtime, name, mode, &version).await;
                taken = taken.and(lowered.map(drop));
            }
        }
    }
    taken.inspect_err(|error| {
        tracing::error!(function = "sweep", code = "mode_not_lowered", error = %error, "the mode could not be lowered");
    })
}
