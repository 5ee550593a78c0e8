//! The part of an erasure that the gateway has: sessions of conversations, and the rows of the journal. The items of the
//! conversations and the jobs without content are the list of what it still has to delete.

use domain::{
    conversation::{ConversationName, TurnPlace, session_key},
    erasure::{Erased, Left},
    job::{CallKey, Job, StepKind},
};
use platform::openclaw::GatewayTokens;
use store::{Stored, keys};

use super::{
    Run,
    jobs::{OwnJobs, Page},
};
use crate::{
    journal::{AT_ONCE, Destination, JournalView},
    step::RunError,
};

/// How many keys one request names. The journal takes 1,000, in a body of 256 KiB.
const KEYS_AT_ONCE: usize = 500;

/// The session of a conversation.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) name: ConversationName,
    pub(super) agent: String,
}

impl Run<'_> {
    /// Has the gateway delete the sessions and forget the calls of the user. What it does not do now stays on the list.
    pub(super) async fn forget(
        &self,
        jobs: &OwnJobs,
        sessions: Vec<Session>,
        erased: &mut Erased,
    ) -> Result<Left, RunError> {
        let worker = self.worker;
        if !jobs.has_calls && sessions.is_empty() {
            return Ok(Left::Nothing);
        }
        let tokens = worker.tokens().await?;
        let to = match worker.journal_view(&tokens).await? {
            JournalView::Present { to, .. } => to,
            // A gateway that never had a journal has kept nothing by these keys, and had no turns.
            JournalView::Absent if worker.table.last_gateway(worker.runtime.now()).await?.is_none() => {
                return self.drop_conversations(sessions, erased).await;
            }
            view @ (JournalView::Absent | JournalView::NotReady | JournalView::Unauthorized) => {
                let _pause = worker.report_not_ready(&view);
                return Ok(Left::Gateway);
            }
        };
        // The rows first: a session with an open turn is refused, and must not keep everything else.
        if jobs.has_calls
            && let Some(left) = self.forget_calls(&tokens, &to, erased).await?
        {
            return Ok(left);
        }
        let mut left = Left::Nothing;
        for session in sessions {
            if self.is_late() {
                return Ok(Left::Data);
            }
            if self.end_session(&tokens, &to, &session).await? {
                self.drop_conversations(vec![session], erased).await?;
            } else {
                left = Left::Gateway;
            }
        }
        Ok(left)
    }

    /// Has the gateway forget the calls of every job. Returns what is left, if not all of them were named to it.
    async fn forget_calls(
        &self,
        tokens: &GatewayTokens,
        to: &Destination,
        erased: &mut Erased,
    ) -> Result<Option<Left>, RunError> {
        let worker = self.worker;
        let mut pages = self.pages();
        loop {
            let jobs = match pages.next().await? {
                Page::Jobs(jobs) => jobs,
                Page::End => return Ok(None),
                Page::NoTime => return Ok(Some(Left::Data)),
            };
            let known = jobs.iter().filter_map(|own| match &own.job {
                Ok(Stored::Job(job)) => Some(&**job),
                Ok(Stored::Newer) | Err(_) => None,
            });
            let keys: Vec<String> = known.flat_map(call_keys).collect();
            for some in keys.chunks(KEYS_AT_ONCE) {
                if self.is_late() {
                    return Ok(Some(Left::Data));
                }
                let (forgotten, seen) = worker.gateway.forget(tokens, to.expected(), some, AT_ONCE).await;
                worker.observe(seen.as_ref(), forgotten.as_ref().err());
                let Ok(rows) = forgotten else { return Ok(Some(Left::Gateway)) };
                erased.journal_rows += rows;
            }
        }
    }

    /// Whether the gateway has deleted a session, or had none. It refuses while a turn of it is open.
    async fn end_session(&self, tokens: &GatewayTokens, to: &Destination, session: &Session) -> Result<bool, RunError> {
        let key = session_key(&session.agent, self.user, &TurnPlace::Conversation(&session.name));
        let (ended, seen) = self.worker.gateway.end_session(tokens, to.expected(), &key, AT_ONCE).await;
        self.worker.observe(seen.as_ref(), ended.as_ref().err());
        Ok(ended.is_ok())
    }

    async fn drop_conversations(&self, sessions: Vec<Session>, erased: &mut Erased) -> Result<Left, RunError> {
        for session in sessions {
            let deleted = self.worker.table.delete_own(self.user, keys::conversation(&session.name)).await?;
            erased.conversations += u64::from(deleted);
        }
        Ok(Left::Nothing)
    }
}

/// The journal's keys of every call that a job may have sent.
pub(super) fn call_keys(job: &Job) -> impl Iterator<Item = String> {
    let (user_id, request_id) = (job.user_id, job.request_id);
    let sent = job.steps.iter().filter(|step| step.kind != StepKind::End && step.attempts + step.n > 0);
    sent.flat_map(move |step| {
        let (of, round) = (step.of, step.round);
        (0..=step.n).map(move |n| CallKey { user_id, request_id, step: of, round, n }.to_string())
    })
}
