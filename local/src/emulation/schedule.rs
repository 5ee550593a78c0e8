//! Replaces EventBridge: runs `sweep` periodically.

use std::{sync::Arc, time::Duration};

use platform::{
    metrics::{Dimension, Metric},
    runtime::Runtime,
};
use sweep::Sweep;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::MissedTickBehavior,
};

/// How long one run may take.
const DEADLINE: Duration = Duration::from_secs(50);

/// A running schedule.
#[derive(Debug)]
pub struct Schedule(JoinHandle<()>);

impl Schedule {
    /// Runs the current `sweep` now and then after every interval. A run that panics or fails is logged, and does not
    /// end the schedule.
    pub fn start(sweep: watch::Receiver<Arc<Sweep>>, runtime: Runtime, every: Duration) -> Self {
        Self(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let (sweep, deadline) = (sweep.borrow().clone(), runtime.now().plus(DEADLINE));
                // A separate task, which is cancelled with this one.
                let mut run = JoinSet::new();
                run.spawn(async move { sweep.run(deadline).await });
                match run.join_next().await {
                    Some(Ok(Ok(_))) | None => continue,
                    Some(Ok(Err(error))) => tracing::warn!(function = "local", %error, "the sweep failed"),
                    Some(Err(_)) => tracing::error!(function = "local", "the sweep panicked"),
                }
                runtime.measure(&[(Metric::FunctionErrors, 1.0)], &[(Dimension::Function, "sweep")]);
            }
        }))
    }

    /// Ends the schedule. The next start does what a cancelled run has left.
    pub fn stop(self) {
        self.0.abort();
    }
}
