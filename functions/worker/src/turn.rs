//! One round of an agent's turn: what may be sent, recorded before it is sent, and what the journal answered.
//!
//! Like a write, a round is sent only through a journal whose tool guard is proven, because only the guard blocks
//! writes inside an agent run. Like a write, its intent is durable before it is sent, and from then on the worker asks
//! for its outcome.

use std::{sync::Arc, time::Duration};

use domain::{
    catalogue::AgentEntry,
    conversation::{self, TurnPlace},
    job::{
        Attempt, JobEvent, JournalId, Via,
        submission::{self, Turn},
    },
    limits::Backoff,
    policy::{Decided, DenyReason, TurnGate, TurnGated, TurnQuery},
};
use platform::openclaw::{
    CallAnswer, GatewayTokens,
    journal::Expected,
    turns::{TurnAnswer, TurnState},
};

use crate::{
    Worker,
    at_cursor::AtCursor,
    call::AT_ONCE,
    commit::RunError,
    conversation_queue::{LOOK_AGAIN, QueuePosition},
    finish_step,
    gate::PolicyContext,
    journal_view::JournalView,
    run_job::RunOutcome,
    turn_verdict::{self, TurnFacts, TurnVerdict},
    verdict::Ending,
};

mod look;
mod send;

use send::Sending;

/// How often a round may be claimed before its intent is durable. Without the limit a round on which each worker dies
/// would be tried for ever.
const ATTEMPTS: u32 = 5;

/// A round that may be sent, with everything that is sent.
struct Ready<'a> {
    agent: &'a AgentEntry,
    decided: Decided,
    decision: &'static str,
    /// The reads that the agent may use without a proposal.
    tools: Vec<String>,
    /// Whether the tool guard records vetoed calls as proposals.
    proposals: bool,
    message: String,
}

/// Why a round is not sent now.
enum Held {
    /// The step ends.
    Ends(Ending),
    /// Other jobs are before it in the conversation queue.
    Behind,
}

impl Worker {
    pub(crate) async fn take_turn_on(&self, cursor: AtCursor<'_, Turn>) -> Result<RunOutcome, RunError> {
        match cursor.intent().cloned() {
            Some(intent) => self.ask_about_turn(cursor, &intent).await,
            None => self.begin_turn(cursor).await,
        }
    }

    async fn begin_turn(&self, cursor: AtCursor<'_, Turn>) -> Result<RunOutcome, RunError> {
        let ready = match self.ready(&cursor).await? {
            Ok(ready) => ready,
            Err(Held::Ends(ending)) => return finish_step::end(self, &cursor, ending).await,
            Err(Held::Behind) => return self.wait_in_queue(&cursor).await,
        };
        let Some(cursor) = self.keep_derived(cursor).await? else { return Ok(RunOutcome::LeaseLost) };
        let tokens = self.tokens().await?;
        let id = match self.proven(&tokens).await? {
            Ok(id) => id,
            Err(view) => {
                let answer = TurnState::Other(CallAnswer::NotStarted(self.not_ready(&view)));
                let verdict = self.judge_turn(&cursor, true, answer);
                return Box::pin(self.apply_turn_verdict(cursor, verdict)).await;
            }
        };
        Box::pin(self.send_turn(cursor, ready, &Sending { tokens: &tokens, id: &id, first: true })).await
    }

    /// Decides whether the round may be sent now: by the conversation queue, then by policy and service mode.
    async fn ready(&self, cursor: &AtCursor<'_, Turn>) -> Result<Result<Ready<'_>, Held>, RunError> {
        let ends = |ending| Ok(Err(Held::Ends(ending)));
        if let Some(ending) = Ending::before_it_began(&cursor.job, self.runtime.now()) {
            return ends(ending);
        }
        if cursor.job.step().is_some_and(|step| step.attempts > ATTEMPTS) {
            return ends(Ending::failed_unsent("attempts_exhausted"));
        }
        if cursor.work.conversation.is_some() {
            match self.queue_position(&cursor.job).await? {
                QueuePosition::First => {}
                QueuePosition::Behind => return Ok(Err(Held::Behind)),
                QueuePosition::Never(ending) => return ends(ending),
            }
        }
        let Some(TurnGated { gate, decided, tools }) = self.gate_turn(cursor).await? else {
            return ends(Ending::refused(DenyReason::PolicyDenied.code()));
        };
        self.note_errors(&decided);
        let (decision, proposals) = match gate {
            TurnGate::Run => ("run", true),
            // In this mode no proposed call would be run, so none is recorded.
            TurnGate::WithoutTools => ("explain", false),
            TurnGate::Refuse(reason) => return ends(Ending::refused(reason.code())),
        };
        let Some(agent) = self.policy.agent(&cursor.work.agent) else {
            return ends(Ending::refused(DenyReason::AgentUnknown.code()));
        };
        let further = cursor.job.step().is_some_and(|step| step.round > 0);
        let message = if further {
            self.further_message(cursor).await?
        } else {
            match submission::message_text(&cursor.work.message) {
                Ok(message) => message,
                Err(_) => return ends(Ending::failed_unsent("derived_invalid")),
            }
        };
        Ok(Ok(Ready { agent, decided, decision, tools, proposals, message }))
    }

    /// The decision about the turn; `None` when the user's item does not exist.
    async fn gate_turn(&self, cursor: &AtCursor<'_, Turn>) -> Result<Option<TurnGated>, RunError> {
        let user_id = cursor.job.user_id;
        let Some(PolicyContext { groups, controls }) = self.policy_context(user_id).await? else { return Ok(None) };
        let query = TurnQuery { user_id, groups: &groups, agent: &cursor.work.agent, now: self.runtime.now() };
        Ok(Some(self.policy.gate_turn(&controls, &query)))
    }

    async fn wait_in_queue(&self, cursor: &AtCursor<'_, Turn>) -> Result<RunOutcome, RunError> {
        let waited = cursor.job.step().map_or(0, |step| step.not_started);
        let wait = Backoff::RETRY.ceiling(waited).min(LOOK_AGAIN);
        let check_at = finish_step::next_try(&cursor.job, self.runtime.now(), wait);
        finish_step::come_back(self, cursor, JobEvent::Rescheduled { check_at, attempt: Attempt::NotStarted }, check_at)
            .await
    }

    /// The journal, if the tool guard is proven for the gateway that answers now. The cached view is dropped first: a
    /// proof for an earlier boot of the gateway says nothing about the present one.
    async fn proven(&self, tokens: &GatewayTokens) -> Result<Result<JournalId, JournalView>, RunError> {
        self.view.expire();
        Ok(match self.journal_view(tokens).await? {
            JournalView::Present { id, guard_proven: true, .. } => Ok(id),
            view @ (JournalView::Present { guard_proven: false, .. }
            | JournalView::Absent
            | JournalView::NotReady
            | JournalView::Unauthorized) => Err(view),
        })
    }

    async fn apply_turn_verdict(
        &self,
        cursor: AtCursor<'_, Turn>,
        verdict: TurnVerdict,
    ) -> Result<RunOutcome, RunError> {
        match verdict {
            TurnVerdict::Replied(round) => self.round_replied(&cursor, &round).await,
            TurnVerdict::End(ending, round) => self.end_turn(&cursor, ending, round.as_deref()).await,
            TurnVerdict::Suspend { wait, running } => {
                let check_at = finish_step::next_look(&cursor.job, self.runtime.now(), wait);
                let seen = running.as_deref().map(|round| self.seen_in(round));
                let intent = cursor.intent().cloned();
                let event = JobEvent::Suspended { check_at, intent, running: running.is_some(), seen };
                finish_step::come_back(self, &cursor, event, check_at).await
            }
            TurnVerdict::Reschedule(wait) => {
                let check_at = finish_step::next_try(&cursor.job, self.runtime.now(), wait);
                let event = JobEvent::Rescheduled { check_at, attempt: Attempt::NotStarted };
                finish_step::come_back(self, &cursor, event, check_at).await
            }
        }
    }

    fn judge_turn(&self, cursor: &AtCursor<'_, Turn>, first_dispatch: bool, answer: TurnState) -> TurnVerdict {
        self.with_facts(cursor, first_dispatch, |facts| turn_verdict::after(answer, facts))
    }

    fn with_facts<T>(
        &self,
        cursor: &AtCursor<'_, Turn>,
        first_dispatch: bool,
        decide: impl FnOnce(&TurnFacts<'_>) -> T,
    ) -> T {
        let now = self.runtime.now();
        // An agent that was removed from the catalogue since is asked for its outcome, with default limits.
        let gone = AgentEntry::gone(&cursor.work.agent);
        let agent = self.policy.agent(&cursor.work.agent).unwrap_or(&gone);
        let nothing = domain::job::Step::turn(String::new(), None);
        let step = cursor.job.step().unwrap_or(&nothing);
        let sent_at = step.intent.as_ref().map_or(now, |intent| intent.recorded_at);
        let random = self.runtime.number();
        decide(&TurnFacts { job: &cursor.job, step, agent, sent_at, first_dispatch, now, random })
    }

    /// Updates the cached journal view from an answer: which journal answered, and its sequence.
    fn take_note_of_turn(&self, answer: TurnAnswer) -> TurnState {
        let other = match &answer.turn {
            TurnState::Other(other) => Some(other),
            TurnState::Running(_) | TurnState::Replied(_) | TurnState::Failed(..) => None,
        };
        self.note_journal(answer.seen.as_ref(), other);
        if let Some(other) = other {
            self.note_unauthorized(other.clone());
        }
        answer.turn
    }

    /// Deletes the gateway's session of a turn that belongs to no conversation. If that fails, the gateway keeps the
    /// transcript until the plugin deletes it.
    pub(crate) async fn forget_session(&self, cursor: &AtCursor<'_, Turn>) {
        let Some(Via::Journal(id)) = cursor.intent().map(|intent| &intent.via) else { return };
        if cursor.work.conversation.is_some() {
            return;
        }
        let forget = async {
            let tokens: Arc<GatewayTokens> = self.tokens().await?;
            let sequence = self.sequence_of(&tokens, &id.journal).await?;
            let expected = Expected { journal: &id.journal, sequence };
            let within: Duration = AT_ONCE.min(self.time_left(cursor));
            let (ended, seen) = self.gateway.end_session(&tokens, expected, &session_of(cursor), within).await;
            if let Some(seen) = &seen {
                self.view.saw(seen);
            }
            Ok::<bool, RunError>(ended.is_ok())
        };
        if !matches!(forget.await, Ok(true)) {
            tracing::warn!(
                function = "worker", request_id = %cursor.job.request_id, code = "session_left",
                "a session that nobody comes back to was not deleted"
            );
        }
    }
}

/// The gateway's session key of a turn.
pub(crate) fn session_of(cursor: &AtCursor<'_, Turn>) -> String {
    let of = cursor.job.step().map_or(0, |step| step.of);
    let place = match &cursor.work.conversation {
        Some(name) => TurnPlace::Conversation(name),
        None => TurnPlace::Once(cursor.job.request_id, of),
    };
    conversation::session_key(&cursor.work.agent, cursor.job.user_id, &place)
}
