//! Tells systemd that the service is ready, alive or stopping (`sd_notify(3)`, `Type=notify`, `WatchdogSec=`). Started by
//! anything else, nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;
use store::Table;
use tokio::task::JoinHandle;

/// The unit of the service.
pub const SERVICE: &str = "miniprogram.service";
/// The timer of the daily backup.
pub const BACKUP_TIMER: &str = "miniprogram-backup.timer";
/// The timer of the watch.
pub const WATCH_TIMER: &str = "miniprogram-watch.timer";

/// How often the table is read within one watchdog interval. A ping may be late, or one read may fail, without a
/// restart.
const READS_PER_INTERVAL: u32 = 4;

/// Reports that the service answers, with one line for `systemctl status`.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Replaces the line for `systemctl status`.
pub fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// Reports that the service stops.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// A running task that pings systemd's watchdog.
#[derive(Debug)]
pub struct Watchdog(JoinHandle<()>);

impl Watchdog {
    /// Pings the watchdog after each successful read of the table, if the unit has one. The read uses the runtime of
    /// the functions and the threads of the table engine, so a process in which either hangs is restarted.
    pub fn start(table: Table) -> Option<Self> {
        let every = sd_notify::watchdog_enabled()? / READS_PER_INTERVAL;
        let read = move || {
            let table = table.clone();
            async move {
                let read = table.heartbeat().await;
                if let Err(error) = &read {
                    tracing::warn!(function = "local", %error, "the table did not answer; systemd's watchdog is not pinged");
                }
                read.is_ok()
            }
        };
        Some(Self(tokio::spawn(feed(every, read, || send(&[NotifyState::Watchdog])))))
    }

    /// Ends the task. The unit's `TimeoutStopSec` applies from then on.
    pub fn stop(self) {
        self.0.abort();
    }
}

async fn feed<R: Future<Output = bool> + Send>(every: Duration, read: impl Fn() -> R, feed: impl Fn()) {
    loop {
        if tokio::time::timeout(every, read()).await.unwrap_or(false) {
            feed();
        }
        tokio::time::sleep(every).await;
    }
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(function = "local", %error, "systemd cannot be notified");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn the_watchdog_is_fed_after_a_read_and_not_after_one_that_fails_or_hangs() {
        let (said, mut told) = mpsc::unbounded_channel();
        let reads = std::sync::atomic::AtomicUsize::new(0);
        let read = || {
            let count = reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let _ = said.send(format!("read {count}"));
            async move {
                match count {
                    1 => false,
                    2 => std::future::pending().await,
                    _ => true,
                }
            }
        };
        let fed = || drop(said.send("fed".to_owned()));
        let mut seen = Vec::new();
        let five = async {
            while seen.last().is_none_or(|last| last != "read 4") {
                seen.extend(told.recv().await);
            }
        };
        tokio::select! {
            () = feed(Duration::from_millis(5), read, fed) => {}
            () = five => {}
        }
        assert_eq!(seen, ["read 0", "fed", "read 1", "read 2", "read 3", "fed", "read 4"]);
    }
}
