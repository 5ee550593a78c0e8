//! Dispatches a call: what may be sent, recorded before it is sent, and what the gateway answered.

use std::time::Duration;

use domain::{
    audit::AuditEvent,
    catalogue::{Tool, ToolEffect, ToolEntry},
    job::{Intent, JobEvent, Via, submission::Call},
};
use platform::openclaw::{
    CallAnswer, GatewayTokens,
    journal::{Expected, JournaledCall},
};

use super::{
    decide::{Allowed, CallDecision, Permitted},
    verdict::{self, Facts, Verdict},
};
use crate::{
    Worker,
    journal::{AT_ONCE, Destination, JournalView},
    step::{Ending, RunError, RunOutcome, StepContext},
};

/// A call that usually ends within this time is waited for; a longer one is sent, and its job is suspended.
const WAIT_FOR: Duration = Duration::from_millis(300);
/// How long a short call is waited for before its job is suspended like that of a long one.
pub const WAIT_AT_MOST: Duration = Duration::from_millis(1500);

/// How a call reaches the gateway, resolved once for a step.
enum Route {
    Journal(Destination),
    Direct,
}

impl Route {
    fn via(&self) -> Via {
        match self {
            Self::Journal(to) => Via::Journal(to.id.clone()),
            Self::Direct => Via::Direct,
        }
    }

    /// The intent of a call that is sent this way.
    fn intent(&self, worker: &Worker, sequence: u64) -> Intent {
        Intent { via: self.via(), recorded_at: worker.runtime.now(), sequence, wake_up_token: None }
    }
}

impl Worker {
    /// Begins a call that has no intent: nothing was sent, or only a read, which may be repeated.
    pub(super) async fn begin_call(&self, context: StepContext<'_>, call: &Call) -> Result<RunOutcome, RunError> {
        let permitted = match self.decide_call(&context, call).await? {
            CallDecision::Send(permitted) => permitted,
            CallDecision::Hold(verdict) => {
                let verdict = self.check_shown(&context, call, verdict).await;
                return self.apply_verdict(&context, call, verdict, None).await;
            }
        };
        let Some(context) = self.keep_derived(context).await? else { return Ok(RunOutcome::LeaseLost) };
        // The user may have cancelled while the derived work was committed.
        if let Some(ending) = Ending::before_it_began(&context.job, self.runtime.now()) {
            return self.end_call(&context, call, &ending).await;
        }
        let tokens = &self.tokens().await?;
        let entry = &permitted.tool.entry;
        let route = match (self.journal_view(tokens).await?, entry.effect) {
            (JournalView::Present { to, .. }, ToolEffect::Read) => Route::Journal(to),
            (JournalView::Present { to, guard_proven: true }, _) => Route::Journal(to),
            (JournalView::Absent, ToolEffect::Read) => Route::Direct,
            (JournalView::Absent, _) if self.config.unjournaled_writes => Route::Direct,
            (view, _) => {
                let answer = CallAnswer::NotStarted(self.report_not_ready(&view));
                let verdict = self.judge(&context, entry, &Via::Direct, true, answer);
                return self.apply_verdict(&context, call, verdict, None).await;
            }
        };
        match entry.effect {
            ToolEffect::Read => self.send_read(context, call, tokens, permitted.tool, &route).await,
            ToolEffect::Write | ToolEffect::Destructive => {
                // Last, so that a gateway which is not ready costs no check.
                if let Some(verdict) = self.check_call(&context, call).await {
                    return self.apply_verdict(&context, call, verdict, None).await;
                }
                self.send_write(context, call, tokens, permitted, &route).await
            }
        }
    }

    /// Sends a read without an intent before it, since repeating it does no harm. The intent is recorded when the job
    /// is suspended.
    async fn send_read(
        &self,
        mut context: StepContext<'_>,
        call: &Call,
        tokens: &GatewayTokens,
        tool: &Tool,
        route: &Route,
    ) -> Result<RunOutcome, RunError> {
        context.sent_at = Some(self.runtime.now());
        let answer = self.dispatch(&context, call, tokens, tool, route).await;
        let verdict = self.judge(&context, &tool.entry, &route.via(), true, answer);
        Box::pin(self.apply_verdict(&context, call, verdict, Some(route.intent(self, 0)))).await
    }

    /// Invariant 4, *intent first*: a write is sent only after its intent and its audit record are durable.
    async fn send_write(
        &self,
        context: StepContext<'_>,
        call: &Call,
        tokens: &GatewayTokens,
        Permitted { tool, decided }: Permitted<'_>,
        route: &Route,
    ) -> Result<RunOutcome, RunError> {
        let journal = match route {
            Route::Journal(to) => Some(to),
            Route::Direct => None,
        };
        let audit = AuditEvent::Intended {
            decision: decided.decision.name().to_owned(),
            policies: decided.policies,
            key: context.key().to_string(),
            arguments_digest: context.work_digest,
            journal: journal.map(|to| to.id.journal.clone()),
            boot: journal.map(|to| to.id.boot.clone()),
        };
        let intent = route.intent(self, journal.map_or(0, |to| to.sequence));
        let Some(job) = self.commit(&context.job, JobEvent::Intended(intent.clone()), &[audit]).await? else {
            return Ok(RunOutcome::LeaseLost);
        };
        let mut context = StepContext { job, ..context };
        // A cancel or `not_after` may have come while the intent was written. The journal checks `not_after` once more.
        if let Some(ending) = Ending::before_it_began(&context.job, self.runtime.now()) {
            return self.end_call(&context, call, &ending).await;
        }
        context.sent_at = Some(self.runtime.now());
        let answer = self.dispatch(&context, call, tokens, tool, route).await;
        let verdict = self.judge(&context, &tool.entry, &route.via(), true, answer);
        Box::pin(self.apply_verdict(&context, call, verdict, Some(intent))).await
    }

    /// Asks for the outcome of a call that was sent, or may have been.
    pub(super) async fn ask_again(
        &self,
        context: &StepContext<'_>,
        call: &Call,
        tokens: &GatewayTokens,
        intent: &Intent,
    ) -> Result<Verdict, RunError> {
        // For a tool that was removed from the catalogue only the outcome is asked; nothing is sent any more.
        let gone = ToolEntry::gone(&call.tool, context.job.step().map_or(ToolEffect::Write, |step| step.effect));
        let tool = self.policy.tool(&call.tool);
        let entry = tool.map_or(&gone, |tool| &tool.entry);
        // A call sent without a journal leaves no record at the gateway that could be asked for.
        let Via::Journal(id) = &intent.via else {
            return Ok(self.judge(context, entry, &intent.via, false, CallAnswer::Lost));
        };
        let running = context.was_running();
        let give_up = tool.is_none() || context.gives_up(self.runtime.now());
        // The call was not seen running, so sending it again may start it now. A call that policy or mode no
        // longer allow must not start.
        let allowed = match tool {
            Some(tool) if !give_up && !running => Some(self.allowed(context, call, tool).await?),
            Some(_) | None => None,
        };
        let give_up = give_up || matches!(allowed, Some(Allowed::Ends(_) | Allowed::Asks(_)));
        let unread = matches!(allowed, Some(Allowed::Unread));
        let sequence = self.sequence_of(tokens, &id.journal).await?.max(intent.sequence);
        let expected = Expected { journal: &id.journal, sequence };
        let key = context.key().to_string();
        let within = || AT_ONCE.min(context.time_left(self.runtime.now()));
        let invoke = || {
            let again = self.journaled(context, call, false);
            self.gateway.invoke(tokens, expected, &key, again, context.trace.as_ref(), within())
        };
        let answer = if give_up {
            // Either proves that the call did not run and never will, or returns its outcome.
            self.gateway.revoke(tokens, expected, &key, within()).await
        } else if running || unread {
            // The call was seen running. A journal that does not know it any more must not start it again, so it is not
            // sent.
            self.gateway.outcome(tokens, expected, &key, within()).await
        } else {
            invoke().await
        };
        self.observe_call(&answer);
        let answer = match answer.noted() {
            // The journal had claimed the call and released it. The key stays the same, so it is sent again at once.
            CallAnswer::Released if !give_up && !unread => {
                let again = invoke().await;
                self.observe_call(&again);
                again.noted()
            }
            answer => answer,
        };
        Ok(match (answer, allowed) {
            (CallAnswer::Revoked, Some(Allowed::Ends(ending))) => Verdict::End(ending),
            (answer, _) => self.judge(context, entry, &intent.via, false, answer),
        })
    }

    /// Sends a call for the first time under its key. After a lost response the same call is sent once more.
    async fn dispatch(
        &self,
        context: &StepContext<'_>,
        call: &Call,
        tokens: &GatewayTokens,
        tool: &Tool,
        route: &Route,
    ) -> CallAnswer {
        let key = context.key().to_string();
        // Read again for each request: invariant 5 holds for the time that is left then.
        let left = || context.time_left(self.runtime.now());
        let trace = context.trace.as_ref();
        let Route::Journal(to) = route else {
            // The gateway aborts the tool when the connection closes, so the timeout is as long as possible.
            let (work, timeout) = ((call.tool.as_str(), &call.arguments), tool.entry.timeout().min(left()));
            let answer = self.gateway.call_directly(tokens, work, &key, trace, timeout).await;
            if answer == CallAnswer::Unauthorized {
                self.expire_tokens();
            }
            return answer;
        };
        let wait = tool.entry.expected() < WAIT_FOR;
        let timeout = if wait { WAIT_AT_MOST } else { AT_ONCE }.min(left());
        let first = self.journaled(context, call, wait);
        let answer = self.gateway.invoke(tokens, to.expected(), &key, first, trace, timeout).await;
        self.observe_call(&answer);
        let answer = answer.noted();
        if answer != CallAnswer::Lost {
            return answer;
        }
        let again = self.journaled(context, call, false);
        let answer = self.gateway.invoke(tokens, to.expected(), &key, again, trace, AT_ONCE.min(left())).await;
        self.observe_call(&answer);
        answer.noted().of_a_repetition()
    }

    fn journaled<'a>(&self, context: &StepContext<'_>, call: &'a Call, wait: bool) -> JournaledCall<'a> {
        let at_most = self.policy.tool(&call.tool).and_then(|tool| tool.entry.at_most);
        JournaledCall { tool: &call.tool, arguments: &call.arguments, not_after: context.job.not_after, wait, at_most }
    }

    pub(super) fn judge(
        &self,
        context: &StepContext<'_>,
        entry: &ToolEntry,
        via: &Via,
        first_dispatch: bool,
        answer: CallAnswer,
    ) -> Verdict {
        let now = self.runtime.now();
        let Some(step) = context.job.step() else { return Verdict::End(Ending::unknown()) };
        let sent_at = step.intent.as_ref().map_or(now, |intent| intent.recorded_at);
        let random = self.runtime.number();
        verdict::after(answer, &Facts { job: &context.job, step, entry, via, sent_at, first_dispatch, now, random })
    }
}
