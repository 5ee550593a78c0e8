//! The ledger: the effects of the mini gateway's tools.

use std::time::Duration;

use serde_json::Value;

use super::App;
use crate::WAIT_LIMIT;

impl App {
    /// Lines in the ledger that a job's calls have written.
    pub fn effects(&self, id: &str) -> usize {
        let ledger = self.gateway.as_ref().expect("this app has a mini gateway").ledger();
        effects_in(&ledger, id)
    }

    /// Waits until a tool has left its first line.
    pub async fn begun(&self, id: &str) {
        self.has_written(id, 1).await;
    }

    /// Waits until a job's calls have written this many lines. `ledger_sleep` leaves one at its start and one at its end,
    /// and sleeps by the real clock.
    pub async fn has_written(&self, id: &str, lines: usize) {
        let began = std::time::Instant::now();
        while self.effects(id) < lines {
            assert!(began.elapsed() < WAIT_LIMIT, "the tool has left {} of {lines} lines", self.effects(id));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Lines of a ledger that a job's calls have written.
pub fn lines_of<'a>(ledger: &'a [Value], id: &str) -> impl Iterator<Item = &'a Value> {
    ledger.iter().filter(move |line| line["toolCallId"].as_str().is_some_and(|call| call.contains(id)))
}

/// How many of them there are.
pub fn effects_in(ledger: &[Value], id: &str) -> usize {
    lines_of(ledger, id).count()
}

/// What a job's calls have noted, in order.
pub fn notes_in(ledger: &[Value], id: &str) -> Vec<String> {
    lines_of(ledger, id).map(|line| line["note"].as_str().unwrap_or_default().to_owned()).collect()
}
