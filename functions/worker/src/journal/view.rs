//! Which journal the gateway has now, its sequence, and whether the tool guard is proven: must be known before an
//! intent names the journal.

use std::{sync::Mutex, time::Duration};

use domain::ids::Timestamp;
use platform::{
    metrics::Metric,
    openclaw::{
        GatewayTokens, JournalSeen,
        journal::{Expected, JournalAnswer, JournalHealth},
    },
};
use store::ToolGuard;

use super::Destination;
use crate::{Worker, step::RunError};

/// How long a view is cached.
const MAX_AGE: Duration = Duration::from_secs(10);
/// How often the highest sequence is stored. A snapshot that was taken and restored within this time goes unnoticed.
const SEE_EVERY: Duration = Duration::from_secs(60);
/// How long a guard probe may take, and how long writes stay blocked after a failed one before the next probe.
const TRIAL: Duration = Duration::from_secs(30);
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// State of the gateway's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JournalView {
    /// A journal answers: its identity with the highest sequence ever seen, and whether writes may be sent.
    Present { to: Destination, guard_proven: bool },
    /// The gateway has no journal plugin.
    Absent,
    /// The gateway does not answer now.
    NotReady,
    /// The gateway does not accept our token.
    Unauthorized,
}

/// The last view and when it was read.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<Option<(Timestamp, JournalView)>>);

impl Cache {
    fn get(&self, now: Timestamp) -> Option<JournalView> {
        let cached = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        cached.as_ref().filter(|(at, _)| now.since(*at) < MAX_AGE && *at <= now).map(|(_, view)| view.clone())
    }

    fn put(&self, now: Timestamp, view: JournalView) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((now, view));
    }

    /// Drops the view, because another journal or boot answered.
    pub(crate) fn expire(&self) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    /// Raises the sequence that the next call will name.
    pub(crate) fn saw(&self, seen: &JournalSeen) {
        let mut cached = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match cached.as_mut() {
            Some((_, JournalView::Present { to, .. })) if to.id == seen.id => {
                to.sequence = seen.sequence.max(to.sequence);
            }
            Some((_, JournalView::Present { .. })) => *cached = None,
            _ => {}
        }
    }
}

impl Worker {
    /// Returns the cached view, or asks the gateway.
    pub(crate) async fn journal_view(&self, tokens: &GatewayTokens) -> Result<JournalView, RunError> {
        let now = self.runtime.now();
        if let Some(view) = self.view.get(now) {
            return Ok(view);
        }
        let health = self.gateway.journal_health(tokens, ASK_TIMEOUT).await;
        let view = match health {
            JournalHealth::Present(seen) => self.present(tokens, seen).await?,
            JournalHealth::Absent => JournalView::Absent,
            JournalHealth::NotReady => JournalView::NotReady,
            JournalHealth::Unauthorized => JournalView::Unauthorized,
        };
        // A view that blocks writes is not cached, so that writes resume as soon as possible.
        if matches!(view, JournalView::Present { guard_proven: true, .. } | JournalView::Absent) {
            self.view.put(now, view.clone());
        }
        Ok(view)
    }

    async fn present(&self, tokens: &GatewayTokens, seen: JournalSeen) -> Result<JournalView, RunError> {
        let now = self.runtime.now();
        let known = self.table.gateway_seen(&seen.id.journal).await?;
        // Every call names the highest known sequence: a journal restored from an older snapshot sees that it is
        // behind, and takes a new id.
        let sequence = known.as_ref().map_or(0, |known| known.sequence).max(seen.sequence);
        if seen.sequence < sequence {
            tracing::error!(
                function = "worker", journal = %seen.id.journal, code = "journal_restored",
                "the journal was restored from an older snapshot"
            );
            // The journal takes a new id when it receives the higher sequence. This call's result does not matter; the
            // next view has the new id.
            let expected = Expected { journal: &seen.id.journal, sequence };
            let _told: JournalAnswer = self.gateway.outcome(tokens, expected, "journal.restored", ASK_TIMEOUT).await;
            return Ok(JournalView::NotReady);
        }
        let stale = known.as_ref().is_none_or(|known| known.id != seen.id || see_again(known.seen_at, now));
        if stale {
            self.table.see_gateway(&seen.id, sequence, now).await?;
        }
        let restarted = known.as_ref().is_some_and(|known| known.id != seen.id);
        let guard = known.filter(|known| known.id == seen.id).map_or(ToolGuard::Untested, |known| known.guard);
        let guard_proven = match guard {
            ToolGuard::Proven => true,
            ToolGuard::Testing(until) | ToolGuard::Broken(until) if !until.has_come(now, TRIAL) => false,
            ToolGuard::Untested | ToolGuard::Testing(_) | ToolGuard::Broken(_) => {
                self.probe_guard(tokens, &seen, sequence, restarted).await?
            }
        };
        Ok(JournalView::Present { to: Destination { id: seen.id, sequence }, guard_proven })
    }

    /// Runs the guard probe, once per boot of the gateway and by one worker: a guarded tool called outside the journal
    /// must be refused, and through the journal it must run. The tool belongs to the journal plugin and does nothing.
    /// The worker that holds the probe lease also counts `restarted`, since there is one such worker per boot.
    async fn probe_guard(
        &self,
        tokens: &GatewayTokens,
        seen: &JournalSeen,
        sequence: u64,
        restarted: bool,
    ) -> Result<bool, RunError> {
        let now = self.runtime.now();
        if !self.table.hold_probe(&seen.id, now, TRIAL, &self.runtime.nonce()).await? {
            return Ok(false);
        }
        if restarted {
            self.runtime.count(Metric::GatewayRestarts);
        }
        let expected = Expected { journal: &seen.id.journal, sequence };
        let holds = self.gateway.guard_holds(tokens, expected, ASK_TIMEOUT).await;
        match holds {
            Some(holds) => self.table.settle_probe(&seen.id, holds, self.runtime.now().plus(TRIAL)).await?,
            // Inconclusive probe: release the probe lease, so that the next worker can probe at once.
            None => self.table.release_probe(&seen.id, self.runtime.now()).await?,
        }
        if holds != Some(true) {
            tracing::error!(
                function = "worker", boot = %seen.id.boot, code = "fence_not_proven",
                "writes are blocked until the tool guard is proven"
            );
        }
        Ok(holds == Some(true))
    }
}

/// Whether the highest sequence is stored again. A time in the future was written by a clock that ran ahead: until then
/// no later sequence would be stored, and a restored snapshot would go unnoticed.
fn see_again(seen_at: Timestamp, now: Timestamp) -> bool {
    seen_at.plus(SEE_EVERY).has_come(now, SEE_EVERY)
}
