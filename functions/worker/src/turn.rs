//! One round of an agent's turn: it is decided, dispatched, and the verdict about the answer is applied.
//!
//! Like a write, a round is sent only through a journal whose tool guard is proven, because only the guard blocks
//! writes inside an agent run. Like a write, its intent is durable before it is sent, and from then on the worker asks
//! for its outcome.

use domain::{
    catalogue::AgentEntry,
    content_safety::CheckedText,
    conversation::{self, TurnPlace},
    job::{Attempt, JobEvent, Step, Via, submission::Turn},
    limits::Backoff,
};
use platform::openclaw::{
    CallAnswer,
    journal::Expected,
    turns::{TurnAnswer, TurnState},
};

use crate::{
    Worker,
    content_safety::{CONTENT_REFUSED, CONTENT_UNCHECKED, Checked},
    conversation::queue::LOOK_AGAIN,
    journal::AT_ONCE,
    step::{Ending, RunError, RunOutcome, StepContext, finish},
};

mod decide;
mod held_reply;
mod message;
mod poll;
mod progress_view;
mod rounds;
mod send;
mod verdict;

use decide::{GuardedJournal, TurnDecision};
use send::Dispatch;
use verdict::{TurnFacts, TurnVerdict};

impl Worker {
    /// Advances a round. A round that has an intent is never decided again, only asked for its outcome, and sent again
    /// where it is proven that it never started.
    pub(crate) async fn run_turn(&self, context: StepContext<'_>, turn: &Turn) -> Result<RunOutcome, RunError> {
        match context.intent().cloned() {
            Some(intent) => self.ask_about_turn(context, turn, &intent).await,
            None => self.begin_turn(context, turn).await,
        }
    }

    async fn begin_turn(&self, context: StepContext<'_>, turn: &Turn) -> Result<RunOutcome, RunError> {
        let ready = match self.decide_turn(&context, turn).await? {
            TurnDecision::Send(ready) => ready,
            TurnDecision::Ends(ending) => return finish::end(self, &context, &ending).await,
            TurnDecision::Behind => {
                let waited = context.job.step().map_or(0, |step| step.not_started);
                let wait = Backoff::RETRY.ceiling(waited).min(LOOK_AGAIN);
                return finish::reschedule(self, &context, wait, Attempt::NotStarted).await;
            }
        };
        let Some(context) = self.keep_derived(context).await? else { return Ok(RunOutcome::LeaseLost) };
        let tokens = self.tokens().await?;
        let to = match self.guarded_journal(&tokens).await? {
            GuardedJournal::Proven(to) => to,
            GuardedJournal::NotNow(view) => {
                let answer = TurnState::Other(CallAnswer::NotStarted(self.report_not_ready(&view)));
                let verdict = self.judge_turn(&context, turn, true, answer);
                return Box::pin(self.apply_turn_verdict(&context, turn, verdict)).await;
            }
        };
        // The message of a further round has the outcomes of proposals, which the service wrote.
        let first_round = context.job.step().is_some_and(|step| step.round == 0);
        let text = CheckedText::Message { agent: turn.agent.as_str().into(), text: ready.message.as_str().into() };
        let checked = if first_round { self.check_text(&context, &text).await } else { Checked::Passed };
        match checked {
            Checked::Passed => {}
            Checked::Held(held) => return self.hold_text(&context, *held).await,
            Checked::Refused(finding) => {
                let ending = Ending::refused(CONTENT_REFUSED).because(finding);
                return finish::end(self, &context, &ending).await;
            }
            // A text that is to be sent is not claimed before the decision. If it is all the same, it is not sent.
            Checked::Undecided(_) | Checked::Lapsed | Checked::Never => {
                return finish::end(self, &context, &Ending::failed_unsent(CONTENT_UNCHECKED)).await;
            }
            Checked::NotNow | Checked::Away => {
                let answer = TurnState::Other(CallAnswer::NotStarted(None));
                let verdict = self.judge_turn(&context, turn, true, answer);
                return Box::pin(self.apply_turn_verdict(&context, turn, verdict)).await;
            }
        }
        Box::pin(self.send_turn(context, turn, ready, &Dispatch { tokens: &tokens, to: &to, first: true })).await
    }

    async fn apply_turn_verdict(
        &self,
        context: &StepContext<'_>,
        turn: &Turn,
        verdict: TurnVerdict,
    ) -> Result<RunOutcome, RunError> {
        match verdict {
            TurnVerdict::Replied(round) => self.round_replied(context, turn, &round).await,
            TurnVerdict::End(ending, round) => self.end_turn(context, turn, &ending, round.as_deref()).await,
            TurnVerdict::Suspend { wait, running } => {
                let check_at = finish::next_look(&context.job, self.runtime.now(), wait);
                let seen = running.as_deref().map(|round| self.seen_in(round));
                let intent = context.intent().cloned();
                let event = JobEvent::Suspended { check_at, intent, running: running.is_some(), seen };
                finish::come_back(self, context, event, check_at).await
            }
            TurnVerdict::Reschedule(wait) => finish::reschedule(self, context, wait, Attempt::NotStarted).await,
        }
    }

    fn judge_turn(
        &self,
        context: &StepContext<'_>,
        turn: &Turn,
        first_dispatch: bool,
        answer: TurnState,
    ) -> TurnVerdict {
        self.with_facts(context, turn, first_dispatch, |facts| verdict::after(answer, facts))
    }

    fn with_facts<T>(
        &self,
        context: &StepContext<'_>,
        turn: &Turn,
        first_dispatch: bool,
        decide: impl FnOnce(&TurnFacts<'_>) -> T,
    ) -> T {
        let now = self.runtime.now();
        // An agent that was removed from the catalogue since is asked for its outcome, with default limits.
        let gone = AgentEntry::gone(&turn.agent);
        let agent = self.policy.agent(&turn.agent).unwrap_or(&gone);
        let nothing = Step::turn(String::new(), None);
        let step = context.job.step().unwrap_or(&nothing);
        let sent_at = step.intent.as_ref().map_or(now, |intent| intent.recorded_at);
        let random = self.runtime.number();
        decide(&TurnFacts { job: &context.job, step, agent, sent_at, first_dispatch, now, random })
    }

    /// Updates the cached journal view from an answer: which journal answered, and its sequence.
    fn observe_turn(&self, answer: &TurnAnswer) {
        let other = match &answer.turn {
            TurnState::Other(other) => Some(other),
            TurnState::Running(_) | TurnState::Replied(_) | TurnState::Failed(..) => None,
        };
        self.observe(answer.seen.as_ref(), other);
    }

    /// Deletes the gateway's session of a turn that belongs to no conversation. If that fails, the gateway keeps the
    /// transcript until the plugin deletes it.
    async fn forget_session(&self, context: &StepContext<'_>, turn: &Turn) {
        let Some(Via::Journal(id)) = context.intent().map(|intent| &intent.via) else { return };
        if turn.conversation.is_some() {
            return;
        }
        let forget = async {
            let tokens = self.tokens().await?;
            let sequence = self.sequence_of(&tokens, &id.journal).await?;
            let expected = Expected { journal: &id.journal, sequence };
            let within = AT_ONCE.min(context.time_left(self.runtime.now()));
            let (ended, seen) = self.gateway.end_session(&tokens, expected, &session_of(context, turn), within).await;
            if let Some(seen) = &seen {
                self.view.saw(seen);
            }
            Ok::<bool, RunError>(ended.is_ok())
        };
        if !matches!(forget.await, Ok(true)) {
            tracing::warn!(
                function = "worker", request_id = %context.job.request_id, code = "session_left",
                "a session of a single turn was not deleted"
            );
        }
    }
}

/// The gateway's session key of a turn.
fn session_of(context: &StepContext<'_>, turn: &Turn) -> String {
    let of = context.job.step().map_or(0, |step| step.of);
    let place = match &turn.conversation {
        Some(name) => TurnPlace::Conversation(name),
        None => TurnPlace::Once(context.job.request_id, of),
    };
    conversation::session_key(&turn.agent, context.job.user_id, &place)
}
