//! A call at the cursor: what may be sent, recorded before it is sent, and what the gateway answered.

use std::{sync::Arc, time::Duration};

use domain::{
    audit::AuditEvent,
    catalogue::{Tool, ToolEffect, ToolEntry},
    job::{Intent, JobEvent, Via},
};
use platform::{
    openclaw::{
        CallAnswer, GatewayTokens, JournalSeen,
        journal::{Expected, JournalAnswer, JournaledCall},
    },
    secrets::{SecretsError, WorkerSecrets},
};

use crate::{
    STOP_BEFORE, Worker,
    at_cursor::AtCursor,
    commit::RunError,
    gate::{Barred, Permitted},
    journal_view::JournalView,
    verdict::{self, Ending, Facts, Verdict},
};

/// A call that usually ends within this time is waited for; a longer one is sent, and its job is suspended.
const WAIT_FOR: Duration = Duration::from_millis(300);
/// How long a short call is waited for before its job is suspended like that of a long one.
pub const WAIT_AT_MOST: Duration = Duration::from_millis(1500);
/// Timeout of requests that the journal answers at once.
pub const AT_ONCE: Duration = Duration::from_secs(3);

/// The cursor, with the job as last committed, and the verdict; `None` when the lease is lost.
type TakenOn<'a> = Option<(AtCursor<'a>, Verdict)>;

impl Worker {
    pub(crate) async fn take_on<'a>(&self, cursor: AtCursor<'a>) -> Result<TakenOn<'a>, RunError> {
        let Some(step) = cursor.job.step() else { return Ok(None) };
        // A step that has an intent is never decided again, only asked for its outcome.
        match step.intent.clone() {
            Some(intent) => {
                let tokens = self.tokens().await?;
                let verdict = self.ask_again(&cursor, &tokens, &intent).await?;
                Ok(Some((cursor, verdict)))
            }
            None => self.begin(cursor).await,
        }
    }

    /// Begins a call that has no intent: nothing was sent, or only a read, which may be repeated.
    async fn begin<'a>(&self, cursor: AtCursor<'a>) -> Result<TakenOn<'a>, RunError> {
        let Permitted { tool, decided } = match self.permitted(&cursor).await? {
            Ok(permitted) => permitted,
            Err(verdict) => return Ok(Some((cursor, verdict))),
        };
        let Some(cursor) = self.keep_derived(cursor).await? else { return Ok(None) };
        // The user may have cancelled while the derived work was committed.
        if let Some(ending) = Ending::before_it_began(&cursor.job, self.runtime.now()) {
            return Ok(Some((cursor, Verdict::End(ending))));
        }
        let tokens = &self.tokens().await?;
        let view = self.journal_view(tokens).await?;
        let via = match (view, tool.entry.effect) {
            (JournalView::Present { id, .. }, ToolEffect::Read) => Via::Journal(id),
            (JournalView::Present { id, guard_proven: true, .. }, _) => Via::Journal(id),
            (JournalView::Absent, ToolEffect::Read) => Via::Direct,
            (JournalView::Absent, _) if self.config.unjournaled_writes => Via::Direct,
            (view, _) => {
                let wait = self.not_ready(&view);
                let verdict = self.judge(&cursor, &tool.entry, &Via::Direct, true, CallAnswer::NotStarted(wait));
                return Ok(Some((cursor, verdict)));
            }
        };
        match tool.entry.effect {
            ToolEffect::Read => self.send_read(cursor, tokens, tool, via).await.map(Some),
            ToolEffect::Write | ToolEffect::Destructive => {
                self.send_write(cursor, tokens, Permitted { tool, decided }, via).await
            }
        }
    }

    /// Sends a read without an intent before it, since repeating it does no harm. The intent is recorded when the job
    /// is suspended.
    async fn send_read<'a>(
        &self,
        mut cursor: AtCursor<'a>,
        tokens: &GatewayTokens,
        tool: &Tool,
        via: Via,
    ) -> Result<(AtCursor<'a>, Verdict), RunError> {
        cursor.sent_at = Some(self.runtime.now());
        let answer = self.dispatch(&cursor, tokens, tool, &via).await?;
        let verdict = self.judge(&cursor, &tool.entry, &via, true, answer);
        if let (Verdict::Suspend { .. }, Some(step)) = (&verdict, cursor.job.steps.get_mut(cursor.job.cursor)) {
            step.intent = Some(Intent { via, recorded_at: self.runtime.now(), sequence: 0, wake_up_token: None });
        }
        Ok((cursor, verdict))
    }

    /// Invariant 4, *intent first*: a write is sent only after its intent and its audit record are durable.
    async fn send_write<'a>(
        &self,
        cursor: AtCursor<'a>,
        tokens: &GatewayTokens,
        Permitted { tool, decided }: Permitted<'_>,
        via: Via,
    ) -> Result<TakenOn<'a>, RunError> {
        let journal = match &via {
            Via::Journal(id) => Some(id.clone()),
            Via::Direct => None,
        };
        let audit = AuditEvent::Intended {
            decision: decided.decision.name().to_owned(),
            policies: decided.policies,
            key: cursor.key().to_string(),
            arguments_digest: cursor.work_digest,
            journal: journal.as_ref().map(|id| id.journal.clone()),
            boot: journal.map(|id| id.boot),
        };
        let sequence = match &via {
            Via::Journal(id) => self.sequence_of(tokens, &id.journal).await?,
            Via::Direct => 0,
        };
        let intent = Intent { via: via.clone(), recorded_at: self.runtime.now(), sequence, wake_up_token: None };
        let Some(job) = self.commit(&cursor.job, JobEvent::Intended(intent), &[audit]).await? else {
            return Ok(None);
        };
        let mut cursor = AtCursor { job, ..cursor };
        // A cancel or `not_after` may have come while the intent was written. The journal checks `not_after` once more.
        if let Some(ending) = Ending::before_it_began(&cursor.job, self.runtime.now()) {
            return Ok(Some((cursor, Verdict::End(ending))));
        }
        cursor.sent_at = Some(self.runtime.now());
        let answer = self.dispatch(&cursor, tokens, tool, &via).await?;
        let verdict = self.judge(&cursor, &tool.entry, &via, true, answer);
        Ok(Some((cursor, verdict)))
    }

    /// Asks for the outcome of a call that was sent, or may have been.
    async fn ask_again(
        &self,
        cursor: &AtCursor<'_>,
        tokens: &GatewayTokens,
        intent: &Intent,
    ) -> Result<Verdict, RunError> {
        // For a tool that was removed from the catalogue only the outcome is asked; nothing is sent any more.
        let gone = ToolEntry::gone(&cursor.work.tool, cursor.job.step().map_or(ToolEffect::Write, |step| step.effect));
        let tool = self.policy.tool(&cursor.work.tool);
        let entry = tool.map_or(&gone, |tool| &tool.entry);
        // A call sent without a journal leaves no record at the gateway that could be asked for.
        let Via::Journal(id) = &intent.via else {
            return Ok(self.judge(cursor, entry, &intent.via, false, CallAnswer::Lost));
        };
        let running = cursor.job.step().is_some_and(|step| step.running_since.is_some());
        let give_up = tool.is_none() || cursor.gives_up(self.runtime.now());
        // The call was not seen running, so asking by sending it again may start it now. A call that policy or mode no
        // longer allow must not start.
        let barred = match tool {
            Some(tool) if !give_up && !running => self.allowed(cursor, tool).await?.err(),
            Some(_) | None => None,
        };
        let give_up = give_up || matches!(barred, Some(Barred::Ends(_) | Barred::Asks(_)));
        let unread = matches!(barred, Some(Barred::Unread));
        let sequence = self.sequence_of(tokens, &id.journal).await?.max(intent.sequence);
        let expected = Expected { journal: &id.journal, sequence };
        let key = cursor.key().to_string();
        let timeout = AT_ONCE.min(self.time_left(cursor));
        let answer = if give_up {
            // Either proves that the call did not run and never will, or returns its outcome.
            self.gateway.revoke(tokens, expected, &key, timeout).await
        } else if running || unread {
            // The call was seen running. A journal that does not know it any more must not start it again, so it is not
            // sent.
            self.gateway.outcome(tokens, expected, &key, timeout).await
        } else {
            let call = self.journaled(cursor, false);
            self.gateway.invoke(tokens, expected, &key, call, cursor.trace.as_ref(), timeout).await
        };
        let answer = match self.take_note(answer) {
            // The journal had claimed the call and released it. The key stays the same, so it is sent again at once.
            CallAnswer::Released if !give_up && !unread => {
                let (call, timeout) = (self.journaled(cursor, false), AT_ONCE.min(self.time_left(cursor)));
                let again = self.gateway.invoke(tokens, expected, &key, call, cursor.trace.as_ref(), timeout).await;
                self.take_note(again)
            }
            answer => answer,
        };
        Ok(match (answer, barred) {
            (CallAnswer::Revoked, Some(Barred::Ends(ending))) => Verdict::End(ending),
            (answer, _) => self.judge(cursor, entry, &intent.via, false, answer),
        })
    }

    /// Sends a call for the first time under its key. If the response is lost, the outcome is asked for once, at once.
    async fn dispatch(
        &self,
        cursor: &AtCursor<'_>,
        tokens: &GatewayTokens,
        tool: &Tool,
        via: &Via,
    ) -> Result<CallAnswer, RunError> {
        let key = cursor.key().to_string();
        let left = self.time_left(cursor);
        let Via::Journal(id) = via else {
            // The gateway aborts the tool when the connection closes, so the timeout is as long as possible.
            let call = (cursor.work.tool.as_str(), &cursor.work.arguments);
            let timeout = tool.entry.timeout().min(left);
            let answer = self.gateway.call_directly(tokens, call, &key, cursor.trace.as_ref(), timeout).await;
            return Ok(self.note_unauthorized(answer));
        };
        let sequence = self.sequence_of(tokens, &id.journal).await?;
        let expected = Expected { journal: &id.journal, sequence };
        let wait = tool.entry.expected() < WAIT_FOR;
        let timeout = if wait { WAIT_AT_MOST } else { AT_ONCE }.min(left);
        let trace = cursor.trace.as_ref();
        let answer = self.gateway.invoke(tokens, expected, &key, self.journaled(cursor, wait), trace, timeout).await;
        let answer = self.take_note(answer);
        if answer != CallAnswer::Lost {
            return Ok(answer);
        }
        let again = self.journaled(cursor, false);
        let answer =
            self.gateway.invoke(tokens, expected, &key, again, trace, AT_ONCE.min(self.time_left(cursor))).await;
        Ok(self.take_note(answer).of_a_repetition())
    }

    /// Invariant 5: every call ends before the function does.
    pub(crate) fn time_left<W>(&self, cursor: &AtCursor<'_, W>) -> Duration {
        cursor.deadline.since(self.runtime.now()).saturating_sub(STOP_BEFORE)
    }

    fn journaled<'a>(&self, cursor: &'a AtCursor<'_>, wait: bool) -> JournaledCall<'a> {
        let at_most = self.policy.tool(&cursor.work.tool).and_then(|tool| tool.entry.at_most);
        JournaledCall {
            tool: &cursor.work.tool,
            arguments: &cursor.work.arguments,
            not_after: cursor.job.not_after,
            wait,
            at_most,
        }
    }

    pub(crate) fn judge(
        &self,
        cursor: &AtCursor<'_>,
        entry: &ToolEntry,
        via: &Via,
        first_dispatch: bool,
        answer: CallAnswer,
    ) -> Verdict {
        let now = self.runtime.now();
        let Some(step) = cursor.job.step() else { return Verdict::End(Ending::unknown()) };
        let sent_at = step.intent.as_ref().map_or(now, |intent| intent.recorded_at);
        let random = self.runtime.number();
        verdict::after(answer, &Facts { job: &cursor.job, step, entry, via, sent_at, first_dispatch, now, random })
    }

    /// The highest sequence ever seen of that journal. Never below the stored one, even if the gateway reports a lower
    /// one now.
    pub(crate) async fn sequence_of(&self, tokens: &GatewayTokens, journal: &str) -> Result<u64, RunError> {
        if let JournalView::Present { id, sequence, .. } = self.journal_view(tokens).await?
            && id.journal == journal
        {
            return Ok(sequence);
        }
        Ok(self.table.gateway_seen(journal).await?.map_or(0, |seen| seen.sequence))
    }

    pub(crate) async fn tokens(&self) -> Result<Arc<GatewayTokens>, RunError> {
        Ok(self.read_tokens().await?)
    }

    pub(crate) async fn read_tokens(&self) -> Result<Arc<GatewayTokens>, SecretsError> {
        self.secrets.get(&self.runtime, |secrets: WorkerSecrets| Ok(secrets.tokens())).await
    }

    /// Updates the cached journal view from an answer: which journal answered, and its sequence.
    pub(crate) fn take_note(&self, answer: JournalAnswer) -> CallAnswer {
        self.note_journal(answer.seen.as_ref(), Some(&answer.call));
        self.note_unauthorized(answer.noted())
    }

    /// Updates the cached journal view from an answer of any route.
    pub(crate) fn note_journal(&self, seen: Option<&JournalSeen>, answer: Option<&CallAnswer>) {
        if let Some(seen) = seen {
            self.view.saw(seen);
        }
        if matches!(answer, Some(CallAnswer::OtherJournal | CallAnswer::JournalAbsent)) {
            self.view.expire();
        }
    }

    /// Forces one refresh of the secret. The job is rescheduled after a pause, so a wrong token cannot cause a loop.
    pub(crate) fn note_unauthorized(&self, answer: CallAnswer) -> CallAnswer {
        if answer == CallAnswer::Unauthorized {
            tracing::error!(function = "worker", code = "gateway_unauthorized", "the gateway accepts no listed token");
            self.secrets.expire(&self.runtime);
            self.view.expire();
        }
        answer
    }

    /// Why nothing can be sent now, and when to try again.
    pub(crate) fn not_ready(&self, view: &JournalView) -> Option<Duration> {
        match view {
            JournalView::Unauthorized => {
                self.note_unauthorized(CallAnswer::Unauthorized);
                Some(Duration::from_secs(15))
            }
            JournalView::Absent => {
                tracing::error!(
                    function = "worker",
                    code = "journal_absent",
                    "writes wait: the gateway has no journal"
                );
                Some(Duration::from_secs(15))
            }
            JournalView::Present { .. } | JournalView::NotReady => None,
        }
    }
}
