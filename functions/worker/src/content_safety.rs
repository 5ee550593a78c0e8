//! Has WeChat check what a user wrote before an agent or a write tool gets it, and what a model wrote before it is shown.
//!
//! Fails closed: a text that cannot be checked is neither sent nor shown, in every service mode. Nothing of a text is
//! logged, measured or audited; an audit record has the decision, WeChat's suggestion and its label.

use std::time::Duration;

use domain::{
    audit::AuditEvent,
    content_safety::{self, CheckedText, ContentChecks, ContentDecision, ContentFinding, HeldKind},
    ids::{DigestKey, Timestamp},
    job::{HeldText, Job, JobEvent, held_text},
};
use futures_util::future::BoxFuture;
use platform::{
    metrics::{Dimension, Metric},
    non_empty::NonEmpty,
    wechat::{
        OpenId,
        content_safety::{CheckAnswer, Unchecked},
        notifications::NoToken,
    },
};
use secrecy::SecretString;

use crate::{
    Worker,
    step::{RunError, RunOutcome, StepContext, finish},
};

/// What a user wrote is not sent.
pub(crate) const CONTENT_REFUSED: &str = "content_refused";
/// What a user wrote cannot be checked.
pub(crate) const CONTENT_UNCHECKED: &str = "content_unchecked";
/// An operator decides about a text.
const CONTENT_HELD: &str = "content_held";
/// What a model wrote is not shown.
pub(crate) const REPLY_REFUSED: &str = "reply_refused";
/// No operator has decided in time about what a model wrote.
pub(crate) const REPLY_UNDECIDED: &str = "reply_undecided";
/// What a model wrote cannot be checked.
pub(crate) const REPLY_UNCHECKED: &str = "reply_unchecked";

/// What a check leaves of the step's time, for what comes after it: an intent and a call, or the end of the job.
const LEAST_TIME: Duration = Duration::from_secs(5);

/// Pieces of one text that are checked at once.
const PIECES_AT_ONCE: usize = 4;

/// Outcome of the check of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It may be sent or shown, because WeChat or an operator lets it pass, or because texts are not checked.
    Passed,
    /// It may not.
    Refused(ContentFinding),
    /// An operator has to decide, and can see the text. The job has to wait.
    Held(Box<HeldText>),
    /// An operator still has to decide: look again at this time.
    Undecided(Timestamp),
    /// No operator has decided in time.
    Lapsed,
    /// It could not be checked now; later it may.
    NotNow,
    /// It can be checked once the user opens the Mini Program again.
    Away,
    /// It cannot be checked.
    Never,
}

/// What it means for a text that it was not checked.
#[derive(Debug, Clone, Copy)]
enum Means {
    NotNow,
    Away,
    Never,
}

impl From<Means> for Checked {
    fn from(means: Means) -> Self {
        match means {
            Means::NotNow => Self::NotNow,
            Means::Away => Self::Away,
            Means::Never => Self::Never,
        }
    }
}

/// Why a text was not checked: a stable code, and what that means for the text.
#[derive(Debug, Clone, Copy)]
struct NotChecked {
    code: &'static str,
    means: Means,
    /// Whether a setting of this service, or its standing at WeChat, is wrong.
    needs_an_operator: bool,
}

impl NotChecked {
    const fn later(code: &'static str) -> Self {
        Self { code, means: Means::NotNow, needs_an_operator: false }
    }

    /// Until an operator acts, which may be after the job's time.
    const fn misconfigured(code: &'static str, means: Means) -> Self {
        Self { code, means, needs_an_operator: true }
    }
}

impl From<Unchecked> for NotChecked {
    fn from(why: Unchecked) -> Self {
        let (means, needs_an_operator) = match why {
            Unchecked::UserAway => (Means::Away, false),
            Unchecked::Unreachable | Unchecked::Busy => (Means::NotNow, false),
            Unchecked::Quota | Unchecked::UserUnknown => (Means::Never, false),
            Unchecked::RequestRefused | Unchecked::NotPermitted | Unchecked::Other => (Means::Never, true),
        };
        Self { code: why.code(), means, needs_an_operator }
    }
}

fn report_unchecked(job: &Job, NotChecked { code, means, needs_an_operator }: NotChecked) -> Checked {
    let (request_id, user_id) = (job.request_id, job.user_id);
    if needs_an_operator {
        tracing::error!(
            function = "worker", code = CONTENT_UNCHECKED, reason = code, %request_id, %user_id,
            "no text can be checked until an operator acts; none is sent or shown"
        );
    } else {
        tracing::warn!(
            function = "worker", code = CONTENT_UNCHECKED, reason = code, %request_id, %user_id,
            "a text cannot be checked, and is neither sent nor shown"
        );
    }
    means.into()
}

impl Worker {
    /// Checks a text that the step would send or show. What an operator has decided about it is not checked again.
    ///
    /// Boxed here and not by the callers: in a debug build a caller's frame has room for every future that it boxes, also
    /// where no text is checked, and Cedar refuses to evaluate with little stack left. So are the others below.
    pub(crate) fn check_text<'a>(
        &'a self,
        context: &'a StepContext<'_>,
        text: &'a CheckedText<'_>,
    ) -> BoxFuture<'a, Checked> {
        Box::pin(self.check(context, text))
    }

    async fn check(&self, context: &StepContext<'_>, text: &CheckedText<'_>) -> Checked {
        // Before the settings: what an operator has refused stays refused when checks are switched off meanwhile.
        if let Some(checked) = self.decided(context, text) {
            return checked;
        }
        let Some(settings) = self.policy.content_safety().checks() else { return Checked::Passed };
        let whole = text.text();
        let pieces = content_safety::pieces(&whole);
        if pieces.is_empty() {
            return Checked::Passed;
        }
        let time = context.time_left(self.runtime.now()).saturating_sub(LEAST_TIME);
        let checking = self.check_pieces(context, settings, &pieces);
        let found = tokio::time::timeout(time, checking).await.unwrap_or(Err(NotChecked::later("no_time")));
        let outcome = found.map_or("unchecked", |finding| finding.suggestion.name());
        self.runtime.measure(&[(Metric::ContentChecks, 1.0)], &[(Dimension::Suggestion, outcome)]);
        let finding = match found {
            Ok(finding) => finding,
            Err(why) => return report_unchecked(&context.job, why),
        };
        let (request_id, user_id) = (context.job.request_id, context.job.user_id);
        match finding.decision {
            ContentDecision::Pass => Checked::Passed,
            ContentDecision::Hold => self.held(context, settings, text, finding).await,
            ContentDecision::Refuse => {
                tracing::info!(
                    function = "worker", code = CONTENT_REFUSED, outcome, reason = finding.label.name(), %request_id,
                    %user_id, "content safety refuses a text"
                );
                Checked::Refused(finding)
            }
        }
    }

    /// What follows from a decision about a text of this kind of the step; `None` if no operator was asked for one. A
    /// text other than the one that was shown to the operator is refused.
    fn decided(&self, context: &StepContext<'_>, text: &CheckedText<'_>) -> Option<Checked> {
        let held = context.job.step()?.held.as_ref().filter(|held| held.what == text.kind())?;
        let now = self.runtime.now();
        Some(match &held.decision {
            _ if !held.is(context.digest_key, &context.job, text) => Checked::Refused(held.finding),
            Some(decision) if decision.passed => Checked::Passed,
            Some(_) => Checked::Refused(held.finding),
            None if held.lapsed(now) => Checked::Lapsed,
            None => Checked::Undecided(held.next_look(now)),
        })
    }

    /// Stores a text where operators can see it.
    fn held<'a>(
        &'a self,
        context: &'a StepContext<'_>,
        settings: &'a ContentChecks,
        text: &'a CheckedText<'_>,
        finding: ContentFinding,
    ) -> BoxFuture<'a, Checked> {
        Box::pin(self.store_held(context, settings, text, finding))
    }

    async fn store_held(
        &self,
        context: &StepContext<'_>,
        settings: &ContentChecks,
        text: &CheckedText<'_>,
        finding: ContentFinding,
    ) -> Checked {
        let (job, now) = (&context.job, self.runtime.now());
        let expires_at = match text.kind() {
            HeldKind::Arguments | HeldKind::Message => finish::next_try(job, now, settings.hold_for()),
            HeldKind::Reply => finish::next_look(job, now, settings.hold_for()),
        };
        let key = DigestKey::from_random(self.runtime.bytes());
        let digest = held_text::digest(&key, job, text);
        let (what, asked_at, key) = (text.kind(), now, Some(key));
        let held = HeldText { what, digest, key, finding, asked_at, expires_at, decision: None };
        if self.table.put_held_text(job, &held, text).await.is_err() {
            return report_unchecked(job, NotChecked::later("table_unavailable"));
        }
        let (request_id, user_id) = (job.request_id, job.user_id);
        tracing::info!(
            function = "worker", code = CONTENT_HELD, outcome = finding.suggestion.name(),
            reason = finding.label.name(), %request_id, %user_id, "content safety holds a text for an operator"
        );
        Checked::Held(Box::new(held))
    }

    /// Has the job wait for an operator's decision about a text.
    pub(crate) fn hold_text<'a>(
        &'a self,
        context: &'a StepContext<'_>,
        held: HeldText,
    ) -> BoxFuture<'a, Result<RunOutcome, RunError>> {
        Box::pin(self.hold(context, held))
    }

    async fn hold(&self, context: &StepContext<'_>, held: HeldText) -> Result<RunOutcome, RunError> {
        let is_reply = held.what == HeldKind::Reply;
        let asked = AuditEvent::TextHeld {
            what: held.what,
            digest: held.digest,
            expires_at: held.expires_at.to_string(),
            content: held.finding,
        };
        // A cancel since the claim ends the job instead.
        let records = |after: &Job| {
            vec![if after.state.is_over() { finish::called_off(after, context.work_digest) } else { asked.clone() }]
        };
        let due_at = if is_reply { held.next_look(self.runtime.now()) } else { held.expires_at };
        let committed = self.commit_recording(&context.job, JobEvent::TextHeld(held), records).await?;
        let Some(after) = committed else { return Ok(RunOutcome::LeaseLost) };
        if is_reply {
            return finish::wake_when_due(self, context, &after, due_at).await;
        }
        if after.state.is_over() {
            return finish::after_the_end(self, context, Some(after)).await;
        }
        self.jobs().try_wake(&after, context.trace.as_ref(), due_at.since(self.runtime.now())).await?;
        Ok(RunOutcome::AwaitingApproval)
    }

    fn check_pieces<'a>(
        &'a self,
        context: &'a StepContext<'_>,
        settings: &'a ContentChecks,
        pieces: &'a [&str],
    ) -> BoxFuture<'a, Result<ContentFinding, NotChecked>> {
        Box::pin(self.check_all(context, settings, pieces))
    }

    /// Checks some pieces at once, up to the first ones of which one is refused. A refused token is replaced once.
    async fn check_all(
        &self,
        context: &StepContext<'_>,
        settings: &ContentChecks,
        pieces: &[&str],
    ) -> Result<ContentFinding, NotChecked> {
        let keys = self.read_keys().await.map_err(|_| NotChecked::later("secret_unreadable"))?;
        let Some(app_secrets) = &keys.app_secrets else {
            return Err(NotChecked::misconfigured("not_configured", Means::Never));
        };
        let user = self.table.openid(context.job.user_id).await.map_err(|_| NotChecked::later("table_unavailable"))?;
        let Some(user) = user else { return Err(Unchecked::UserUnknown.into()) };
        let mut token = self.token_for_checks(app_secrets, None).await?;
        let (mut finding, mut replaced) = (ContentFinding::NOTHING, false);
        for some in pieces.chunks(PIECES_AT_ONCE) {
            let mut answers = self.check_at_once(&token, &user, settings, some).await;
            if answers.contains(&CheckAnswer::TokenRefused) && !replaced {
                replaced = true;
                token = self.token_for_checks(app_secrets, Some(&token)).await?;
                answers = self.check_at_once(&token, &user, settings, some).await;
            }
            let mut unchecked = None;
            for answer in answers {
                match answer {
                    CheckAnswer::Checked(suggestion, label) => {
                        finding = finding.with(settings.finding(suggestion, label));
                    }
                    CheckAnswer::TokenRefused => unchecked = Some(NotChecked::later("token_refused")),
                    CheckAnswer::Unchecked(why) => unchecked = Some(why.into()),
                }
            }
            // What is known to be refused is, whatever the other pieces are.
            match (finding.decision, unchecked) {
                (ContentDecision::Refuse, _) => break,
                (ContentDecision::Pass | ContentDecision::Hold, Some(why)) => return Err(why),
                (ContentDecision::Pass | ContentDecision::Hold, None) => {}
            }
        }
        Ok(finding)
    }

    async fn check_at_once(
        &self,
        token: &SecretString,
        user: &OpenId,
        settings: &ContentChecks,
        pieces: &[&str],
    ) -> Vec<CheckAnswer> {
        let checks = pieces.iter().map(|piece| self.wechat.check_text(token, user, settings.scene(), piece));
        futures_util::future::join_all(checks).await
    }

    async fn token_for_checks(
        &self,
        app_secrets: &NonEmpty<SecretString>,
        refused: Option<&SecretString>,
    ) -> Result<SecretString, NotChecked> {
        let stored = self.table.access_token().await.map_err(|_| NotChecked::later("table_unavailable"))?;
        self.access_tokens().get(stored, app_secrets, refused).await.map_err(|why| match why {
            NoToken::Later => Unchecked::Busy.into(),
            NoToken::Quota => Unchecked::Quota.into(),
            NoToken::SecretRefused(_) | NoToken::Misconfigured(_) => {
                // The secret may have been rotated since it was read.
                self.secrets.expire(&self.runtime);
                NotChecked::misconfigured("wechat_misconfigured", Means::NotNow)
            }
        })
    }
}
