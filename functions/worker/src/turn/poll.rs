//! Polls a round that has its intent: reads its outcome, and sends it again if it never started.

use domain::job::{Intent, Via, submission::Turn};
use platform::openclaw::{
    CallAnswer, GatewayTokens,
    journal::Expected,
    turns::{TurnFailure, TurnState},
};

use super::{
    decide::{GuardedJournal, TurnDecision},
    send::Dispatch,
};
use crate::{
    Worker,
    journal::AT_ONCE,
    step::{Ending, RunError, RunOutcome, StepContext, finish},
};

/// How often a round is sent again that the journal has released or never received. With the pauses between polls that
/// takes about two minutes; a round that has not begun by then is refused permanently.
const RESENT_AT_MOST: u32 = 5;

impl Worker {
    /// Asks for the outcome of a round that was sent, or may have been. It is never sent again while it may be running.
    pub(super) async fn ask_about_turn(
        &self,
        context: StepContext<'_>,
        turn: &Turn,
        intent: &Intent,
    ) -> Result<RunOutcome, RunError> {
        let Via::Journal(id) = &intent.via else {
            return finish::end(self, &context, &Ending::failed("turn_lost", None)).await;
        };
        let tokens = self.tokens().await?;
        let sequence = self.sequence_of(&tokens, &id.journal).await?.max(intent.sequence);
        let expected = Expected { journal: &id.journal, sequence };
        let key = context.key().to_string();
        let within = || AT_ONCE.min(context.time_left(self.runtime.now()));
        let seen = context.was_running();
        let stops = self.with_facts(&context, turn, false, |facts| facts.stops());
        let answer = match (seen, stops || context.gives_up(self.runtime.now())) {
            (true, _) if stops => self.gateway.abort_turn(&tokens, expected, &key, within()).await,
            (true, _) | (false, false) => self.gateway.outcome(&tokens, expected, &key, within()).await,
            // Either proves that the round was not started and never will be, or returns its outcome.
            (false, true) => self.gateway.revoke(&tokens, expected, &key, within()).await,
        };
        self.observe_turn(&answer);
        let mut answer = answer.turn;
        if matches!(answer, TurnState::Running(_)) && stops && !seen {
            let aborted = self.gateway.abort_turn(&tokens, expected, &key, within()).await;
            self.observe_turn(&aborted);
            answer = aborted.turn;
        }
        let free = match &answer {
            // Claimed and released by the journal: nothing runs under the key.
            TurnState::Other(CallAnswer::Released) => true,
            TurnState::Other(CallAnswer::NoSuchKey) => !seen,
            TurnState::Other(_) | TurnState::Running(_) | TurnState::Replied(_) | TurnState::Failed(..) => false,
        };
        if free {
            // Each dispatch writes audit records, so the number is limited. A gateway that releases the round every
            // time will not run it.
            if context.job.step().is_some_and(|step| step.resent >= RESENT_AT_MOST) {
                let ending = Ending::failed(TurnFailure::RefusedByGateway.code(), None);
                return self.revoke_and_end(&context, turn, &tokens, expected, &ending).await;
            }
            return Box::pin(self.send_again(context, turn, &tokens, expected)).await;
        }
        let verdict = self.judge_turn(&context, turn, false, answer);
        Box::pin(self.apply_turn_verdict(&context, turn, verdict)).await
    }

    /// The journal has no claim of this round, so it is sent again, if queue, policy, mode and tool guard permit it
    /// now. Otherwise it is revoked, or polled later.
    async fn send_again(
        &self,
        context: StepContext<'_>,
        turn: &Turn,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
    ) -> Result<RunOutcome, RunError> {
        match self.decide_turn(&context, turn).await? {
            TurnDecision::Send(ready) => match self.guarded_journal(tokens).await? {
                GuardedJournal::Proven(to) if to.id.journal == expected.journal => {
                    return self.send_turn(context, turn, ready, &Dispatch { tokens, to: &to, first: false }).await;
                }
                GuardedJournal::Proven(_) | GuardedJournal::NotNow(_) => {}
            },
            TurnDecision::Behind => {}
            TurnDecision::Ends(ending) => return self.revoke_and_end(&context, turn, tokens, expected, &ending).await,
        }
        let verdict = self.judge_turn(&context, turn, false, TurnState::Other(CallAnswer::Lost));
        self.apply_turn_verdict(&context, turn, verdict).await
    }

    /// Ends a round that may not be sent any more, after the journal has revoked it: no earlier dispatch can start
    /// then.
    pub(super) async fn revoke_and_end(
        &self,
        context: &StepContext<'_>,
        turn: &Turn,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
        ending: &Ending,
    ) -> Result<RunOutcome, RunError> {
        let (key, within) = (context.key().to_string(), AT_ONCE.min(context.time_left(self.runtime.now())));
        let answer = self.gateway.revoke(tokens, expected, &key, within).await;
        self.observe_turn(&answer);
        if answer.turn == TurnState::Other(CallAnswer::Revoked) {
            return finish::end(self, context, ending).await;
        }
        let verdict = self.judge_turn(context, turn, false, answer.turn);
        Box::pin(self.apply_turn_verdict(context, turn, verdict)).await
    }
}
