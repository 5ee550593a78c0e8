//! The worker's view of the gateway's journal: its tokens, the journal that answers now, and updates from answers.

use std::{sync::Arc, time::Duration};

use domain::job::JournalId;
use platform::openclaw::{CallAnswer, GatewayTokens, JournalSeen, journal::Expected, journal::JournalAnswer};

use crate::{Worker, step::RunError};

pub(crate) mod view;

pub(crate) use view::JournalView;

/// Timeout of requests that the journal answers at once.
pub const AT_ONCE: Duration = Duration::from_secs(3);
/// The pause before asking again a gateway without a journal, or one that refuses the token.
const NOT_READY: Duration = Duration::from_secs(15);

/// The journal that a step is sent to: resolved once, before the intent that names it. Asking again between intent and
/// dispatch would add requests where a crash leaves an intent without a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) id: JournalId,
    /// The highest sequence ever seen of it, stored in the intent and named by the dispatch.
    pub(crate) sequence: u64,
}

impl Destination {
    pub(crate) fn expected(&self) -> Expected<'_> {
        Expected { journal: &self.id.journal, sequence: self.sequence }
    }
}

impl Worker {
    /// The highest sequence ever seen of that journal. Never below the stored one, even if the gateway reports a lower
    /// one now.
    pub(crate) async fn sequence_of(&self, tokens: &GatewayTokens, journal: &str) -> Result<u64, RunError> {
        if let JournalView::Present { to, .. } = self.journal_view(tokens).await?
            && to.id.journal == journal
        {
            return Ok(to.sequence);
        }
        Ok(self.table.gateway_seen(journal).await?.map_or(0, |seen| seen.sequence))
    }

    pub(crate) async fn tokens(&self) -> Result<Arc<GatewayTokens>, RunError> {
        Ok(self.read_keys().await?.tokens.clone())
    }

    /// Updates the caches from an answer to a call.
    pub(crate) fn observe_call(&self, answer: &JournalAnswer) {
        self.observe(answer.seen.as_ref(), Some(&answer.call));
    }

    /// Updates the caches from an answer of any route: raises the sequence of the cached view, drops the view when
    /// another journal or none answered, and refreshes a refused token.
    pub(crate) fn observe(&self, seen: Option<&JournalSeen>, answer: Option<&CallAnswer>) {
        if let Some(seen) = seen {
            self.view.saw(seen);
        }
        match answer {
            Some(CallAnswer::OtherJournal | CallAnswer::JournalAbsent) => self.view.expire(),
            Some(CallAnswer::Unauthorized) => self.expire_tokens(),
            _ => {}
        }
    }

    /// Forces one refresh of the secret. The job is rescheduled after a pause, so a wrong token cannot cause a loop.
    pub(crate) fn expire_tokens(&self) {
        tracing::error!(function = "worker", code = "gateway_unauthorized", "the gateway accepts no listed token");
        self.secrets.expire(&self.runtime);
        self.view.expire();
    }

    /// Reports why nothing can be sent now, and refreshes a refused token. Returns the pause before the next try, where
    /// the usual backoff would be too short.
    pub(crate) fn report_not_ready(&self, view: &JournalView) -> Option<Duration> {
        match view {
            JournalView::Unauthorized => {
                self.expire_tokens();
                Some(NOT_READY)
            }
            JournalView::Absent => {
                tracing::error!(
                    function = "worker",
                    code = "journal_absent",
                    "writes wait: the gateway has no journal"
                );
                Some(NOT_READY)
            }
            JournalView::Present { .. } | JournalView::NotReady => None,
        }
    }
}
