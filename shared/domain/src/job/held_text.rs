//! Held texts: content safety lets an operator decide about a text, and its job waits for that decision. A decision holds
//! for exactly one text of one step, once, until it expires.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{APPROVED_WITHIN, Job, JobState, SWEEP_GRACE, Step, StepOutcome, TransitionError};
use crate::{
    content_safety::{CheckedText, ContentFinding, HeldKind},
    ids::{Digest, DigestKey, OperatorId, Timestamp},
    job::CallKey,
    json::canonical,
};

/// The code of a step whose text an operator has refused. The same as of a text that policy refuses.
const REFUSED: &str = "content_refused";
/// The code of a step about whose text no operator has decided in time.
const UNDECIDED: &str = "content_undecided";
/// The longest pause between two looks at a job that waits in `waiting` for a decision about its reply.
const LOOK_AT_LEAST: Duration = Duration::from_secs(1800);

/// A text of a step that an operator decides about. The text itself is in a record of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldText {
    /// What kind of text it is.
    #[serde(rename = "w")]
    pub what: HeldKind,
    /// Digest of the text: see [`digest`].
    #[serde(rename = "g")]
    pub digest: Digest,
    /// Key of the digest, which no function shows. With the job's own key its owner could confirm a guess of a text that
    /// is kept from them. `None` in an item of an earlier version: then it is the job's own key.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<DigestKey>,
    /// Why it is held.
    #[serde(rename = "f")]
    pub finding: ContentFinding,
    /// Since when it is held.
    #[serde(rename = "a")]
    pub asked_at: Timestamp,
    /// It is refused at this time: no decision is accepted from then on.
    #[serde(rename = "x")]
    pub expires_at: Timestamp,
    /// The decision; `None` while there is none.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<TextDecision>,
}

/// An operator's decision about a held text. Written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextDecision {
    /// Whether the text may be sent or shown.
    #[serde(rename = "y")]
    pub passed: bool,
    /// Who decided.
    #[serde(rename = "b")]
    pub by: OperatorId,
    /// Time of the decision.
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// What is left of a decided text when another text of the same step is held: enough to answer a repeated decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierText {
    /// Digest of the text.
    #[serde(rename = "g")]
    pub digest: Digest,
    /// Whether it was let pass.
    #[serde(rename = "y")]
    pub passed: bool,
}

impl HeldText {
    /// Whether exactly this text is held; `job_key` is the job's own key.
    pub fn is(&self, job_key: &DigestKey, job: &Job, text: &CheckedText<'_>) -> bool {
        self.digest == digest(self.key.as_ref().unwrap_or(job_key), job, text)
    }

    fn decided(&self) -> Option<EarlierText> {
        let decision = self.decision.as_ref()?;
        Some(EarlierText { digest: self.digest, passed: decision.passed })
    }

    /// Whether the time for a decision is over.
    pub fn lapsed(&self, now: Timestamp) -> bool {
        self.expires_at.has_come(now, APPROVED_WITHIN)
    }

    /// When a job that waits in `waiting` looks whether the time for a decision is over.
    pub fn next_look(&self, now: Timestamp) -> Timestamp {
        self.expires_at.min(now.plus(LOOK_AT_LEAST))
    }
}

/// Digest of a text of the step at the job's cursor: HMAC under a key that only the job's item has, over the canonical form
/// (RFC 8785) of the text and the step that it belongs to.
pub fn digest(key: &DigestKey, job: &Job, text: &CheckedText<'_>) -> Digest {
    let CallKey { user_id, request_id, step, round, .. } = job.call_key();
    let whole = json!({
        "user_id": user_id.to_string(),
        "request_id": request_id.to_string(),
        "step": step,
        "round": round,
        "held": text,
    });
    key.digest_bytes(&canonical::canonical(&whole))
}

/// How a decision relates to the job's held text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldTextCheck {
    /// The job waits for exactly this decision.
    Open,
    /// The same decision was stored before.
    AsDecided,
    /// The opposite decision was stored before.
    DecidedOtherwise,
    /// The decision is about another text than the one that is held.
    OtherDigest,
    /// The text was refused because no decision came in time.
    Lapsed,
    /// A worker looks at the job just now, and would end it by what it has read: the decision is to be repeated.
    Busy,
    /// No text is held, or the job ended before a decision.
    NotHeld,
}

impl Step {
    /// The text that waits for a decision.
    pub fn pending_text(&self) -> Option<&HeldText> {
        self.held.as_ref().filter(|held| held.decision.is_none())
    }

    /// Whether its user has seen what it sends: it was sent, or shown in an approval request. What was neither may be
    /// what content safety keeps from the user.
    pub fn request_was_shown(&self) -> bool {
        let ran = |outcome| matches!(outcome, StepOutcome::Succeeded | StepOutcome::Failed | StepOutcome::Unknown);
        self.intent.is_some() || self.approval.is_some() || self.outcome.is_some_and(ran)
    }

    fn hold(&mut self, held: HeldText) {
        self.decided_texts.extend(self.held.replace(held).as_ref().and_then(HeldText::decided));
    }

    /// Whether an operator has decided about a text of the step.
    pub fn text_is_decided(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.decision.is_some())
    }
}

impl Job {
    /// The text that the job waits for a decision about; `None` also once the job is over.
    pub fn pending_text(&self) -> Option<&HeldText> {
        let pending = self.step()?.pending_text()?;
        let waits = match pending.what {
            HeldKind::Arguments | HeldKind::Message => self.state == JobState::AwaitingApproval,
            HeldKind::Reply => matches!(self.state, JobState::Waiting | JobState::Running),
        };
        waits.then_some(pending)
    }

    /// Compares a decision with the job. Pure: only [`JobEvent::TextDecided`](crate::job::JobEvent) changes the job.
    pub fn held_text_check(&self, passed: bool, digest: Digest, now: Timestamp) -> HeldTextCheck {
        let steps = || self.steps.iter().take(self.cursor + 1).rev();
        if steps().all(|step| step.held.is_none()) {
            return HeldTextCheck::NotHeld;
        }
        // The decision may be a repetition about an earlier text of the job: report that it was accepted then.
        let decided = |step: &'_ Step| {
            step.held.iter().filter_map(HeldText::decided).chain(step.decided_texts.clone()).collect::<Vec<_>>()
        };
        if let Some(earlier) = steps().flat_map(decided).find(|earlier| earlier.digest == digest) {
            let same = earlier.passed == passed;
            return if same { HeldTextCheck::AsDecided } else { HeldTextCheck::DecidedOtherwise };
        }
        match steps().filter_map(|step| step.held.as_ref()).find(|held| held.digest == digest) {
            None => HeldTextCheck::OtherDigest,
            Some(held) if held.lapsed(now) => HeldTextCheck::Lapsed,
            Some(_) if self.pending_text().is_none() => HeldTextCheck::NotHeld,
            Some(_) if self.state == JobState::Running => HeldTextCheck::Busy,
            Some(_) => HeldTextCheck::Open,
        }
    }

    /// Waits for an operator's decision about a text of the step at the cursor. Waiting does not count as an attempt.
    pub(super) fn hold(&mut self, held: HeldText, now: Timestamp) -> Result<(), TransitionError> {
        self.expect("text held", &[JobState::Running])?;
        let refused = TransitionError { state: self.state, event: "text held twice, or at the wrong time" };
        let Some(step) = self.steps.get_mut(self.cursor) else { return Err(refused) };
        let is_reply = held.what == HeldKind::Reply;
        // Written once for each kind: a text that replaced a decided one would be sent without having been decided.
        let again = step.held.as_ref().is_some_and(|before| before.what == held.what || before.decision.is_none());
        if again || held.decision.is_some() || step.intent.is_some() != is_reply {
            return Err(refused);
        }
        if is_reply {
            step.hold_reply();
            let check_at = held.next_look(now);
            step.hold(held);
            return self.leave_running("text held", JobState::Waiting, check_at);
        }
        // The user cancelled while the text was checked: nothing is left to decide.
        if self.cancel_requested {
            step.outcome = Some(StepOutcome::NotRun);
            self.error = Some("cancelled".to_owned());
            self.end(JobState::Cancelled);
            return Ok(());
        }
        step.attempts = step.attempts.saturating_sub(1);
        step.not_started = 0;
        self.sweep_at = Some(held.expires_at.plus(SWEEP_GRACE));
        step.hold(held);
        self.state = JobState::AwaitingApproval;
        (self.lease, self.check_at) = (None, None);
        Ok(())
    }

    /// Applies an operator's decision: valid once, and only before the time for it is over.
    pub(super) fn decide_text(&mut self, passed: bool, by: OperatorId, now: Timestamp) -> Result<(), TransitionError> {
        let refused = TransitionError { state: self.state, event: "text decided too late, twice, or unasked" };
        // While a worker has claimed the job, its end would win over a decision.
        if self.state == JobState::Running || self.pending_text().is_none_or(|held| held.lapsed(now)) {
            return Err(refused);
        }
        let held = self.steps.get_mut(self.cursor).and_then(|step| step.held.as_mut()).ok_or(refused)?;
        held.decision = Some(TextDecision { passed, by, at: now });
        match (held.what, passed) {
            // A worker ends the round: it has the reply of the journal, and records what the agent has called.
            (HeldKind::Reply, _) => self.check_at = self.check_at.map(|at| at.min(now)),
            (HeldKind::Arguments | HeldKind::Message, true) => {
                self.state = JobState::Queued;
                self.sweep_at = Some(now.plus(SWEEP_GRACE));
            }
            (HeldKind::Arguments | HeldKind::Message, false) => self.refuse_at_cursor(REFUSED),
        }
        Ok(())
    }

    /// Refuses a text about which no operator has decided in time. A reply is refused by the worker that ends its round.
    pub(super) fn lapse_text(&mut self, now: Timestamp) -> Result<(), TransitionError> {
        self.expect("text lapsed", &[JobState::AwaitingApproval])?;
        if self.pending_text().is_none_or(|held| !held.lapsed(now)) {
            return Err(TransitionError { state: self.state, event: "text lapsed early, or unasked" });
        }
        self.refuse_at_cursor(UNDECIDED);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
