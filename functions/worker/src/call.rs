//! A call at the cursor: it is decided, dispatched, and the verdict about the answer is applied.

use std::time::Duration;

use domain::{
    audit::AuditEvent,
    ids::Approver,
    job::{
        Intent, Job, JobEvent,
        approval::{self, Approval, Bound},
        submission::Call,
    },
};

use crate::{
    Worker,
    step::{
        Ending, RunError, RunOutcome, StepContext,
        finish::{self, EndOfStep, called_off},
    },
};

mod check;
mod decide;
mod dispatch;
pub(crate) mod resolve;
pub(crate) mod verdict;

pub use dispatch::WAIT_AT_MOST;
use verdict::Verdict;

impl Worker {
    /// Advances a call. A step that has an intent is never decided again, only asked for its outcome.
    pub(crate) async fn run_call(&self, context: StepContext<'_>, call: &Call) -> Result<RunOutcome, RunError> {
        match context.intent().cloned() {
            Some(intent) => {
                let tokens = self.tokens().await?;
                let verdict = self.ask_again(&context, call, &tokens, &intent).await?;
                Box::pin(self.apply_verdict(&context, call, verdict, Some(intent))).await
            }
            None => self.begin_call(context, call).await,
        }
    }

    /// Applies a verdict: commits it, and sends the wake-up message for the time when the job is due. `intent` is that
    /// of the call that is or may be running.
    async fn apply_verdict(
        &self,
        context: &StepContext<'_>,
        call: &Call,
        verdict: Verdict,
        intent: Option<Intent>,
    ) -> Result<RunOutcome, RunError> {
        match verdict {
            Verdict::End(ending) => self.end_call(context, call, &ending).await,
            Verdict::Ask(approver, within) => self.ask(context, call, approver, within).await,
            Verdict::Hold(held) => self.hold_text(context, *held).await,
            Verdict::Suspend { wait, running } => {
                let check_at = finish::next_look(&context.job, self.runtime.now(), wait);
                let event = JobEvent::Suspended { check_at, intent, running, seen: None };
                finish::come_back(self, context, event, check_at).await
            }
            Verdict::Reschedule(wait, attempt) => finish::reschedule(self, context, wait, attempt).await,
        }
    }

    /// Asks for the approval that the step at the cursor needs, now that its arguments are known.
    async fn ask(
        &self,
        context: &StepContext<'_>,
        call: &Call,
        approver: Approver,
        within: Duration,
    ) -> Result<RunOutcome, RunError> {
        let (job, now) = (&context.job, self.runtime.now());
        let digest = approval::digest(context.digest_key, &Bound::at_cursor(job, call));
        let expires_at = finish::next_try(job, now, within);
        let request = Approval::requested(approver, digest, now, expires_at);
        let mut derivation = None;
        let mut input = None;
        if let Some(derived) = &context.derived {
            input = Some(self.put_derived(context, derived).await?);
            derivation = Some(derived.record(context.work_digest));
        }
        let asked = AuditEvent::ApprovalAsked { approver, digest, expires_at: expires_at.to_string() };
        // A cancel since the claim ends the job instead: then no approval request exists, and none may be recorded.
        let records = |after: &Job| {
            let last = if after.state.is_over() { called_off(after, context.work_digest) } else { asked.clone() };
            derivation.iter().cloned().chain([last]).collect()
        };
        let event = JobEvent::Prepared { input, approval: Some(request) };
        let Some(after) = self.commit_recording(job, event, records).await? else { return Ok(RunOutcome::LeaseLost) };
        if after.state.is_over() {
            return finish::after_the_end(self, context, Some(after)).await;
        }
        self.jobs().try_wake(&after, context.trace.as_ref(), expires_at.since(now)).await?;
        self.jobs().wake_to_notify(&after).await;
        Ok(RunOutcome::AwaitingApproval)
    }

    /// Ends a call: first the result is stored, then the audit record, then the job. A read may end without its record.
    pub(crate) async fn end_call(
        &self,
        context: &StepContext<'_>,
        call: &Call,
        ending: &Ending,
    ) -> Result<RunOutcome, RunError> {
        let EndOfStep { event, record } = finish::ended(self, context, ending).await?;
        let committed = match self.commit(&context.job, event.clone(), &[record]).await {
            Err(RunError::Unaudited(error)) if self.may_end_unaudited(context, call).await => {
                tracing::error!(function = "worker", code = "unaudited", error = %error, "a read ended without its audit record");
                self.commit(&context.job, event, &[]).await?
            }
            committed => committed?,
        };
        finish::after_the_end(self, context, committed).await
    }
}
