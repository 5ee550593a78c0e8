//! Sends a round: first its intent is committed, then the round is sent under its call key.

use domain::{
    audit::AuditEvent,
    job::{Intent, JobEvent, JournalId, Via, WakeUpToken, submission::Turn},
};
use platform::openclaw::{
    CallAnswer, GatewayTokens,
    journal::Expected,
    turns::{JournaledTurn, TurnState},
};

use super::{Ready, session_of};
use crate::{
    Worker, at_cursor::AtCursor, call::AT_ONCE, commit::RunError, finish_step, run_job::RunOutcome, verdict::Ending,
};

/// To which journal a round is sent.
pub(super) struct Sending<'a> {
    pub(super) tokens: &'a GatewayTokens,
    pub(super) id: &'a JournalId,
    pub(super) first: bool,
}

impl Worker {
    /// Invariant 4, *intent first*: a round is sent only after its intent and its audit record are durable.
    pub(super) async fn send_turn(
        &self,
        cursor: AtCursor<'_, Turn>,
        ready: Ready<'_>,
        to: &Sending<'_>,
    ) -> Result<RunOutcome, RunError> {
        let sequence = self.sequence_of(to.tokens, &to.id.journal).await?;
        let earlier = cursor.intent();
        let recorded_at = earlier.map_or(self.runtime.now(), |intent| intent.recorded_at);
        // The journal keeps the wake-up token of the first dispatch, so a repeated dispatch sends the same.
        let token = earlier.and_then(|intent| intent.wake_up_token.clone());
        let token = token.unwrap_or_else(|| WakeUpToken::from_random(self.runtime.bytes()));
        let intent = Intent { via: Via::Journal(to.id.clone()), recorded_at, sequence, wake_up_token: Some(token) };
        let record = AuditEvent::TurnSent {
            decision: ready.decision.to_owned(),
            policies: ready.decided.policies.clone(),
            key: cursor.key().to_string(),
            message_digest: cursor.digest_key.digest_bytes(ready.message.as_bytes()),
            tools: ready.tools.clone(),
            journal: to.id.journal.clone(),
            boot: to.id.boot.clone(),
        };
        let Some(job) = self.commit(&cursor.job, JobEvent::Intended(intent), &[record]).await? else {
            return Ok(RunOutcome::LeaseLost);
        };
        let mut cursor = AtCursor { job, ..cursor };
        // The user may have cancelled while the intent was written.
        if let Some(ending) = Ending::before_it_began(&cursor.job, self.runtime.now()) {
            if to.first {
                return finish_step::end(self, &cursor, ending).await;
            }
            let expected = Expected { journal: &to.id.journal, sequence };
            return self.revoke_and_end(cursor, to.tokens, expected, ending).await;
        }
        cursor.sent_at = Some(self.runtime.now());
        let answer = self.dispatch_turn(&cursor, &ready, to, sequence).await;
        let verdict = self.judge_turn(&cursor, to.first, answer);
        Box::pin(self.apply_turn_verdict(cursor, verdict)).await
    }

    /// Sends the round under its call key. If the response is lost, the outcome is asked for once, at once.
    async fn dispatch_turn(
        &self,
        cursor: &AtCursor<'_, Turn>,
        ready: &Ready<'_>,
        to: &Sending<'_>,
        sequence: u64,
    ) -> TurnState {
        let session = session_of(cursor);
        let wake_up = cursor.job.wake_up().map(|wake_up| wake_up.text());
        let turn = JournaledTurn {
            session: &session,
            agent: &ready.agent.name,
            message: &ready.message,
            tools: &ready.tools,
            proposals: ready.proposals,
            not_after: cursor.job.not_after,
            at_most: ready.agent.at_most,
            calls_at_most: ready.agent.calls,
            timeout: ready.agent.timeout(),
            wake_up: wake_up.as_deref(),
        };
        let (key, expected) = (cursor.key().to_string(), Expected { journal: &to.id.journal, sequence });
        let trace = cursor.trace.as_ref();
        let within = || AT_ONCE.min(self.time_left(cursor));
        let answer = self.gateway.turn(to.tokens, expected, &key, &turn, trace, within()).await;
        let answer = self.take_note_of_turn(answer);
        if answer != TurnState::Other(CallAnswer::Lost) {
            return answer;
        }
        let again = self.gateway.turn(to.tokens, expected, &key, &turn, trace, within()).await;
        match self.take_note_of_turn(again) {
            TurnState::Other(answer) => TurnState::Other(answer.of_a_repetition()),
            entry @ (TurnState::Running(_) | TurnState::Replied(_) | TurnState::Failed(..)) => entry,
        }
    }
}
