//! The reply of a turn: shown once content safety, or an operator, has let it pass. Until then it is at the journal.

use std::time::Duration;

use domain::{
    content_safety::CheckedText,
    ids::Timestamp,
    job::{JobEvent, JobState, submission::Turn},
};
use futures_util::future::BoxFuture;
use platform::openclaw::turns::Round;
use store::{Commit, Stored};

use crate::{
    Worker,
    content_safety::{Checked, REPLY_REFUSED, REPLY_UNDECIDED},
    step::{Ending, RunError, RunOutcome, StepContext, finish},
};

/// Between a look that found the user away and the next one after their login.
const LOOK_SOON: Duration = Duration::from_secs(2);

impl Worker {
    /// Ends the turn with the reply of this round as its result, once content safety has let it pass. A reply that
    /// cannot be checked now stays at the journal, and is read and checked again later.
    pub(super) fn end_with_reply<'a>(
        &'a self,
        context: &'a StepContext<'_>,
        turn: &'a Turn,
        ending: Ending,
        round: &'a Round,
    ) -> BoxFuture<'a, Result<RunOutcome, RunError>> {
        // Boxed here: the frames of its callers stay small.
        Box::pin(self.check_reply(context, turn, ending, round))
    }

    async fn check_reply(
        &self,
        context: &StepContext<'_>,
        turn: &Turn,
        ending: Ending,
        round: &Round,
    ) -> Result<RunOutcome, RunError> {
        let reply = round.reply.as_deref().unwrap_or_default();
        let text = CheckedText::Reply { agent: turn.agent.as_str().into(), text: reply.into() };
        let looked_at = self.runtime.now();
        let (checked, now) = (self.check_text(context, &text).await, self.runtime.now());
        let wait = match &checked {
            Checked::NotNow => self.with_facts(context, turn, false, |facts| facts.check_again_after(false)),
            Checked::Away => self.with_facts(context, turn, false, |facts| facts.check_again_after(true)),
            Checked::Held(held) => Some(held.next_look(now).since(now)),
            Checked::Undecided(look_at) => Some(look_at.since(now)),
            Checked::Passed | Checked::Refused(_) | Checked::Lapsed | Checked::Never => None,
        };
        let ended = context.job.cancel_requested || context.job.overdue(now);
        if let Some(wait) = wait.filter(|_| !ended) {
            if let Checked::Held(held) = checked {
                return self.hold_text(context, *held).await;
            }
            let check_at = finish::next_look(&context.job, now, wait);
            let outcome = finish::come_back(self, context, JobEvent::ReplyHeld { check_at }, check_at).await?;
            if checked == Checked::Away {
                self.wake_if_returned(context, looked_at).await;
            }
            return Ok(outcome);
        }
        let ending = match checked {
            Checked::Passed => ending,
            Checked::Refused(finding) => Ending::failed(REPLY_REFUSED, None).because(finding),
            Checked::Held(_) | Checked::Undecided(_) | Checked::Lapsed if !context.job.cancel_requested => {
                Ending::failed(REPLY_UNDECIDED, None)
            }
            Checked::Held(_)
            | Checked::Undecided(_)
            | Checked::Lapsed
            | Checked::NotNow
            | Checked::Away
            | Checked::Never => self.with_facts(context, turn, false, |facts| facts.unchecked()),
        };
        self.end_turn(context, turn, &ending, Some(round)).await
    }

    /// Makes the job due again if its user has logged in since the look at its reply began. Such a login found the job
    /// running and could not make it due. A failure leaves the job due at its next look.
    async fn wake_if_returned(&self, context: &StepContext<'_>, looked_at: Timestamp) {
        let (user_id, id) = (context.job.user_id, context.job.request_id);
        let returned = self.table.last_login(user_id).await.is_ok_and(|login| login.is_some_and(|at| at >= looked_at));
        if !returned {
            return;
        }
        let Ok(Some(Stored::Job(job))) = self.table.job(user_id, id).await else { return };
        if job.state != JobState::Waiting {
            return;
        }
        let Ok(woken) = job.apply(JobEvent::Woken, self.runtime.now()) else { return };
        if matches!(self.table.commit(&job, &woken, &self.runtime.nonce()).await, Ok(Commit::Done)) {
            // Not at once: clocks that differ would have it look, and ask WeChat, again and again.
            self.jobs().wake(&woken, LOOK_SOON).await;
        }
    }
}
