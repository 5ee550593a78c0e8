//! Polls a round that has its intent: reads its outcome, and sends it again if it never started.

use domain::job::{Intent, Via, submission::Turn};
use platform::openclaw::{
    CallAnswer, GatewayTokens,
    journal::Expected,
    turns::{TurnFailure, TurnState},
};

use super::{Held, send::Sending};
use crate::{
    Worker, at_cursor::AtCursor, call::AT_ONCE, commit::RunError, finish_step, run_job::RunOutcome, verdict::Ending,
};

/// How often a round is sent again that the journal has released or never received. With the pauses between polls that
/// takes about two minutes; a round that has not begun by then is refused permanently.
const RESENT_AT_MOST: u32 = 5;

impl Worker {
    /// Asks for the outcome of a round that was sent, or may have been. It is never sent again while it may be running.
    pub(super) async fn ask_about_turn(
        &self,
        cursor: AtCursor<'_, Turn>,
        intent: &Intent,
    ) -> Result<RunOutcome, RunError> {
        let Via::Journal(id) = &intent.via else {
            return finish_step::end(self, &cursor, Ending::failed("turn_lost", None)).await;
        };
        let tokens = self.tokens().await?;
        let sequence = self.sequence_of(&tokens, &id.journal).await?.max(intent.sequence);
        let expected = Expected { journal: &id.journal, sequence };
        let key = cursor.key().to_string();
        let within = || AT_ONCE.min(self.time_left(&cursor));
        let seen = cursor.job.step().is_some_and(|step| step.running_since.is_some());
        let stops = self.with_facts(&cursor, false, |facts| facts.stops());
        let answer = match (seen, stops || cursor.gives_up(self.runtime.now())) {
            (true, _) if stops => self.gateway.abort_turn(&tokens, expected, &key, within()).await,
            (true, _) | (false, false) => self.gateway.turn_outcome(&tokens, expected, &key, within()).await,
            // Either proves that the round was not started and never will be, or returns its outcome.
            (false, true) => self.gateway.revoke_turn(&tokens, expected, &key, within()).await,
        };
        let mut answer = self.take_note_of_turn(answer);
        if matches!(answer, TurnState::Running(_)) && stops && !seen {
            answer = self.take_note_of_turn(self.gateway.abort_turn(&tokens, expected, &key, within()).await);
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
            if cursor.job.step().is_some_and(|step| step.resent >= RESENT_AT_MOST) {
                let ending = Ending::failed(TurnFailure::RefusedByGateway.code(), None);
                return self.revoke_and_end(cursor, &tokens, expected, ending).await;
            }
            return Box::pin(self.send_again(cursor, &tokens, expected)).await;
        }
        let verdict = self.judge_turn(&cursor, false, answer);
        Box::pin(self.apply_turn_verdict(cursor, verdict)).await
    }

    /// The journal has no claim of this round, so it is sent again, if queue, policy, mode and tool guard permit it
    /// now. Otherwise it is revoked, or polled later.
    async fn send_again(
        &self,
        cursor: AtCursor<'_, Turn>,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
    ) -> Result<RunOutcome, RunError> {
        match self.ready(&cursor).await? {
            Ok(ready) => match self.proven(tokens).await? {
                Ok(id) if id.journal == expected.journal => {
                    return self.send_turn(cursor, ready, &Sending { tokens, id: &id, first: false }).await;
                }
                Ok(_) | Err(_) => {}
            },
            Err(Held::Behind) => {}
            Err(Held::Ends(ending)) => return self.revoke_and_end(cursor, tokens, expected, ending).await,
        }
        let verdict = self.judge_turn(&cursor, false, TurnState::Other(CallAnswer::Lost));
        self.apply_turn_verdict(cursor, verdict).await
    }

    /// Ends a round that may not be sent any more, after the journal has revoked it: no earlier dispatch can start
    /// then.
    pub(super) async fn revoke_and_end(
        &self,
        cursor: AtCursor<'_, Turn>,
        tokens: &GatewayTokens,
        expected: Expected<'_>,
        ending: Ending,
    ) -> Result<RunOutcome, RunError> {
        let (key, within) = (cursor.key().to_string(), AT_ONCE.min(self.time_left(&cursor)));
        let answer = self.take_note_of_turn(self.gateway.revoke_turn(tokens, expected, &key, within).await);
        if answer == TurnState::Other(CallAnswer::Revoked) {
            return finish_step::end(self, &cursor, ending).await;
        }
        let verdict = self.judge_turn(&cursor, false, answer);
        Box::pin(self.apply_turn_verdict(cursor, verdict)).await
    }
}
