//! Sends a round: first its intent is committed, then the round is sent under its call key.

use domain::{
    audit::AuditEvent,
    job::{Intent, JobEvent, Via, WakeUpToken, submission::Turn},
};
use platform::openclaw::{
    CallAnswer, GatewayTokens,
    turns::{JournaledTurn, TurnState},
};

use super::{decide::Ready, session_of};
use crate::{
    Worker,
    journal::{AT_ONCE, Destination},
    step::{Ending, RunError, RunOutcome, StepContext, finish},
};

/// To which journal a round is sent.
pub(super) struct Dispatch<'a> {
    pub(super) tokens: &'a GatewayTokens,
    pub(super) to: &'a Destination,
    /// Whether it is sent for the first time under its key.
    pub(super) first: bool,
}

impl Worker {
    /// Invariant 4, *intent first*: a round is sent only after its intent and its audit record are durable.
    pub(super) async fn send_turn(
        &self,
        context: StepContext<'_>,
        turn: &Turn,
        ready: Ready<'_>,
        dispatch: &Dispatch<'_>,
    ) -> Result<RunOutcome, RunError> {
        let to = dispatch.to;
        let earlier = context.intent();
        let recorded_at = earlier.map_or(self.runtime.now(), |intent| intent.recorded_at);
        // The journal keeps the wake-up token of the first dispatch, so a repeated dispatch sends the same.
        let token = earlier.and_then(|intent| intent.wake_up_token.clone());
        let token = token.unwrap_or_else(|| WakeUpToken::from_random(self.runtime.bytes()));
        let via = Via::Journal(to.id.clone());
        let intent = Intent { via, recorded_at, sequence: to.sequence, wake_up_token: Some(token) };
        let record = AuditEvent::TurnSent {
            decision: ready.decision.to_owned(),
            policies: ready.decided.policies.clone(),
            key: context.key().to_string(),
            message_digest: context.digest_key.digest_bytes(ready.message.as_bytes()),
            tools: ready.tools.clone(),
            journal: to.id.journal.clone(),
            boot: to.id.boot.clone(),
        };
        let Some(job) = self.commit(&context.job, JobEvent::Intended(intent), &[record]).await? else {
            return Ok(RunOutcome::LeaseLost);
        };
        let mut context = StepContext { job, ..context };
        // The user may have cancelled while the intent was written.
        if let Some(ending) = Ending::before_it_began(&context.job, self.runtime.now()) {
            if dispatch.first {
                return finish::end(self, &context, &ending).await;
            }
            return self.revoke_and_end(&context, turn, dispatch.tokens, to.expected(), &ending).await;
        }
        context.sent_at = Some(self.runtime.now());
        let answer = self.dispatch_turn(&context, turn, &ready, dispatch).await;
        let verdict = self.judge_turn(&context, turn, dispatch.first, answer);
        Box::pin(self.apply_turn_verdict(&context, turn, verdict)).await
    }

    /// Sends the round under its call key. If the response is lost, the outcome is asked for once, at once.
    async fn dispatch_turn(
        &self,
        context: &StepContext<'_>,
        turn: &Turn,
        ready: &Ready<'_>,
        dispatch: &Dispatch<'_>,
    ) -> TurnState {
        let session = session_of(context, turn);
        let wake_up = context.job.wake_up().map(|wake_up| wake_up.text());
        let round = JournaledTurn {
            session: &session,
            agent: &ready.agent.name,
            message: &ready.message,
            tools: &ready.tools,
            proposals: ready.proposals,
            not_after: context.job.not_after,
            at_most: ready.agent.at_most,
            calls_at_most: ready.agent.calls,
            timeout: ready.agent.timeout(),
            wake_up: wake_up.as_deref(),
        };
        let (key, expected) = (context.key().to_string(), dispatch.to.expected());
        let trace = context.trace.as_ref();
        let within = || AT_ONCE.min(context.time_left(self.runtime.now()));
        let answer = self.gateway.turn(dispatch.tokens, expected, &key, &round, trace, within()).await;
        self.observe_turn(&answer);
        if answer.turn != TurnState::Other(CallAnswer::Lost) {
            return answer.turn;
        }
        let again = self.gateway.turn(dispatch.tokens, expected, &key, &round, trace, within()).await;
        self.observe_turn(&again);
        match again.turn {
            TurnState::Other(answer) => TurnState::Other(answer.of_a_repetition()),
            entry @ (TurnState::Running(_) | TurnState::Replied(_) | TurnState::Failed(..)) => entry,
        }
    }
}
