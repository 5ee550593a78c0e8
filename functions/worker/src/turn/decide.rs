//! Decides whether a round may be sent now: by its conversation's queue, by policy and service mode, and by the
//! gateway's tool guard.

use domain::{
    catalogue::AgentEntry,
    job::submission::{self, Turn},
    policy::{Decided, DenyReason, TurnGate, TurnGated, TurnQuery},
};
use platform::openclaw::GatewayTokens;

use crate::{
    Worker,
    conversation::queue::QueuePosition,
    journal::{Destination, JournalView},
    step::{Ending, RunError, StepContext, policy_context::PolicyContext},
};

/// How often a round may be claimed before its intent is durable. Without the limit a round on which each worker dies
/// would be tried for ever.
const ATTEMPTS: u32 = 5;

/// A round that may be sent, with everything that is sent.
pub(super) struct Ready<'a> {
    pub(super) agent: &'a AgentEntry,
    pub(super) decided: Decided,
    pub(super) decision: &'static str,
    /// The reads that the agent may use without a proposal.
    pub(super) tools: Vec<String>,
    /// Whether the tool guard records vetoed calls as proposals.
    pub(super) proposals: bool,
    pub(super) message: String,
}

/// What is done with a round that is not running.
pub(super) enum TurnDecision<'a> {
    /// It may be sent.
    Send(Ready<'a>),
    /// The step ends.
    Ends(Ending),
    /// Other jobs are before it in the conversation queue.
    Behind,
}

/// The journal as a round needs it.
pub(super) enum GuardedJournal {
    /// Its tool guard is proven, so a round may be sent to it.
    Proven(Destination),
    /// A round may not be sent now.
    NotNow(JournalView),
}

impl Worker {
    /// Decides whether the round may be sent now: by the conversation queue, then by policy and service mode.
    pub(super) async fn decide_turn(
        &self,
        context: &StepContext<'_>,
        turn: &Turn,
    ) -> Result<TurnDecision<'_>, RunError> {
        let ends = |ending| Ok(TurnDecision::Ends(ending));
        if let Some(ending) = Ending::before_it_began(&context.job, self.runtime.now()) {
            return ends(ending);
        }
        if context.job.step().is_some_and(|step| step.attempts > ATTEMPTS) {
            return ends(Ending::failed_unsent("attempts_exhausted"));
        }
        if turn.conversation.is_some() {
            match self.queue_position(&context.job).await? {
                QueuePosition::First => {}
                QueuePosition::Behind => return Ok(TurnDecision::Behind),
                QueuePosition::Never(code) => return ends(Ending::refused(code)),
            }
        }
        let Some(TurnGated { gate, decided, tools }) = self.gate_turn(context, turn).await? else {
            return ends(Ending::refused(DenyReason::PolicyDenied.code()));
        };
        self.report_policy_errors(&decided);
        let (decision, proposals) = match gate {
            TurnGate::Run => ("run", true),
            // In this mode no proposed call would be run, so none is recorded.
            TurnGate::WithoutTools => ("explain", false),
            TurnGate::Refuse(reason) => return ends(Ending::refused(reason.code())),
        };
        let Some(agent) = self.policy.agent(&turn.agent) else {
            return ends(Ending::refused(DenyReason::AgentUnknown.code()));
        };
        let further = context.job.step().is_some_and(|step| step.round > 0);
        let message = if further {
            self.further_message(context).await?
        } else {
            match submission::message_text(&turn.message) {
                Ok(message) => message,
                Err(_) => return ends(Ending::failed_unsent("derived_invalid")),
            }
        };
        Ok(TurnDecision::Send(Ready { agent, decided, decision, tools, proposals, message }))
    }

    /// The decision about the turn; `None` when the user's item does not exist.
    async fn gate_turn(&self, context: &StepContext<'_>, turn: &Turn) -> Result<Option<TurnGated>, RunError> {
        let user_id = context.job.user_id;
        let Some(PolicyContext { groups, controls }) = self.policy_context(context).await? else { return Ok(None) };
        let query = TurnQuery { user_id, groups: &groups, agent: &turn.agent, now: self.runtime.now() };
        Ok(Some(self.policy.gate_turn(&controls, &query)))
    }

    /// The journal, if the tool guard is proven for the gateway that answers now. The cached view is dropped first: a
    /// proof for an earlier boot of the gateway says nothing about the present one.
    pub(super) async fn guarded_journal(&self, tokens: &GatewayTokens) -> Result<GuardedJournal, RunError> {
        self.view.expire();
        Ok(match self.journal_view(tokens).await? {
            JournalView::Present { to, guard_proven: true } => GuardedJournal::Proven(to),
            view @ (JournalView::Present { guard_proven: false, .. }
            | JournalView::Absent
            | JournalView::NotReady
            | JournalView::Unauthorized) => GuardedJournal::NotNow(view),
        })
    }
}
