//! Content safety of a call: what it would write, and what the approval request or the explanation of it would show.

use std::borrow::Cow;

use domain::{
    content_safety::CheckedText,
    job::{Attempt, JobState, submission::Call},
    limits::Backoff,
};

use super::verdict::Verdict;
use crate::{
    Worker,
    content_safety::{CONTENT_REFUSED, CONTENT_UNCHECKED, Checked},
    step::{Ending, StepContext},
};

impl Worker {
    /// Checks the text of a call that a write tool would get. `None`: it may be sent.
    pub(super) async fn check_call(&self, context: &StepContext<'_>, call: &Call) -> Option<Verdict> {
        let text =
            CheckedText::Arguments { tool: call.tool.as_str().into(), arguments: Cow::Borrowed(&call.arguments) };
        match self.check_text(context, &text).await {
            Checked::Passed => None,
            Checked::Held(held) => Some(Verdict::Hold(held)),
            Checked::Refused(finding) => Some(Verdict::End(Ending::refused(CONTENT_REFUSED).because(finding))),
            // A text that is to be sent is not claimed before the decision. If it is all the same, it is not sent.
            Checked::Undecided(_) | Checked::Lapsed | Checked::Never => {
                Some(Verdict::End(Ending::failed_unsent(CONTENT_UNCHECKED)))
            }
            Checked::NotNow | Checked::Away => {
                let so_far = context.job.step().map_or(0, |step| step.not_started);
                // Each attempt asks WeChat, whose quota is limited.
                let wait = Backoff::RETRY.wait_at_least_half(so_far, self.runtime.number());
                Some(Verdict::Reschedule(wait, Attempt::NotStarted))
            }
        }
    }

    /// Checks a call of which nothing is sent now, if its user or an operator would be shown arguments that come from a
    /// model or an earlier step. What the user wrote is checked when it is sent.
    pub(super) async fn check_shown(&self, context: &StepContext<'_>, call: &Call, verdict: Verdict) -> Verdict {
        let derived = context.job.step().is_some_and(|step| step.derived);
        let shown = match &verdict {
            Verdict::Ask(..) => derived,
            Verdict::End(ending) => derived && ending.ends_as == JobState::Explained,
            Verdict::Hold(_) | Verdict::Suspend { .. } | Verdict::Reschedule(..) => false,
        };
        if !shown {
            return verdict;
        }
        self.check_call(context, call).await.unwrap_or(verdict)
    }
}
