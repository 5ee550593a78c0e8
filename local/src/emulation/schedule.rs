//! What EventBridge does in the cloud: runs the sweep again and again.

use std::{sync::Arc, time::Duration};

use platform::runtime::Runtime;
use sweep::Sweep;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::MissedTickBehavior,
};

/// How long one run may take.
const DEADLINE: Duration = Duration::from_secs(50);

/// A running schedule.
#[derive(Debug)]
pub struct Schedule(JoinHandle<()>);

impl Schedule {
    /// Sweeps now, and then `every` so often. A run that panics or fails is logged, and the next one comes all the same.
    pub fn start(sweep: Arc<Sweep>, runtime: Runtime, every: Duration) -> Self {
        Self(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let (sweep, deadline) = (sweep.clone(), runtime.now().plus(DEADLINE));
                // A task of its own, which ends with this one.
                let mut run = JoinSet::new();
                run.spawn(async move { sweep.run(deadline).await });
                match run.join_next().await {
                    Some(Ok(Ok(_))) => {}
                    Some(Ok(Err(error))) => tracing::warn!(function = "local", %error, "the sweep failed"),
                    Some(Err(_)) => tracing::error!(function = "local", "the sweep panicked"),
                    None => {}
                }
            }
        }))
    }

    /// Sweeps no more. Whatever a cut run left undone, the next one finds.
    pub fn stop(self) {
        self.0.abort();
    }
}
