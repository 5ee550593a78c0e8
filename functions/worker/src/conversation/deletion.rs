//! The deletion of a conversation: once every turn before it is over, its session is deleted at the gateway, then its
//! item in the table.

use std::time::Duration;

use domain::{
    conversation::{self, TurnPlace},
    job::{Attempt, submission::EndOfConversation},
    limits::{Backoff, Passing},
};
use platform::openclaw::{CallAnswer, Refusal};
use serde_json::json;

use super::queue::{LOOK_AGAIN, QueuePosition};
use crate::{
    Worker,
    journal::{AT_ONCE, JournalView},
    step::{Ending, RunError, RunOutcome, StepContext, finish},
};

impl Worker {
    /// Advances the deletion of a conversation.
    pub(crate) async fn run_deletion(
        &self,
        context: &StepContext<'_>,
        work: &EndOfConversation,
    ) -> Result<RunOutcome, RunError> {
        let (user, id, name) = (context.job.user_id, context.job.request_id, &work.end_conversation);
        if let Some(ending) = Ending::before_it_began(&context.job, self.runtime.now()) {
            return finish::end(self, context, &ending).await;
        }
        let done = Ending::succeeded(Ok(json!({ "deleted": true })));
        // If the item names another deletion, or is gone, this deletion is done: a conversation begun later under the
        // same name must not be deleted.
        let Some(known) = self.table.conversation(user, name).await?.filter(|known| known.ended_by == Some(id)) else {
            return finish::end(self, context, &done).await;
        };
        match self.first_of(user, name, &known, id).await? {
            QueuePosition::First => {}
            QueuePosition::Behind => return self.try_later(context, None).await,
            QueuePosition::Never(code) => return finish::end(self, context, &Ending::refused(code)).await,
        }
        let tokens = self.tokens().await?;
        let to = match self.journal_view(&tokens).await? {
            JournalView::Present { to, .. } => to,
            view @ (JournalView::Absent | JournalView::NotReady | JournalView::Unauthorized) => {
                let wait = self.report_not_ready(&view);
                return self.try_later(context, wait).await;
            }
        };
        let session = conversation::session_key(&work.agent, user, &TurnPlace::Conversation(name));
        let within = AT_ONCE.min(context.time_left(self.runtime.now()));
        let (ended, seen) = self.gateway.end_session(&tokens, to.expected(), &session, within).await;
        self.observe(seen.as_ref(), ended.as_ref().err());
        match ended {
            Ok(_) => {
                self.table.delete_conversation(user, name, id, self.runtime.now()).await?;
                finish::end(self, context, &done).await
            }
            // Deleting twice does no harm, so it is repeated until it succeeds or the gateway refuses for good.
            Err(answer) => match answer {
                answer if answer.passing() == Passing::Final => {
                    finish::end(self, context, &Ending::refused(Refusal::Rejected.code())).await
                }
                CallAnswer::NotStarted(wait) | CallAnswer::Unavailable(wait) => self.try_later(context, wait).await,
                _ => self.try_later(context, None).await,
            },
        }
    }

    async fn try_later(&self, context: &StepContext<'_>, wait: Option<Duration>) -> Result<RunOutcome, RunError> {
        let tried = context.job.step().map_or(0, |step| step.not_started);
        let wait = Backoff::RETRY.ceiling(tried).min(LOOK_AGAIN).max(wait.unwrap_or_default());
        finish::reschedule(self, context, wait, Attempt::NotStarted).await
    }
}
