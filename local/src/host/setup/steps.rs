//! The steps of a setup, and the restarts that they leave to do.

use std::{collections::BTreeSet, fs, path::Path};

use serde::{Deserialize, Serialize};

use super::SetupFault;
use crate::data::{DataError, failed, private_folder, read_state, write_state};

/// What takes up its changed files only with a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Restart {
    /// The service: configuration and credentials.
    Service,
    /// The gateway: OpenClaw's configuration.
    Gateway,
    /// Caddy: its sites, and its groups.
    Caddy,
}

/// The content of the mark.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Mark {
    restarts: BTreeSet<Restart>,
}

/// Does or announces steps, and counts them. The restarts that changes need are marked in a file before the change, so that a
/// run that breaks off between a change and its restart leaves the restart to the next one, which finds nothing else to change.
pub(super) struct Steps<'a> {
    is_trial: bool,
    say: &'a dyn Fn(&str),
    changed: usize,
    file: &'a Path,
    pending: BTreeSet<Restart>,
}

impl<'a> Steps<'a> {
    /// With the restarts that earlier runs have left in `file`.
    pub(super) fn new(is_trial: bool, file: &'a Path, say: &'a dyn Fn(&str)) -> Self {
        Self { is_trial, say, changed: 0, file, pending: read_state::<Mark>(file).restarts }
    }

    /// How many steps there were.
    pub(super) const fn changed(&self) -> usize {
        self.changed
    }

    /// Does one step, or says that it would be done.
    pub(super) fn step(&mut self, what: &str, act: impl FnOnce() -> Result<(), SetupFault>) -> Result<(), SetupFault> {
        self.changed += 1;
        if self.is_trial {
            (self.say)(&format!("would do: {what}"));
            return Ok(());
        }
        act()?;
        (self.say)(&format!("done: {what}"));
        Ok(())
    }

    /// The same for a change that needs a restart, which is marked before it.
    pub(super) fn change(
        &mut self,
        restart: Restart,
        what: &str,
        act: impl FnOnce() -> Result<(), SetupFault>,
    ) -> Result<(), SetupFault> {
        if self.pending.insert(restart) {
            self.keep()?;
        }
        self.step(what, act)
    }

    /// Whether a change of this run, or of one that broke off, waits for this restart.
    pub(super) fn is_pending(&self, restart: Restart) -> bool {
        self.pending.contains(&restart)
    }

    /// Takes the mark away: what was restarted has read its files.
    pub(super) fn settle(&mut self, restart: Restart) -> Result<(), SetupFault> {
        if self.pending.remove(&restart) { Ok(self.keep()?) } else { Ok(()) }
    }

    fn keep(&self) -> Result<(), DataError> {
        if self.is_trial {
            return Ok(());
        }
        if self.pending.is_empty() {
            return match fs::remove_file(self.file) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(failed(self.file, "deleted")(cause)),
                _ => Ok(()),
            };
        }
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        private_folder(folder)?;
        write_state(self.file, &Mark { restarts: self.pending.clone() })
    }
}
