//! The deletion of a conversation: once every turn before it is over, its session is deleted at the gateway, then its
//! item in the table.

use std::time::Duration;

use domain::{
    conversation::{self, TurnPlace},
    job::{Attempt, JobEvent, submission::EndOfConversation},
    limits::{Backoff, Passing},
};
use platform::openclaw::{CallAnswer, Refusal, journal::Expected};
use serde_json::json;

use crate::{
    Worker,
    at_cursor::AtCursor,
    call::AT_ONCE,
    commit::RunError,
    conversation_queue::{LOOK_AGAIN, QueuePosition},
    finish_step,
    journal_view::JournalView,
    run_job::RunOutcome,
    verdict::Ending,
};

impl Worker {
    pub(crate) async fn end_conversation(
        &self,
        cursor: AtCursor<'_, EndOfConversation>,
    ) -> Result<RunOutcome, RunError> {
        let (user, id, name) = (cursor.job.user_id, cursor.job.request_id, &cursor.work.end_conversation);
        if let Some(ending) = Ending::before_it_began(&cursor.job, self.runtime.now()) {
            return finish_step::end(self, &cursor, ending).await;
        }
        let done = Ending::succeeded(Ok(json!({ "deleted": true })));
        // If the item names another deletion, or is gone, this deletion is done: a conversation begun later under the
        // same name must not be deleted.
        let Some(known) = self.table.conversation(user, name).await?.filter(|known| known.ended_by == Some(id)) else {
            return finish_step::end(self, &cursor, done).await;
        };
        match self.first_of(user, name, &known, id).await? {
            QueuePosition::First => {}
            QueuePosition::Behind => return self.try_later(&cursor, None).await,
            QueuePosition::Never(ending) => return finish_step::end(self, &cursor, ending).await,
        }
        let tokens = self.tokens().await?;
        let (journal, sequence) = match self.journal_view(&tokens).await? {
            JournalView::Present { id, sequence, .. } => (id.journal, sequence),
            view @ (JournalView::Absent | JournalView::NotReady | JournalView::Unauthorized) => {
                let wait = self.not_ready(&view);
                return self.try_later(&cursor, wait).await;
            }
        };
        let session = conversation::session_key(&cursor.work.agent, user, &TurnPlace::Conversation(name));
        let expected = Expected { journal: &journal, sequence };
        let within = AT_ONCE.min(self.time_left(&cursor));
        let (ended, seen) = self.gateway.end_session(&tokens, expected, &session, within).await;
        self.note_journal(seen.as_ref(), ended.as_ref().err());
        match ended {
            Ok(_) => {
                self.table.delete_conversation(user, name, id, self.runtime.now()).await?;
                finish_step::end(self, &cursor, done).await
            }
            // Deleting twice does no harm, so it is repeated until it succeeds or the gateway refuses for good.
            Err(answer) => match self.note_unauthorized(answer) {
                answer if answer.passing() == Passing::Final => {
                    finish_step::end(self, &cursor, Ending::refused(Refusal::Rejected.code())).await
                }
                CallAnswer::NotStarted(wait) | CallAnswer::Unavailable(wait) => self.try_later(&cursor, wait).await,
                _ => self.try_later(&cursor, None).await,
            },
        }
    }

    async fn try_later(
        &self,
        cursor: &AtCursor<'_, EndOfConversation>,
        wait: Option<Duration>,
    ) -> Result<RunOutcome, RunError> {
        let tried = cursor.job.step().map_or(0, |step| step.not_started);
        let wait = Backoff::RETRY.ceiling(tried).min(LOOK_AGAIN).max(wait.unwrap_or_default());
        let check_at = finish_step::next_try(&cursor.job, self.runtime.now(), wait);
        finish_step::come_back(self, cursor, JobEvent::Rescheduled { check_at, attempt: Attempt::NotStarted }, check_at)
            .await
    }
}
