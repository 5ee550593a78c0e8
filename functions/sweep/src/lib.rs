//! sweep: rings overdue jobs.

use shared::{clock::World, config::SweepConfig, timestamp::Timestamp};

/// The function, wired.
#[derive(Debug)]
pub struct Sweep {}

/// What one run did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SweepReport {
    /// Overdue jobs that were rung.
    pub rung: usize,
    /// Entries of the index that needed nothing.
    pub skipped: usize,
}

/// A run that could not be finished.
#[derive(Debug, thiserror::Error)]
#[error("the sweep could not be finished")]
pub struct SweepError;

impl Sweep {
    /// Wires it.
    pub fn new(_config: SweepConfig, _world: World) -> Self {
        Self {}
    }

    /// One run; stops before `deadline`.
    pub async fn run(&self, _deadline: Timestamp) -> Result<SweepReport, SweepError> {
        Ok(SweepReport::default())
    }
}
